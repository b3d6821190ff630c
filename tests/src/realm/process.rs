//! One node as a process, on a folder of its own.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, kill_process, prlimit, waitid};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::PATIENCE;
use crate::cgroup::MemoryGroup;
use crate::faulty::{FaultyDisk, Library};
use crate::net::Net;
use crate::node::built;

/// Lines of a log that are shown where a test fails.
const LINES_SHOWN: usize = 80;
/// Where a node tells its metrics, on a host of its own.
const METRICS: &str = "127.0.0.1:7778";
/// How long a node may take to end in order, as an operator is promised.
const END: Duration = Duration::from_secs(10);

/// A node's folder and host, and its process, if one runs.
pub(super) struct Process {
    folder: PathBuf,
    host: usize,
    child: Option<Child>,
    /// Its disk, where that may fail.
    disk: Option<FaultyDisk>,
}

impl Process {
    pub(super) fn new(folder: PathBuf, host: usize, settings: &str, faulty: Option<&Library>) -> Self {
        std::fs::create_dir(&folder).expect("a folder in the test's own");
        std::fs::write(folder.join("matrixd.toml"), settings).expect("a file in it");
        let disk = faulty.map(|library| FaultyDisk::new(library.clone(), &folder));
        Self { folder, host, child: None, disk }
    }

    pub(super) fn disk(&self) -> &FaultyDisk {
        self.disk.as_ref().expect("the realm's plan has disks that may fail")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(super) fn launch(&mut self, net: Option<&Net>, group: Option<&MemoryGroup>, join: Option<&str>) {
        assert!(self.child.is_none(), "it runs");
        let log =
            OpenOptions::new().create(true).append(true).open(self.log()).expect("a file in the folder");
        let config = self.folder.join("matrixd.toml");
        let mut command = command((&self.data(), &config), (self.host, net), group, join);
        command.envs(self.disk.iter().flat_map(FaultyDisk::settings));
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

    /// What it uses; its tasks, where it tells its metrics in `net`.
    pub(super) fn usage(&self, net: Option<&Net>) -> Usage {
        let status = format!("/proc/{}/status", self.pid().as_raw_nonzero());
        let status = std::fs::read_to_string(status).expect("it runs");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the system tells");
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
        };
        let tasks = net.map(|net| net.inside(self.host, tasks));
        Usage { resident_kib: number("VmRSS"), threads: number("Threads"), files: self.files(), tasks }
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

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Memory that is in RAM, in KiB.
    pub resident_kib: u64,
    /// Its threads.
    pub threads: u64,
    /// Files that it has open.
    pub files: usize,
    /// Asynchronous tasks; none: they are not told.
    pub tasks: Option<u64>,
}

/// Asks the node on this host how many tasks it has.
fn tasks() -> u64 {
    let mut node = TcpStream::connect(METRICS).expect("it tells its metrics");
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: {METRICS}\r\nConnection: close\r\n\r\n");
    let mut told = String::new();
    node.write_all(ask.as_bytes()).and_then(|()| node.read_to_string(&mut told)).expect("it answers");
    let line = told.lines().find(|line| line.starts_with("matrix_tasks"));
    let number = line.and_then(|line| line.rsplit(' ').next()).and_then(|number| number.parse::<f64>().ok());
    number.unwrap_or_else(|| panic!("it tells of its tasks: {told}")) as u64
}

/// A node's settings.
pub(super) fn settings(host: usize, net: Option<&Net>, metrics: bool, more: &str) -> String {
    let http = if metrics { METRICS } else { "off" };
    let listen = match net {
        Some(net) => format!("/ip4/{}/tcp/4001", net.address(host)),
        None => "/ip4/127.0.0.1/tcp/0".to_owned(),
    };
    // Ports of the machine belong to nobody's test; nor are nodes of others to be found.
    format!(
        "[admin]\nlisten = \"off\"\nhttp = \"{http}\"\n[p2p]\nlisten = [\"{listen}\"]\nmdns = false\n{more}\n"
    )
}

/// Goes into the group whose file is the first argument, and becomes the program that the others name.
const INTO_GROUP: &str = "echo $$ > \"$0\" && exec \"$@\"";

fn command(
    (data, config): (&Path, &Path),
    (host, net): (usize, Option<&Net>),
    group: Option<&MemoryGroup>,
    join: Option<&str>,
) -> Command {
    let program = if group.is_some() { PathBuf::from("sh") } else { built("matrixd") };
    let mut command: Command = match net {
        Some(net) => net.command(host, program).into(),
        None => Command::new(program),
    };
    if let Some(group) = group {
        command.args(["-c", INTO_GROUP]).arg(group.members()).arg(built("matrixd"));
    }
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
    let mut child =
        command((data, &config), (host, net), None, join).stderr(log).spawn().expect("matrixd can be run");
    let ended = timeout(PATIENCE, child.wait()).await;
    let said = std::fs::read_to_string(&said).expect("its log");
    let status = ended.unwrap_or_else(|_| panic!("it runs, and must not: {said}"));
    let status = status.expect("it is a child of this process");
    assert!(status.code().is_some_and(|code| code != 0), "it ended with {status}: {said}");
    said
}
