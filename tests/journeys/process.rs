//! A node as a process of its own, on a folder of its own, and the command line to talk to it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use matrix_tests::node::built;
use serde_json::Value;
use tempfile::TempDir;

/// How long any one thing may take before a test gives up: far beyond what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What a command that failed left behind.
pub(crate) struct Failure {
    /// Its exit code.
    pub(crate) code: i32,
    /// What it wrote to stderr.
    pub(crate) said: String,
}

/// A running node.
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
    settings: String,
}

impl Process {
    /// Starts a node on an empty folder, and waits until it is ready.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a node with more settings than its own.
    pub(crate) fn start_with(settings: &str) -> Self {
        Self::start_by(Command::new(built("matrixd")), settings)
    }

    /// Starts a node in a control group, of which this is the file with the processes.
    pub(crate) fn start_in(processes: &Path) -> Self {
        // A shell joins the group, and becomes the node: it must know its bounds before it starts.
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(processes).arg(built("matrixd"));
        Self::start_by(shell, "")
    }

    fn start_by(program: Command, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let child = launch(program, folder.path(), settings);
        let node = Self { child, folder, settings: settings.to_owned() };
        node.wait_for("the node is ready", Self::is_ready);
        node
    }

    /// The folder of this test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the process as a power cut would, as far as the process can tell.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the node runs");
        self.child.wait().expect("a killed process ends");
    }

    /// Starts it again on the same folder.
    pub(crate) fn restart(&mut self) {
        self.child = launch(Command::new(built("matrixd")), self.folder.path(), &self.settings);
        self.wait_for("the node is ready again", Self::is_ready);
    }

    /// Asks it to end, and checks that it ends well.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    /// The same, to start it again.
    pub(crate) fn end(&mut self) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().expect("kill can be run");
        assert!(told.success());
        let ended = self.child.wait().expect("the node is a child of this process");
        assert!(ended.success(), "the node ended with {ended}");
    }

    /// Runs `matrix`, and returns what it printed, a JSON value a line.
    pub(crate) fn matrix(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "matrix {arguments:?} failed: {said}");
        let lines = String::from_utf8(output.stdout).expect("JSON is text");
        lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    /// Runs `matrix`, which must fail.
    pub(crate) fn fails(&self, arguments: &[&str]) -> Failure {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Failure { code: output.status.code().unwrap_or(-1), said }
    }

    /// Waits until something is so.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "it never came to this: {what}");
            #[expect(clippy::disallowed_methods, reason = "another process can only be asked again")]
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        self.run(&["status"]).status.success()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("matrix can be run")
    }

    /// `matrix` with these arguments, to be run by the caller.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(built("matrix"));
        command.args(["--output", "json", "--data-dir"]).arg(data(self.folder.path())).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    /// The node's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        data(self.folder.path())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn launch(mut command: Command, folder: &Path, more: &str) -> Child {
    let settings = folder.join("matrixd.toml");
    // Ports belong to the machine; the socket in the folder is this node's own.
    let own = format!("[admin]\nlisten = \"off\"\nhttp = \"off\"\n{more}");
    std::fs::write(&settings, own).expect("a file in the folder");
    command.arg("--data-dir").arg(data(folder)).arg("--config").arg(settings);
    command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("matrixd can be run")
}
