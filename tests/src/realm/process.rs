//! One node as a process, on a folder of its own.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, kill_process, prlimit, waitid};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::PATIENCE;
use crate::net::Net;
use crate::node::built;

/// Lines of a log that are shown where a test fails.
const LINES_SHOWN: usize = 80;
/// How long a node may take to end in order, as an operator is promised.
const END: Duration = Duration::from_secs(10);

/// A node's folder and host, and its process, if one runs.
pub(super) struct Process {
    folder: PathBuf,
    host: usize,
    child: Option<Child>,
}

impl Process {
    pub(super) fn new(folder: PathBuf, host: usize, net: Option<&Net>, more: &str) -> Self {
        std::fs::create_dir(&folder).expect("a folder in the test's own");
        std::fs::write(folder.join("matrixd.toml"), settings(host, net, more)).expect("a file in it");
        Self { folder, host, child: None }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(super) fn launch(&mut self, net: Option<&Net>, join: Option<&str>) {
        assert!(self.child.is_none(), "it runs");
        let log =
            OpenOptions::new().create(true).append(true).open(self.log()).expect("a file in the folder");
        let config = self.folder.join("matrixd.toml");
        let mut command = command(&self.data(), &config, self.host, net, join);
        self.child = Some(command.stderr(log).spawn().expect("matrixd can be run"));
    }

    fn pid(&self) -> Pid {
        let id = self.child.as_ref().and_then(Child::id).expect("it runs");
        Pid::from_raw(id.cast_signed()).expect("no process has the id 0")
    }

    pub(super) async fn kill(&mut self) {
        let pid = self.pid();
        let mut child = self.child.take().expect("it runs");
        kill_process(pid, Signal::KILL).expect("it is a child of this process");
        let status = child.wait().await.expect("a killed process ends");
        assert!(!status.success(), "it was killed, and ended with {status}");
    }

    pub(super) async fn stop(&mut self) -> Duration {
        let (start, pid) = (Instant::now(), self.pid());
        kill_process(pid, Signal::TERM).expect("it is a child of this process");
        let ended = timeout(END, self.child.as_mut().expect("it runs").wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("it has not ended within {END:?}"));
        let status = status.expect("it is a child of this process");
        assert!(status.success(), "it ended with {status}");
        self.child = None;
        start.elapsed()
    }

    pub(super) fn pause(&self) {
        let pid = self.pid();
        kill_process(pid, Signal::STOP).expect("it is a child of this process");
        waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT).expect("it stops");
    }

    pub(super) fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).expect("it is a child of this process");
    }

    /// How many files it has open.
    pub(super) fn files(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.pid().as_raw_nonzero());
        std::fs::read_dir(folder).expect("it runs").count()
    }

    /// Lets it have no more than so many files open.
    pub(super) fn limit_files(&self, most: u64) {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        prlimit(Some(self.pid()), Resource::Nofile, limit).expect("it is a child of this process");
    }

    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    pub(super) async fn ended(&mut self) -> (ExitStatus, String) {
        let ended = timeout(PATIENCE, self.child.as_mut().expect("it was started").wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("it goes on running"));
        self.child = None;
        let said = std::fs::read_to_string(self.log()).expect("its log");
        (status.expect("it is a child of this process"), said)
    }

    pub(super) fn show_log(&self) {
        let log = self.said();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LINES_SHOWN);
        eprintln!("---- {}, from line {from}:\n{}", self.log().display(), lines[from..].join("\n"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.as_ref().and_then(Child::id).is_some() {
            let pid = self.pid();
            // It may have ended by itself. What is left is its status, which the runtime takes.
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        }
    }
}

/// A node's settings.
pub(super) fn settings(host: usize, net: Option<&Net>, more: &str) -> String {
    let listen = match net {
        Some(net) => format!("/ip4/{}/tcp/4001", net.address(host)),
        None => "/ip4/127.0.0.1/tcp/0".to_owned(),
    };
    // Ports of the machine belong to nobody's test; nor are nodes of others to be found.
    format!(
        "[admin]\nlisten = \"off\"\nhttp = \"off\"\n[p2p]\nlisten = [\"{listen}\"]\nmdns = false\n{more}\n"
    )
}

fn command(data: &Path, config: &Path, host: usize, net: Option<&Net>, join: Option<&str>) -> Command {
    let mut command: Command = match net {
        Some(net) => net.command(host, built("matrixd")).into(),
        None => Command::new(built("matrixd")),
    };
    command.arg("--data-dir").arg(data).arg("--config").arg(config);
    command.args(join.iter().flat_map(|token| ["--join", token]));
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs the program where it must not start; returns what it said.
pub(super) async fn refused(
    data: &Path,
    host: usize,
    net: Option<&Net>,
    settings: &str,
    join: Option<&str>,
) -> String {
    let config = data.with_extension("refused.toml");
    std::fs::write(&config, settings).expect("a file in the test's folder");
    let said = data.with_extension("refused.log");
    let log = File::create(&said).expect("a file in the test's folder");
    let mut child = command(data, &config, host, net, join).stderr(log).spawn().expect("matrixd can be run");
    let ended = timeout(PATIENCE, child.wait()).await;
    let said = std::fs::read_to_string(&said).expect("its log");
    let status = ended.unwrap_or_else(|_| panic!("it runs, and must not: {said}"));
    let status = status.expect("it is a child of this process");
    assert!(status.code().is_some_and(|code| code != 0), "it ended with {status}: {said}");
    said
}
