use std::path::PathBuf;
use std::process::{ExitCode, Termination};

use super::*;
use crate::runtime::inspect::bombs::{laborious, long_function, soul, soul_beside};
use crate::runtime::inspect::{InspectLimits, inspect};

/// Not a test but the child: [`compiler`] starts the test program itself, which runs only this one.
#[test]
#[ignore = "the child of the tests beside it"]
fn child() -> impl Termination {
    let arguments: Vec<String> = std::env::args().collect();
    let [.., input, output, settings] = &arguments[..] else {
        return ExitCode::FAILURE;
    };
    // The test harness reports in its own way; the real program just returns this.
    if compile_child(Path::new(input), Path::new(output), settings) == ExitCode::SUCCESS {
        return ExitCode::SUCCESS;
    }
    #[expect(clippy::disallowed_methods, reason = "returning would make the harness add words of its own")]
    std::process::exit(1)
}

/// A configuration whose child is the test program.
pub(crate) fn config() -> CompilerConfig {
    let arguments = ["--exact", "--ignored", "--nocapture", "runtime::compile::tests::child"];
    CompilerConfig { arguments: arguments.map(OsString::from).to_vec(), ..Default::default() }
}

/// An engine that does not take the whole address space.
pub(crate) fn engine_config() -> EngineConfig {
    EngineConfig { live_instances_max: 4, ..Default::default() }
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(component: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("in"), component).expect("written");
        Self { folder }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    async fn compile(&self, config: CompilerConfig) -> Result<Compiled, CompileError> {
        let compiler = Compiler::new(config, &engine_config(), self.folder.path());
        compiler.compile(&self.folder.path().join("in"), &self.output()).await
    }

    /// Fails with this error, and leaves nothing behind.
    async fn fails(&self, config: CompilerConfig, error: CompileError) {
        assert_eq!(self.compile(config).await, Err(error));
        assert!(!self.output().exists());
    }
}

/// Passes inspection, and takes the compiler many seconds and much memory.
fn bomb() -> Bench {
    let component = soul_beside(&laborious(400, 4_000));
    inspect(&component, &InspectLimits::default()).expect("nothing that inspection sees");
    Bench::new(&component)
}

#[tokio::test]
async fn compiles_what_is_right_and_says_how_long_it_took() {
    let bench = Bench::new(&soul());
    let compiled = bench.compile(config()).await.expect("compiled");
    assert!(compiled.micros > 0);
    let artifact = std::fs::read(bench.output()).expect("an artifact");
    assert!(artifact.starts_with(b"\x7fELF"));
}

#[tokio::test]
async fn only_functions_that_are_new_are_compiled_and_the_artifact_is_the_same() {
    let (before, after) = (soul_beside(&laborious(3, 100)), soul_beside(&laborious(3, 101)));
    let bench = Bench::new(&before);
    let compile = async |component: &[u8], functions_bytes_max| {
        std::fs::write(bench.folder.path().join("in"), component).expect("written");
        let config = CompilerConfig { functions_bytes_max, ..config() };
        let functions = bench.compile(config).await.expect("compiled").functions;
        let mut artifact = std::fs::read(bench.output()).expect("an artifact");
        std::fs::remove_file(bench.output()).expect("removed");
        // Names of sections stand in any order, also where the same is compiled twice without any of this.
        artifact.sort_unstable();
        (functions, artifact)
    };
    let (none, whole) = compile(&after, 0).await;
    assert_eq!(none, Tally::default());
    assert!(!bench.folder.path().join(FUNCTIONS_DIR).exists());
    let (first, _) = compile(&before, 1 << 20).await;
    assert!(first.made > 3, "{first:?}");
    // The three that are alike are one function to the compiler, unless two threads began it at once.
    let (second, artifact) = compile(&after, 1 << 20).await;
    assert!(second.found > 0 && (1..=3).contains(&second.made), "{second:?}");
    assert!(artifact == whole);
    let (third, artifact) = compile(&after, 1 << 20).await;
    assert_eq!(third, Tally { found: second.found + second.made, made: 0 });
    assert!(artifact == whole);
}

#[tokio::test]
async fn functions_that_cannot_be_kept_or_read_cost_time_alone() {
    let bench = Bench::new(&soul());
    bench.compile(config()).await.expect("compiled");
    let young = bench.folder.path().join(FUNCTIONS_DIR).join("young");
    std::fs::remove_file(&young).expect("removed");
    std::fs::create_dir(&young).expect("a folder in its place");
    std::fs::remove_file(bench.output()).expect("removed");
    let compiled = bench.compile(config()).await.expect("compiled");
    assert_eq!(compiled.functions, Tally::default());
}

#[tokio::test]
async fn says_why_the_compiler_refuses() {
    let bench = Bench::new(b"\0asm\x0d\0\x01\0\xff");
    let error = bench.compile(config()).await.expect_err("nonsense");
    assert!(matches!(&error, CompileError::Refused(reason) if !reason.is_empty()), "{error}");
}

#[tokio::test]
async fn cpu_time_ends() {
    bomb().fails(CompilerConfig { cpu_seconds_max: 1, ..config() }, CompileError::Cpu(1)).await;
}

#[tokio::test]
async fn wall_time_ends() {
    bomb().fails(CompilerConfig { wall_seconds_max: 1, ..config() }, CompileError::Wall(1)).await;
}

#[tokio::test]
async fn memory_ends() {
    let memory_bytes_max = 256 << 20;
    let bench = Bench::new(&soul_beside(&laborious(8, 49_000)));
    bench
        .fails(CompilerConfig { memory_bytes_max, ..config() }, CompileError::Memory(memory_bytes_max))
        .await;
}

#[tokio::test]
async fn output_ends() {
    let config = CompilerConfig { output_bytes_max: 512, ..config() };
    Bench::new(&soul()).fails(config, CompileError::Output(512)).await;
}

#[tokio::test]
async fn a_child_that_dies_or_never_starts_is_told_from_a_refusal() {
    let bench = Bench::new(&soul());
    let shell = |script: &str| CompilerConfig {
        program: "/bin/sh".into(),
        arguments: ["-c", script].map(OsString::from).to_vec(),
        ..Default::default()
    };
    let error = bench.compile(shell("echo oh >&2; kill -SEGV $$")).await.expect_err("it died");
    assert!(
        matches!(&error, CompileError::Crashed { how, said } if how.contains("11") && said == "oh"),
        "{error}"
    );
    let error = bench.compile(shell("exit 3")).await.expect_err("it failed");
    assert!(matches!(&error, CompileError::Crashed { how, .. } if how.contains('3')), "{error}");
    let error = bench.compile(CompilerConfig { program: "/nowhere".into(), ..config() }).await;
    assert!(matches!(error, Err(CompileError::Start { .. })), "{error:?}");
}

#[tokio::test]
async fn a_child_that_talks_without_end_neither_fills_memory_nor_hangs() {
    let script = "head -c 3000000 /dev/zero >&2; exit 1";
    let config = CompilerConfig {
        program: "/bin/sh".into(),
        arguments: ["-c", script].map(OsString::from).to_vec(),
        ..Default::default()
    };
    let error = Bench::new(&soul()).compile(config).await.expect_err("it failed");
    let CompileError::Crashed { said, .. } = error else { panic!("{error}") };
    assert!(said.len() <= 6 * STDERR_BYTES_MAX as usize);
}

#[tokio::test]
async fn the_child_sees_nothing_of_the_environment() {
    let config = CompilerConfig {
        program: "/bin/sh".into(),
        arguments: ["-c", "test -z \"$HOME$CARGO_HOME$USER\" && : > \"$1\""].map(OsString::from).to_vec(),
        ..Default::default()
    };
    Bench::new(&soul()).compile(config).await.expect("an empty environment");
}

#[tokio::test]
async fn more_than_may_wait_are_refused() {
    let bench = Bench::new(&soul());
    let config = CompilerConfig {
        program: "/bin/sh".into(),
        arguments: ["-c", "exec sleep 60"].map(OsString::from).to_vec(),
        waiting_max: 1,
        ..Default::default()
    };
    let compiler = Compiler::new(config, &engine_config(), bench.folder.path());
    let compile = || compiler.compile(bench.folder.path(), Path::new("/nowhere/out"));
    let (running, waiting) = (compile(), compile());
    tokio::pin!(running, waiting);
    assert!(futures::poll!(&mut running).is_pending() && futures::poll!(&mut waiting).is_pending());
    assert_eq!(compile().await, Err(CompileError::Busy(1)));
}

#[tokio::test]
async fn a_long_function_that_passes_compiles_within_the_limits() {
    let bench = Bench::new(&soul_beside(&long_function(1_000_000)));
    bench.compile(config()).await.expect("within the limits");
}
