//! Compiles components in a child process of this same program, under limits of its own: a component that
//! is made to hurt a compiler hurts no other.

mod child;
#[cfg(test)]
pub(crate) mod tests;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, Command};
use tokio::sync::Semaphore;

use super::engine::EngineConfig;
use super::functions::{FUNCTIONS_DIR, FunctionStore, Tally, brought_beside};
use super::store::blocking;
pub use child::compile_child;
use child::{Cause, Report, Settings};

/// The hidden command of `matrixd` that calls [`compile_child`].
pub const CHILD_COMMAND: &str = "compile-component";

/// Lets the allocator take from the system what is asked for, and no more: a gigabyte of addresses that it
/// reserves for later would count against the child's memory.
const ALLOCATOR_OPTION: &str = "MIMALLOC_ARENA_RESERVE";

/// The most bytes of what the child says that are kept: a line of JSON, or a panic's message.
const STDERR_BYTES_MAX: u64 = 8 * 1024;

/// What the log says where functions cannot be read or written.
const NOT_KEPT: &str = "compiled functions are not kept, so that compiling takes longer: look after the disk and the folder \
                        of functions (`components.compiler.functions_dir`)";

/// How long a compilation may take unless told, in seconds. A compiler that was built for development takes half a minute for
/// an interpreter, and several where the machine is busy.
const SECONDS_MAX: u64 = if cfg!(debug_assertions) { 300 } else { 30 };

/// How the child is started, and how much it may use.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompilerConfig {
    /// The program to run: this one, unless a test says otherwise.
    #[serde(skip)]
    pub program: PathBuf,
    /// The arguments before the input's path, the output's path and the settings.
    #[serde(skip)]
    pub arguments: Vec<OsString>,
    /// Address space of the child, in bytes. Python's interpreter, the largest known, takes under 1 GiB.
    pub memory_bytes_max: u64,
    /// CPU time of the child, all its threads together, in seconds.
    pub cpu_seconds_max: u64,
    /// Time from start to end of the child, in seconds.
    pub wall_seconds_max: u64,
    /// Bytes of the compiled artifact.
    pub output_bytes_max: u64,
    /// Bytes on disk of compiled functions that later compilations take up; 0: none are kept, and each component is compiled
    /// whole. Where `functions_dir` is set, components that were compiled whole may take as much again.
    pub functions_bytes_max: u64,
    /// The folder of compiled functions; nodes of one user may share it, and with it what they have compiled whole. Unless told:
    /// `functions` in the data folder.
    pub functions_dir: Option<PathBuf>,
    /// How many children may run at once. Each uses every core that it gets.
    pub concurrency: usize,
    /// How many compilations may wait for their turn; one more is refused.
    pub waiting_max: usize,
}

impl Default for CompilerConfig {
    fn default() -> Self {
        Self {
            program: this_program(),
            arguments: vec![CHILD_COMMAND.into()],
            memory_bytes_max: 2 << 30,
            cpu_seconds_max: SECONDS_MAX,
            wall_seconds_max: SECONDS_MAX,
            output_bytes_max: 512 << 20,
            functions_bytes_max: 256 << 20,
            functions_dir: None,
            concurrency: 1,
            waiting_max: 64,
        }
    }
}

/// Linux runs the very file that this process was started from, even where an upgrade has replaced it
/// since: child and parent must be of one version.
fn this_program() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { link } else { std::env::current_exe().unwrap_or_else(|_| "matrixd".into()) }
}

/// Why a component was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// Too many compilations wait already.
    #[error("{0} compilations wait already (limit `waiting_max`): try again later")]
    Busy(usize),
    /// The child could not be started.
    #[error("`{program}` cannot be started to compile a component: {reason}")]
    Start {
        /// What was to be run.
        program: String,
        /// What the system says.
        reason: String,
    },
    /// The compiler refuses the component.
    #[error("the component cannot be compiled: {0}")]
    Refused(String),
    /// The compiler ran out of memory.
    #[error(
        "compiling the component takes more than {0} bytes of memory (limit `memory_bytes_max`): make it \
         smaller"
    )]
    Memory(u64),
    /// The compiler used up its CPU time.
    #[error(
        "compiling the component takes more than {0} s of CPU time (limit `cpu_seconds_max`): make it smaller"
    )]
    Cpu(u64),
    /// The compiler took too long.
    #[error(
        "compiling the component takes more than {0} s (limit `wall_seconds_max`): make it smaller, or try \
         when the node is less busy"
    )]
    Wall(u64),
    /// The artifact is too long.
    #[error("the compiled component is longer than {0} bytes (limit `output_bytes_max`): make it smaller")]
    Output(u64),
    /// The child died.
    #[error("the compiler died ({how}): {said}")]
    Crashed {
        /// Of which signal, or with which exit code.
        how: String,
        /// The last that it said.
        said: String,
    },
    /// The child could not read the component or write the artifact.
    #[error("the compiler could not read or write a file: {0}; look after the disk and the data folder")]
    Files(String),
}

/// A component was compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compiled {
    /// From the start of the child to its end, in microseconds.
    pub micros: u64,
    /// Bytes of machine code.
    pub bytes: u64,
    /// Where its functions came from.
    pub functions: Tally,
}

/// Starts the children, a few at a time.
#[derive(Debug)]
pub struct Compiler {
    config: CompilerConfig,
    settings: String,
    functions: Option<Arc<FunctionStore>>,
    places: Semaphore,
    turns: Semaphore,
}

impl Compiler {
    /// A compiler for engines of these settings, that keeps functions in the data folder `data` unless told where. Blocks on the
    /// disk. Where the folder of functions cannot be used, the log says so, and each component is compiled whole.
    pub fn new(config: CompilerConfig, engine: &EngineConfig, data: &Path) -> Self {
        let functions = functions(&config, data).map(Arc::new);
        let settings = Settings {
            functions: functions.as_ref().map(|functions| functions.loan(config.output_bytes_max)),
            engine: engine.clone(),
            memory_bytes_max: config.memory_bytes_max,
            cpu_seconds_max: config.cpu_seconds_max,
            output_bytes_max: config.output_bytes_max,
        };
        let settings = serde_json::to_string(&settings).expect("plain numbers are always JSON");
        let turns = config.concurrency.max(1);
        let places = turns.saturating_add(config.waiting_max).min(Semaphore::MAX_PERMITS);
        let (places, turns) = (Semaphore::new(places), Semaphore::new(turns));
        Self { config, settings, functions, places, turns }
    }

    /// Compiles the component in the file `input` into a new file `output`, which must not exist. Waits
    /// for its turn first. Unless it succeeds, nothing is left at `output`; where the future is dropped,
    /// the child is killed. The component should have passed [`inspect`](super::inspect::inspect).
    pub async fn compile(&self, input: &Path, output: &Path) -> Result<Compiled, CompileError> {
        let _place = self.places.try_acquire().map_err(|_| CompileError::Busy(self.config.waiting_max))?;
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let mut unfinished = Unfinished(Some(output));
        let started = Instant::now();
        self.run(input, output).await?;
        let functions = self.take_in(output).await;
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let written = tokio::fs::metadata(output).await;
        let written = written.map_err(|error| CompileError::Files(error.to_string()))?;
        unfinished.0 = None;
        Ok(Compiled { micros, bytes: written.len(), functions })
    }

    /// Takes in the functions that the child brought. Without them later compilations take longer, and that is all.
    async fn take_in(&self, output: &Path) -> Tally {
        let Some(functions) = self.functions.clone() else { return Tally::default() };
        let output = output.to_owned();
        blocking(move || functions.take_in(&output)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "{NOT_KEPT}");
            Tally::default()
        })
    }

    async fn run(&self, input: &Path, output: &Path) -> Result<(), CompileError> {
        let start = |error: std::io::Error| CompileError::Start {
            program: self.config.program.display().to_string(),
            reason: error.to_string(),
        };
        let mut child = Command::new(&self.config.program)
            .args(&self.config.arguments)
            .args([std::path::absolute(input).map_err(start)?, std::path::absolute(output).map_err(start)?])
            .arg(&self.settings)
            .env_clear()
            .env(ALLOCATOR_OPTION, "0")
            .stdin(if self.functions.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        if let (Some(functions), Some(mut stdin)) = (&self.functions, child.stdin.take()) {
            // Not among the arguments, which all users can read. A child that is gone by now says why below.
            let _ = stdin.write_all(functions.key()).await;
        }
        let stderr = child.stderr.take().expect("it was asked for");
        let limit = Duration::from_secs(self.config.wall_seconds_max);
        let ended = tokio::time::timeout(limit, async { tokio::join!(listen(stderr), child.wait()) }).await;
        match ended {
            Ok((said, Ok(status))) => self.judge(status, &said),
            Ok((_, Err(error))) => Err(start(error)),
            Err(_) => {
                // Waits until it is gone, so that it neither lingers nor writes after this returns.
                child.kill().await.map_err(start)?;
                Err(CompileError::Wall(self.config.wall_seconds_max))
            }
        }
    }

    /// What the child's end means.
    fn judge(&self, status: ExitStatus, said: &str) -> Result<(), CompileError> {
        if status.success() {
            return Ok(());
        }
        let config = &self.config;
        let signal = |wanted: Signal| status.signal() == Some(wanted.as_raw());
        if signal(Signal::XCPU) {
            return Err(CompileError::Cpu(config.cpu_seconds_max));
        }
        if signal(Signal::XFSZ) {
            return Err(CompileError::Output(config.output_bytes_max));
        }
        // The standard library's last words before it aborts.
        if signal(Signal::ABORT) && said.contains("memory allocation of") {
            return Err(CompileError::Memory(config.memory_bytes_max));
        }
        let last = said.lines().last().unwrap_or_default();
        Err(match serde_json::from_str::<Report>(last) {
            Ok(Report { cause: Cause::Memory, .. }) => CompileError::Memory(config.memory_bytes_max),
            Ok(Report { cause: Cause::Refused, message }) => CompileError::Refused(message),
            Ok(Report { cause: Cause::Files, message }) => CompileError::Files(message),
            Err(_) => CompileError::Crashed { how: status.to_string(), said: escaped(said) },
        })
    }
}

/// The functions that are kept as these settings say; none are where they cannot be.
fn functions(config: &CompilerConfig, data: &Path) -> Option<FunctionStore> {
    let bytes_max = Some(config.functions_bytes_max).filter(|bytes| *bytes > 0)?;
    let dir = config.functions_dir.clone().unwrap_or_else(|| data.join(FUNCTIONS_DIR));
    let opened = FunctionStore::open(dir, bytes_max);
    opened.inspect_err(|error| tracing::warn!(%error, "{NOT_KEPT}")).ok()
}

/// What the child says, up to a limit; the rest is read and dropped, lest it wait for a reader.
async fn listen(mut stderr: ChildStderr) -> String {
    let mut said = Vec::new();
    // A failure to listen hides only the reason: the exit status still tells success from failure.
    let _ = (&mut stderr).take(STDERR_BYTES_MAX).read_to_end(&mut said).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// On one line, without control characters.
fn escaped(said: &str) -> String {
    said.trim().chars().flat_map(char::escape_default).collect()
}

/// Removes an output that was not finished, and the functions beside it.
struct Unfinished<'a>(Option<&'a Path>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // Usually they are not even there.
        let _ =
            self.0.map(|output| (std::fs::remove_file(output), std::fs::remove_file(brought_beside(output))));
    }
}
