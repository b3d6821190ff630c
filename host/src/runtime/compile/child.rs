//! The child's side: puts limits on itself, compiles one component, and ends.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit};
use serde::{Deserialize, Serialize};
use wasmtime::{CacheStore, Engine, InstanceAllocationStrategy};

use super::super::engine::{self, EngineConfig};
use super::super::functions::{self, Borrowed, Loan};

/// How much the child gives way to the node that started it.
const NICENESS: i32 = 10;

/// What the parent tells the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) engine: EngineConfig,
    pub(super) memory_bytes_max: u64,
    pub(super) cpu_seconds_max: u64,
    pub(super) output_bytes_max: u64,
    /// The functions that were compiled earlier; their key comes on the standard input.
    pub(super) functions: Option<Loan>,
}

/// Why the child fails, as it tells the parent on a line of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cause {
    /// The compiler refuses the component.
    Refused,
    /// The system gives no more memory.
    Memory,
    /// A file could not be read or written, or the limits could not be set.
    Files,
}

/// What the child tells the parent when it fails.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) cause: Cause,
    pub(super) message: String,
}

/// Compiles the component in the file `input` into a new file `output`, under the limits in `settings`, a
/// JSON text that only [`Compiler`](super::Compiler) writes. Puts the limits on the whole process: call it
/// first thing, and return its exit code. A failure is told on stderr, on one line of JSON.
pub fn compile_child(input: &Path, output: &Path, settings: &str) -> ExitCode {
    let Err(report) = compile(input, output, settings) else {
        return ExitCode::SUCCESS;
    };
    let line = serde_json::to_string(&report).expect("two texts are always JSON");
    // Without a reader there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::FAILURE
}

fn compile(input: &Path, output: &Path, settings: &str) -> Result<(), Report> {
    let files = |what: &str, error: &dyn std::fmt::Display| Report {
        cause: Cause::Files,
        message: format!("{what}: {error}"),
    };
    let settings: Settings = serde_json::from_str(settings).map_err(|error| files("the settings", &error))?;
    limit_itself(&settings).map_err(|error| files("setting limits", &error))?;
    let component = std::fs::read(input).map_err(|error| files("reading the component", &error))?;
    let mut config = engine::config(&settings.engine);
    // The pool reserves address space that the child neither needs nor has; artifacts are the same.
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    // The node says in its log where they cannot be used: it finds none that the child brought.
    let borrowed = settings.functions.as_ref().and_then(|loan| borrowed(loan, output).ok());
    if let Some(borrowed) = &borrowed {
        let functions = Arc::clone(borrowed) as Arc<dyn CacheStore>;
        config.enable_incremental_compilation(functions).map_err(|error| refusal(&format!("{error:#}")))?;
    }
    let artifact = Engine::new(&config)
        .and_then(|engine| engine.precompile_component(&component))
        .map_err(|error| refusal(&format!("{error:#}")))?;
    // Without its functions a component is compiled all the same.
    drop(borrowed.map(|borrowed| borrowed.finish()));
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(output);
    file.and_then(|mut file| file.write_all(&artifact)).map_err(|error| files("writing the artifact", &error))
}

/// The functions that the node lent.
fn borrowed(loan: &Loan, output: &Path) -> io::Result<Arc<Borrowed>> {
    let key = functions::key_from(io::stdin())?;
    Borrowed::open(loan, key, output).map(Arc::new)
}

fn limit_itself(settings: &Settings) -> rustix::io::Result<()> {
    let limit = |resource, soft: u64, hard: u64| {
        rustix::process::setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })
    };
    limit(Resource::Core, 0, 0)?;
    limit(Resource::As, settings.memory_bytes_max, settings.memory_bytes_max)?;
    limit(Resource::Fsize, settings.output_bytes_max, settings.output_bytes_max)?;
    // The signal at the soft limit says why; the one at the hard limit cannot be caught.
    limit(Resource::Cpu, settings.cpu_seconds_max, settings.cpu_seconds_max.saturating_add(1))?;
    rustix::process::nice(NICENESS).map(drop)
}

/// What the system says when an address space is full, in the one place where no code tells it.
const NO_MEMORY: [&str; 2] = ["Cannot allocate memory", "os error 12"];

fn refusal(message: &str) -> Report {
    let memory = NO_MEMORY.iter().any(|words| message.contains(words));
    let cause = if memory { Cause::Memory } else { Cause::Refused };
    // Beyond this the parent would cut the line, and could not read it.
    Report { cause, message: message.chars().take(1_000).flat_map(char::escape_default).collect() }
}
