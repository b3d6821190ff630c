//! Nodes as processes on loopback, and the command `matrix` against them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use matrix_tests::node::built;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long any one thing may take before a test gives up: far beyond what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long between two looks at what tells nobody when it changes.
const LOOK: Duration = Duration::from_millis(50);

/// Waits before the next look.
#[expect(
    clippy::disallowed_methods,
    reason = "another process tells nobody when it changes; nothing else runs here"
)]
fn look_again() {
    std::thread::sleep(LOOK);
}

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the command `matrix` as somebody who has no node's data folder.
pub(crate) fn stranger(arguments: &[&str]) -> Run {
    run(Path::new("/nowhere"), arguments)
}

/// A command that runs the one in its arguments with less priority, so that tests that measure time do not suffer.
pub(crate) fn giving_way() -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "10"]);
    command
}

fn run(data: &Path, arguments: &[&str]) -> Run {
    said(&mut command(data, arguments))
}

fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(built("matrix"));
    command.arg("--data-dir").arg(data).args(["--output", "json"]).args(arguments);
    command
}

fn said(command: &mut Command) -> Run {
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { success: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Nodes of one realm, by number; all are killed when this is dropped.
pub(crate) struct Realm {
    folder: TempDir,
    gives_way: bool,
    nodes: BTreeMap<u64, Child>,
}

/// What the command said.
pub(crate) struct Run {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Itself, if it went well.
    pub(crate) fn ok(self) -> Self {
        assert!(self.success, "{}", self.stderr);
        self
    }

    /// What it printed, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// What it printed, where each line is JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(line).collect()
    }

    /// That it was refused, for a reason in which these words stand.
    pub(crate) fn refused(&self, why: &str) {
        assert!(!self.success && self.stderr.contains(why), "{why}: {}{}", self.stdout, self.stderr);
    }
}

impl Realm {
    /// So many nodes with default settings.
    pub(crate) fn start(count: u64) -> Self {
        Self::start_with(count, |_| String::new())
    }

    /// So many nodes; `settings` are what each one's configuration says more.
    pub(crate) fn start_with(count: u64, settings: impl Fn(u64) -> String) -> Self {
        Self::start_as(false, count, settings)
    }

    /// As [`start_with`](Self::start_with), but for tests that keep processors busy: the nodes give way to those of others.
    pub(crate) fn start_aside(count: u64, settings: impl Fn(u64) -> String) -> Self {
        Self::start_as(true, count, settings)
    }

    fn start_as(gives_way: bool, count: u64, settings: impl Fn(u64) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut realm = Self { folder, gives_way, nodes: BTreeMap::new() };
        for node in 1..=count {
            let mut text = settings(node);
            if !text.contains("[admin]") {
                text.insert_str(0, "[admin]\nlisten = \"off\"\nhttp = \"off\"\n");
            }
            std::fs::create_dir_all(realm.data(node)).expect("our own folder");
            std::fs::write(realm.data(node).join("matrixd.toml"), text).expect("our own folder");
            let token = (node > 1).then(|| realm.matrix(1, &["cluster", "invite"]).ok().json());
            let token = token.map(|json| json["token"].as_str().expect("a token").to_owned());
            realm.spawn(node, token.as_deref());
        }
        realm.until(1, &["nodes", "list"], |list| {
            let alive = |nodes: &Vec<Value>| nodes.iter().filter(|node| node["alive"] == true).count() as u64;
            list["nodes"].as_array().map(alive) == Some(count)
        });
        realm
    }

    pub(crate) fn data(&self, node: u64) -> PathBuf {
        self.folder.path().join(node.to_string())
    }

    fn log(&self, node: u64) -> String {
        std::fs::read_to_string(self.data(node).join("log")).unwrap_or_default()
    }

    fn command(&self, node: u64, token: Option<&str>) -> Command {
        let log = File::options().append(true).create(true).open(self.data(node).join("log"));
        let mut command = if self.gives_way { giving_way() } else { Command::new(built("matrixd")) };
        if self.gives_way {
            command.arg(built("matrixd"));
        }
        command.arg("--data-dir").arg(self.data(node)).stderr(log.expect("our own folder"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(token) = token {
            command.args(["--join", token]);
        }
        command
    }

    fn spawn(&mut self, node: u64, token: Option<&str>) {
        let child = self.command(node, token).spawn().expect("the program starts");
        self.nodes.insert(node, child);
        let began = Instant::now();
        while !self.matrix(node, &["status"]).success {
            let ended = self.nodes.get_mut(&node).and_then(|child| child.try_wait().expect("our own child"));
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "node {node}: {}", self.log(node));
            look_again();
        }
    }

    /// Kills a node as the power cut would, but for the disk.
    pub(crate) fn kill(&mut self, node: u64) {
        let mut child = self.nodes.remove(&node).expect("it runs");
        child.kill().and_then(|()| child.wait()).expect("our own child");
    }

    /// Starts a node that was killed.
    pub(crate) fn restart(&mut self, node: u64) {
        self.spawn(node, None);
    }

    /// Asks a node to end, and sees that it does so in order; returns how long it took.
    pub(crate) fn stop(&mut self, node: u64, within: Duration) -> Duration {
        let (began, child) = (Instant::now(), self.nodes.get(&node).expect("it runs"));
        let pid = Pid::from_raw(child.id().cast_signed()).expect("no process has the id 0");
        kill_process(pid, Signal::TERM).expect("our own child");
        let status = loop {
            let child = self.nodes.get_mut(&node).expect("it runs");
            if let Some(status) = child.try_wait().expect("our own child") {
                break status;
            }
            assert!(began.elapsed() < within, "node {node} does not end: {}", self.log(node));
            look_again();
        };
        assert!(status.success(), "it ended with {status}: {}", self.log(node));
        self.nodes.remove(&node);
        began.elapsed()
    }

    /// Waits until a node has ended by itself; what it said.
    pub(crate) fn ends(&mut self, node: u64) -> String {
        let began = Instant::now();
        // It is let go only once it has ended: a test that fails here must not leave it behind.
        while self.nodes.get_mut(&node).expect("it runs").try_wait().expect("our own child").is_none() {
            assert!(began.elapsed() < PATIENCE, "node {node} does not end: {}", self.log(node));
            look_again();
        }
        self.nodes.remove(&node);
        self.log(node)
    }

    /// Starts a node that must not come up; what it said this time.
    pub(crate) fn start_again(&mut self, node: u64) -> String {
        self.refused(node, None)
    }

    /// Starts a node with an invitation that must not let it in; what it said this time.
    pub(crate) fn joins(&mut self, node: u64, token: &str) -> String {
        self.refused(node, Some(token))
    }

    fn refused(&mut self, node: u64, token: Option<&str>) -> String {
        let before = self.log(node).len();
        let child = self.command(node, token).spawn().expect("the program starts");
        self.nodes.insert(node, child);
        self.ends(node).split_off(before)
    }

    /// Runs the command `matrix` against a node.
    pub(crate) fn matrix(&self, node: u64, arguments: &[&str]) -> Run {
        run(&self.data(node), arguments)
    }

    /// Runs the command `matrix` against a node, with these lines as its input.
    pub(crate) fn matrix_with(&self, node: u64, arguments: &[&str], input: &str) -> Run {
        let path = self.folder.path().join("input");
        std::fs::write(&path, input).expect("our own folder");
        let input = File::open(path).expect("it was written");
        said(command(&self.data(node), arguments).stdin(input))
    }

    /// Runs the command `matrix` against a node without waiting for it.
    pub(crate) fn begin(&self, node: u64, arguments: &[&str]) -> Child {
        let mut command = command(&self.data(node), arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// Asks a Soul by way of a node; the reply as text, or the error.
    pub(crate) fn ask(&self, node: u64, soul: &str, text: &str) -> Result<String, String> {
        let run = self.matrix(node, &["ask", soul, text]);
        if !run.success {
            return Err(run.stderr);
        }
        let reply = run.json()["reply"].clone();
        Ok(reply["text"].as_str().map_or_else(|| reply.to_string(), str::to_owned))
    }

    /// Uploads one of `guests/`, under its own name.
    pub(crate) fn push(&self, node: u64, name: &str) {
        let path = root().join("guests/out").join(format!("{name}.wasm"));
        let path = path.to_str().expect("a path of this project");
        self.matrix(node, &["components", "push", path, "--name", name]).ok();
    }

    /// Applies a manifest that names components beside `guests/worlds`.
    pub(crate) fn apply(&self, node: u64, manifest: &str) {
        let path = self.manifest(manifest);
        self.matrix(node, &["apply", "--wait", &path]).ok();
    }

    pub(crate) fn apply_without_waiting(&self, node: u64, manifest: &str) {
        let path = self.manifest(manifest);
        self.matrix(node, &["apply", &path]).ok();
    }

    fn manifest(&self, text: &str) -> String {
        let guests = root().join("guests/out").canonicalize().expect("guests are built");
        let text = text.replace("../out", guests.to_str().expect("a path of this project"));
        let path = self.folder.path().join("world.toml");
        std::fs::write(&path, text).expect("our own folder");
        path.to_str().expect("a path of ours").to_owned()
    }

    /// A Matrix, once it has finished.
    pub(crate) fn finished(&self, node: u64, matrix: &str) -> Value {
        self.until(node, &["matrices", "show", matrix], |matrix| matrix["state"] == "finished")
    }

    /// The files of a folder of a node that end so.
    pub(crate) fn files(&self, node: u64, folder: &str, end: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.data(node).join(folder)).expect("a folder of the node");
        let paths = files.map(|file| file.expect("a file of the node").path());
        paths.filter(|path| path.extension().is_some_and(|found| found == end)).collect()
    }

    /// Looks until something is so.
    pub(crate) fn eventually(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < PATIENCE, "in vain: {what}");
            look_again();
        }
    }

    /// Asks the same until the answer is what is waited for.
    pub(crate) fn until(&self, node: u64, arguments: &[&str], what: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let run = self.matrix(node, arguments);
            if run.success && what(&run.json()) {
                return run.json();
            }
            let seen = format!("{arguments:?}: {}{}", run.stdout, run.stderr);
            assert!(began.elapsed() < PATIENCE, "{seen}\n{}", self.log(node));
            look_again();
        }
    }

    /// Where a Soul lives.
    pub(crate) fn home(&self, node: u64, soul: &str) -> u64 {
        self.matrix(node, &["souls", "show", soul]).ok().json()["node"].as_u64().expect("a node")
    }

    /// Where all Souls live.
    pub(crate) fn homes(&self, node: u64) -> BTreeMap<String, u64> {
        let list = self.matrix(node, &["souls", "list"]).ok().json();
        let souls = list["souls"].as_array().expect("a list");
        let home = |soul: &Value| {
            let name = soul["manifest"]["name"].as_str().or(soul["name"].as_str());
            (name.expect("a name").to_owned(), soul["node"].as_u64().expect("a node"))
        };
        souls.iter().map(home).collect()
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        for child in self.nodes.values_mut() {
            // What has ended is ended already.
            let _ = child.kill().and_then(|()| child.wait());
        }
        if std::thread::panicking() {
            for node in self.nodes.keys() {
                eprintln!("--- node {node}\n{}", self.log(*node));
            }
        }
    }
}
