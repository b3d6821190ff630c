//! A node of its own for whoever tests: a process on an empty folder, which ends with it.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use matrix_proto::v1::StatusRequest;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::connection::{ConnectionArgs, Node};
use crate::environment::Environment;
use crate::errors::Error;

/// The program.
const PROGRAM: &str = "matrixd";

/// How long it may take to be ready: far beyond what a busy machine needs.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// How often it is asked whether it is ready: another process can only be asked again.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// How long it may take to end before it is killed.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// How much of its log is shown where it does not start, in bytes.
const LOG_BYTES: u64 = 2_000;

/// Ports belong to the machine; the socket in the folder is this node's own. A compiler that is busy, or was built for
/// development, takes its time for an interpreter.
const SETTINGS: &str = "[admin]\nlisten = \"off\"\nhttp = \"off\"\n\
    [components.compiler]\ncpu_seconds_max = 600\nwall_seconds_max = 600\n";

/// A node that runs. Dropped, it is killed; its folder goes with it.
#[derive(Debug)]
pub(crate) struct Home {
    node: Node,
    child: Child,
    // Last, so that the process is gone before its folder is.
    _folder: TempDir,
}

impl Home {
    /// Starts a node, and waits until it is ready. What it compiles is kept in the folder `functions` for the next one.
    ///
    /// # Errors
    /// Where there is no `matrixd`, or it does not start.
    pub(crate) async fn start(functions: Option<&Path>) -> Result<Self, Error> {
        let folder = tempfile::tempdir()
            .map_err(|error| Error::local("cannot make a folder", "the folder of temporary files", error))?;
        let at = |name: &str| folder.path().join(name);
        let (settings, log, data) = (at("matrixd.toml"), at("log"), at("data"));
        std::fs::write(&settings, settings_with(functions))
            .map_err(|error| Error::file("cannot write the file", &settings, error))?;
        let told =
            std::fs::File::create(&log).map_err(|error| Error::file("cannot write the file", &log, error))?;
        let program = program();
        let mut command = Command::new(&program);
        command.arg("--data-dir").arg(&data).arg("--config").arg(&settings);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(told).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::usage("there is no `matrixd` to test on", "put it beside `matrix`, or on your PATH")
            }
            _ => Error::file("cannot run it", &program, error),
        })?;
        let node = ready(&mut child, &data, &log).await?;
        Ok(Self { node, child, _folder: folder })
    }

    /// The way to it.
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Ends it.
    pub(crate) async fn end(mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // One that is gone already needs not be told, and one that does not end is killed with this.
        if id.is_some_and(|id| kill_process(id, Signal::TERM).is_ok()) {
            drop(tokio::time::timeout(END_DEADLINE, self.child.wait()).await);
        }
    }
}

/// The `matrixd` beside this program; where there is none, the one on the PATH.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(PROGRAM));
    beside.filter(|beside| beside.is_file()).unwrap_or_else(|| PROGRAM.into())
}

/// The settings of a node that keeps functions there, if anywhere.
fn settings_with(functions: Option<&Path>) -> String {
    match functions.and_then(Path::to_str) {
        Some(folder) => format!("{SETTINGS}functions_dir = {}\n", toml::Value::from(folder)),
        None => SETTINGS.to_owned(),
    }
}

async fn ready(child: &mut Child, data: &Path, log: &Path) -> Result<Node, Error> {
    let (args, environment) = (ConnectionArgs::of_folder(data), Environment::default());
    let until = Instant::now() + START_DEADLINE;
    loop {
        if let Ok(node) = Node::connect(&args, &environment, None).await {
            let status = async |request| node.cluster().status(request).await;
            if node.call("the node", StatusRequest {}, status).await.is_ok_and(|status| status.ready) {
                return Ok(node);
            }
        }
        let ended = child.try_wait().map_err(|error| Error::local("cannot run it", PROGRAM, error))?;
        if ended.is_some() || Instant::now() >= until {
            return Err(Error::local("the node for the test does not start", PROGRAM, last_of(log)));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// The last lines of a log.
fn last_of(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(LOG_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default().trim().to_owned()
}
