//! A realm of real processes: nodes, each on a host of its own of [`crate::net`], what a test does to them
//! ([`TestRealm`]), and clients that write and read meanwhile, whose histories are checked ([`load`]).
//!
//! Where there can be no networks, the nodes are on loopback, and only faults of processes can be had.

mod chance;
mod client;
mod door;
mod evidence;
pub mod load;
mod process;
mod souls;
mod until;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use futures::future::join_all;
use matrix_proto::v1;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

pub use chance::Chance;
pub use door::{Door, reason};
use process::Process;
pub use process::Usage;
pub use until::{until, until_told};

use crate::cgroup::MemoryGroup;
use crate::disk::SmallDisk;
use crate::faulty::{FaultyDisk, Library};
use crate::net::{Net, Unavailable};

/// How long anything may take that is bounded by nothing else: far beyond what a busy machine needs.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// How long a node may take to tell how it is, before it counts as silent.
const STATUS: Duration = Duration::from_millis(500);

/// One realm a process at a time: what is measured is then that realm's.
static ONLY: Mutex<()> = Mutex::const_new(());

/// What a realm is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many nodes it starts with.
    pub nodes: usize,
    /// How many hosts there are: room for nodes that come later.
    pub hosts: usize,
    /// More settings of every node, as tables of its configuration.
    pub settings: String,
    /// Bytes of a disk of its own for each node's data folder; none: that of the machine.
    pub disk_bytes: Option<u64>,
    /// Whether disks may be told to fail.
    pub faulty: bool,
    /// Bytes of memory that the nodes may have together; none: those of the machine.
    pub memory_bytes: Option<u64>,
    /// Whether nodes tell their metrics, where each has a host of its own.
    pub metrics: bool,
    /// From which seed the chances of the network follow.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 3,
            hosts: 3,
            settings: String::new(),
            disk_bytes: None,
            faulty: false,
            memory_bytes: None,
            metrics: false,
            seed: 1,
        }
    }
}

/// A realm. Dropping it kills its processes and removes their folders; where a test fails, it first shows the ends
/// of their logs.
pub struct TestRealm {
    // Before what they run on: they are dropped in this order.
    nodes: Vec<Process>,
    net: Result<Net, Unavailable>,
    disks: Result<Vec<SmallDisk>, Unavailable>,
    disk_bytes: Option<u64>,
    faulty: Option<Result<Library, Unavailable>>,
    memory: Option<Result<MemoryGroup, Unavailable>>,
    metrics: bool,
    folder: TempDir,
    settings: String,
    _only: MutexGuard<'static, ()>,
}

impl TestRealm {
    /// Three nodes, once they have a leader and all three decide.
    pub async fn start() -> Self {
        Self::start_with(Plan::default()).await
    }

    /// A realm by a plan.
    pub async fn start_with(plan: Plan) -> Self {
        let only = ONLY.lock().await;
        // Who enters a network sees no groups any more, and so not what memory there is.
        let net = match plan.memory_bytes {
            None => Net::with_seed(plan.hosts, plan.seed),
            Some(_) => Err(Unavailable::new("its memory is bounded".to_owned())),
        };
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (disks, disk_bytes) = (Ok(Vec::new()), plan.disk_bytes);
        let (nodes, settings) = (Vec::new(), plan.settings);
        let faulty = plan.faulty.then(|| Library::build(folder.path()));
        let (metrics, memory) = (plan.metrics && net.is_ok(), plan.memory_bytes.map(MemoryGroup::new));
        let mut realm =
            Self { nodes, net, disks, disk_bytes, faulty, memory, metrics, folder, settings, _only: only };
        realm.add(0, None).await;
        let mut invitations = Vec::new();
        for _ in 1..plan.nodes {
            invitations.push(realm.invite(0, 0).await);
        }
        for (host, token) in (1..).zip(&invitations) {
            realm.launch(host, Some(token));
        }
        realm.until_ready().await;
        realm
    }

    /// The network, or why there is none.
    pub fn net(&self) -> Result<&Net, &Unavailable> {
        self.net.as_ref()
    }

    /// The disks of the nodes, by their places, or why there are none.
    pub fn disks(&self) -> Result<&[SmallDisk], &Unavailable> {
        self.disks.as_deref()
    }

    /// The disk of a node, by its place, where the plan has disks that may fail; or why there are none.
    pub fn faulty(&self, node: usize) -> Result<&FaultyDisk, &Unavailable> {
        let library = self.faulty.as_ref().expect("the plan has disks that may fail");
        library.as_ref().map(|_| self.nodes[node].disk())
    }

    /// What bounds the nodes' memory, where the plan has it; or why nothing does.
    pub fn memory(&self) -> Result<&MemoryGroup, &Unavailable> {
        self.memory.as_ref().expect("the plan bounds memory").as_ref()
    }

    fn group(&self) -> Option<&MemoryGroup> {
        self.memory.as_ref()?.as_ref().ok()
    }

    /// Starts a new node on a host, and waits until it is ready; returns its place.
    pub async fn add(&mut self, host: usize, join: Option<&str>) -> usize {
        let node = self.launch(host, join);
        self.until_up(node).await;
        node
    }

    /// Starts a new node; returns its place.
    pub fn launch(&mut self, host: usize, join: Option<&str>) -> usize {
        let node = self.nodes.len();
        let folder = self.folder.path().join(format!("node-{node}"));
        let library = self.faulty.as_ref().and_then(|library| library.as_ref().ok());
        let settings = process::settings(host, self.net.as_ref().ok(), self.metrics, &self.settings);
        let mut process = Process::new(folder, host, &settings, library);
        if let (Some(bytes), Ok(disks)) = (self.disk_bytes, &mut self.disks) {
            match SmallDisk::mount(&process.data(), bytes) {
                Ok(disk) => disks.push(disk),
                Err(why) => self.disks = Err(why),
            }
        }
        process.launch(self.net.as_ref().ok(), self.group(), join);
        self.nodes.push(process);
        node
    }

    /// How many nodes there are, running or not.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A node's data folder.
    pub fn data(&self, node: usize) -> PathBuf {
        self.nodes[node].data()
    }

    /// The way to a node.
    pub fn door(&self, node: usize) -> Door {
        Door::new(&self.data(node))
    }

    /// The ways to all nodes.
    pub fn doors(&self) -> Vec<Door> {
        (0..self.len()).map(|node| self.door(node)).collect()
    }

    /// Ends a node as a power cut would, as far as the process can tell.
    pub async fn kill(&mut self, node: usize) {
        self.nodes[node].kill().await;
    }

    /// Asks a node to end, checks that it ends well, and returns how long it took.
    pub async fn stop(&mut self, node: usize) -> Duration {
        self.nodes[node].stop().await
    }

    /// Stops a node's threads, until [`TestRealm::resume`].
    pub fn pause(&self, node: usize) {
        self.nodes[node].pause();
    }

    /// Lets a paused node go on.
    pub fn resume(&self, node: usize) {
        self.nodes[node].resume();
    }

    /// How many files a node has open.
    pub fn files(&self, node: usize) -> usize {
        self.nodes[node].files()
    }

    /// Lets a node have no more than so many files open, from now on.
    pub fn limit_files(&self, node: usize, most: u64) {
        self.nodes[node].limit_files(most);
    }

    /// What a node uses.
    pub fn usage(&self, node: usize) -> Usage {
        self.nodes[node].usage(self.net.as_ref().ok().filter(|_| self.metrics))
    }

    /// What a node has said so far.
    pub fn log(&self, node: usize) -> String {
        self.nodes[node].said()
    }

    /// Starts an ended node again, and does not wait for it.
    pub fn restart(&mut self, node: usize) {
        let group = self.memory.as_ref().and_then(|memory| memory.as_ref().ok());
        self.nodes[node].launch(self.net.as_ref().ok(), group, None);
    }

    /// Waits until a node's process has ended by itself; returns how, and what it said.
    pub async fn ended(&mut self, node: usize) -> (ExitStatus, String) {
        self.nodes[node].ended().await
    }

    /// Runs the program on the data folder `data`, on `host`, where it must not start. Returns what it said.
    pub async fn refused(&self, data: &Path, host: usize, join: Option<&str>) -> String {
        let settings = process::settings(host, self.net.as_ref().ok(), false, &self.settings);
        process::refused(data, host, self.net.as_ref().ok(), &settings, join).await
    }

    /// A folder of this test's own, that no node has.
    pub fn spare(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An invitation by a node, good for `seconds`, or for the usual time where that is 0.
    pub async fn invite(&self, node: usize, seconds: u64) -> String {
        let door = self.door(node);
        let ask = door.request(v1::InviteRequest { ttl_seconds: seconds });
        door.cluster().invite(ask).await.expect("an invitation").into_inner().token
    }

    /// How a node says that it is; none: it is silent.
    pub async fn status(&self, node: usize) -> Option<v1::StatusResponse> {
        self.door(node).status(STATUS).await
    }

    /// How all nodes say that they are.
    pub async fn statuses(&self) -> Vec<Option<v1::StatusResponse>> {
        join_all((0..self.len()).map(|node| self.status(node))).await
    }

    /// The nodes of the realm, as one sees them.
    pub async fn list(&self, node: usize, removed: bool) -> Vec<v1::Node> {
        let door = self.door(node);
        let ask = door.request(v1::ListNodesRequest { page: None, removed });
        door.cluster().list_nodes(ask).await.expect("the nodes").into_inner().nodes
    }

    /// Waits until a node answers, and takes part.
    pub async fn until_up(&self, node: usize) -> Duration {
        let up = || async { self.status(node).await.filter(|status| status.ready).map(drop) };
        until(&format!("node {node} is up"), PATIENCE, up).await.1
    }

    /// Waits until all nodes are alive and decide.
    pub async fn until_ready(&self) -> Duration {
        let ready = || async {
            let told = self.statuses().await;
            let all = Some(told.len() as u64);
            let alive = told.iter().all(|status| status.as_ref().map(|status| status.nodes_alive) == all);
            let role = |status: &v1::StatusResponse| status.raft.as_ref().map(|raft| raft.role.clone());
            let roles: Vec<_> = told.iter().map(|status| status.as_ref().and_then(role)).collect();
            let count = |role: &str| roles.iter().filter(|of| of.as_deref() == Some(role)).count();
            let decide = count("leader") == 1 && count("follower") == told.len() - 1;
            let seen = || told.iter().map(standing).collect::<Vec<_>>().join("; ");
            (alive && decide).then_some(()).ok_or_else(seen)
        };
        until_told("all nodes are alive and decide", PATIENCE, ready).await.1
    }

    /// Waits until all nodes have applied the same part of the log, which must have made the same of each.
    pub async fn until_same(&self) {
        let same = || async {
            let told = self.statuses().await;
            let raft = |status: &Option<v1::StatusResponse>| status.as_ref()?.raft.clone();
            let states: Option<Vec<_>> = told.iter().map(raft).collect();
            let first = states.as_ref().and_then(|states| states.first()).map_or(0, |raft| raft.applied);
            let even = states.filter(|states| states.iter().all(|raft| raft.applied == first));
            even.ok_or_else(|| told.iter().map(standing).collect::<Vec<_>>().join("; "))
        };
        let states = until_told("all nodes have applied the same", PATIENCE, same).await.0;
        let same = states.windows(2).all(|pair| pair[0].revision == pair[1].revision);
        assert!(same, "the same entries made different states: {states:?}");
    }

    /// The place of the node that leads, as far as nodes tell: in the highest term in which any does.
    pub async fn leads(&self) -> Option<usize> {
        let told = self.statuses().await;
        let leading = told.iter().enumerate().filter_map(|(node, status)| {
            let raft = status.as_ref()?.raft.as_ref()?;
            (raft.role == "leader").then_some((raft.term, node))
        });
        leading.max().map(|(_, node)| node)
    }

    /// Waits for a leader.
    pub async fn leader(&self) -> usize {
        until("there is a leader", PATIENCE, || self.leads()).await.0
    }

    /// Waits until another than `before` leads; returns it, and how long that took.
    pub async fn leader_after(&self, before: usize, within: Duration) -> (usize, Duration) {
        let other = || async { self.leads().await.filter(|node| *node != before) };
        until("another node leads", within, other).await
    }
}

impl Drop for TestRealm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.nodes.iter().for_each(Process::show_log);
        }
    }
}

/// How a node says that it stands, in a few words.
fn standing(status: &Option<v1::StatusResponse>) -> String {
    let Some(status) = status else { return "silent".to_owned() };
    let raft = status.raft.clone().unwrap_or_default();
    let v1::RaftStatus { role, term, applied, revision } = raft;
    let alive = status.nodes_alive;
    format!("{role} of term {term}, applied {applied}, revision {revision}, sees {alive} alive")
}
