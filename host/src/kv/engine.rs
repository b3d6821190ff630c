//! The thread on which Raft lives, with a runtime of its own: guests that keep the node's threads busy cannot make
//! it miss a heartbeat. Here the room is put together on opening and taken apart on closing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use openraft::impls::BasicNode;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::config::KvConfig;
use super::error::KvError;
use super::history::History;
use super::leading::Leading;
use super::lease::Leases;
use super::log_store::{Log, LogStore};
use super::machine::{Machine, Shared};
use super::members::{self, Members, seen_by};
use super::network::Network;
use super::peers::{Desk, Inbox, Peers};
use super::raft::{self, Raft};
use super::reads::Reads;
use super::room::Room;
use super::snapshot::{Replica, Shelf, make_folder};
use super::stats::Counters;
use super::upkeep;
use super::wal::{Disk, FORMAT_VERSION, Folder, Wal};
use crate::tasks::{Tasks, alert};

/// The log's folder, in the store's.
pub(super) const LOG_FOLDER: &str = "log";
/// The snapshots' folder, in the store's.
pub(super) const SNAPSHOT_FOLDER: &str = "snapshots";
/// A log of the format before this one.
const EARLIER_LOG: &str = "log.redb";
/// How long closing waits for work on the disk that cannot be interrupted (a snapshot being written).
const CLOSING: Duration = Duration::from_secs(5);

/// What the rest of the room works with.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) raft: Raft,
    pub(super) shared: Arc<Shared>,
    pub(super) reads: Reads,
    pub(super) leases: Arc<Leases>,
    pub(super) leading: Leading,
    /// Tells of changes of the members.
    pub(super) members: watch::Receiver<Members>,
    /// Whether there is room for more of the log.
    pub(super) room: Arc<Room>,
}

/// What a store stands on: its disk, the network to other nodes, and where these ask it.
pub(super) struct Ground<N> {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) network: N,
    /// None: a realm of one node.
    pub(super) peers: Option<(Peers, Inbox)>,
    /// Whether a new store is the first of a new realm; otherwise it waits to be taken into one.
    pub(super) founds: bool,
    /// Whether there is room for more of the log.
    pub(super) room: Arc<Room>,
}

/// The thread, as seen from outside.
pub(super) struct Engine {
    pub(super) stop: CancellationToken,
    finished: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Starts the thread, and returns once the store is open and recovered.
    pub(super) async fn start<N: Network>(
        config: KvConfig,
        ground: Ground<N>,
        tasks: &Tasks,
    ) -> Result<(Engine, Parts), KvError> {
        let stop = CancellationToken::new();
        let (ready, opened) = oneshot::channel();
        let (done, finished) = watch::channel(false);
        let (tasks, stopping) = (tasks.clone(), stop.clone());
        let body = move || {
            run(config, ground, &tasks, stopping, ready);
            done.send_replace(true);
        };
        let thread = std::thread::Builder::new().name("kv-raft".into()).spawn(body);
        let thread = thread.map_err(|error| KvError::io("starting the thread of the store", error))?;
        // Made before the wait: where the caller gives up waiting, dropping it stops the thread.
        let engine = Engine { stop, finished, thread: Mutex::new(Some(thread)) };
        let died = |_| KvError::Unavailable("its thread ended while it was opened".into());
        let parts = opened.await.map_err(died)??;
        Ok((engine, parts))
    }

    /// Stops the thread, and returns once the data folder is free for others.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        // It can only fail when the thread has ended.
        drop(self.finished.clone().wait_for(|finished| *finished).await);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.cancel();
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        // Waited for, so that the folder can be opened again at once. A thread cannot wait for itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            drop(thread.join());
        }
    }
}

/// The thread's body.
fn run<N: Network>(
    config: KvConfig,
    ground: Ground<N>,
    tasks: &Tasks,
    stop: CancellationToken,
    ready: oneshot::Sender<Result<Parts, KvError>>,
) {
    let on_disk = OnDisk::open(&config, ground.disk.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| KvError::io("making the runtime of the store", error));
    let (on_disk, runtime) = match (on_disk, runtime) {
        (Ok(on_disk), Ok(runtime)) => (on_disk, runtime),
        (Err(error), _) | (_, Err(error)) => return drop(ready.send(Err(error))),
    };
    let log = Arc::clone(&on_disk.log);
    runtime.block_on(serve(&config, ground, tasks, stop, on_disk, ready));
    runtime.shutdown_timeout(CLOSING);
    // Last of all, what still waits is written. Whom it fails was told.
    drop(log.flush());
}

/// The disk that a node's log is on.
pub(super) fn disk_of(config: &KvConfig) -> Arc<dyn Disk> {
    Arc::new(Folder::new(config.dir.join(LOG_FOLDER)))
}

/// Makes the log's folder in `dir`, and its name and that of `dir` durable.
pub(super) fn make_log_folder(dir: &Path) -> io::Result<()> {
    make_folder(&dir.join(LOG_FOLDER))?;
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
    [Some(dir), above].into_iter().flatten().try_for_each(|folder| File::open(folder)?.sync_all())
}

/// What is open once the folder is.
pub(super) struct OnDisk {
    pub(super) log: Arc<Log>,
    pub(super) shared: Arc<Shared>,
    pub(super) machine: Machine,
}

impl OnDisk {
    pub(super) fn open(config: &KvConfig, disk: Arc<dyn Disk>) -> Result<OnDisk, KvError> {
        let failed = |error| KvError::io(format!("making the folder {}", config.dir.display()), error);
        make_log_folder(&config.dir).map_err(failed)?;
        if config.dir.join(EARLIER_LOG).exists() {
            return Err(KvError::Format { found: "1".into(), known: FORMAT_VERSION });
        }
        // The log first: its lock keeps other processes away from the snapshots too.
        let wal = Wal::open(disk, config.node_id, config.log_segment_bytes)?;
        let history = History::new(config.history_revisions, config.history_bytes, 1);
        let (shelf, replica) = Shelf::open(config.dir.join(SNAPSHOT_FOLDER), &history)?;
        let replica = replica.unwrap_or_else(|| Replica::empty(history));
        if wal.known().purged > replica.applied {
            let detail = "the log was purged beyond the snapshot that is there";
            return Err(KvError::corrupt(config.dir.display().to_string(), detail));
        }
        let counters = Arc::new(Counters::default());
        let log = Log::new(wal, Arc::clone(&counters), config.on_fatal.clone());
        let shared = Arc::new(Shared::new(replica, counters));
        let machine = Machine::new(Arc::clone(&shared), Arc::new(shelf));
        Ok(OnDisk { log, shared, machine })
    }
}

/// Runs Raft and the room's tasks until `stop`.
async fn serve<N: Network>(
    config: &KvConfig,
    Ground { network, peers, founds, room, .. }: Ground<N>,
    tasks: &Tasks,
    stop: CancellationToken,
    OnDisk { log, shared, machine }: OnDisk,
    ready: oneshot::Sender<Result<Parts, KvError>>,
) {
    let (raft_is_over, writing) = (CancellationToken::new(), Arc::clone(&log));
    let over = raft_is_over.clone().drop_guard();
    tasks.spawn("kv-log", async move { raft_is_over.run_until_cancelled(writing.run()).await });
    let closing = stop.clone();
    tasks.spawn("kv-alert", async move { closing.run_until_cancelled(alert::keep()).await });
    let store = LogStore::new(Arc::clone(&log));
    let raft = match start_raft(config, network, founds, store, machine.clone()).await {
        Ok(raft) => raft,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let counters = Arc::clone(&shared.counters);
    let (timeout, (peers, inbox)) = (config.request_timeout(), peers.unzip());
    room.look(None);
    let leading =
        Leading::new(raft.clone(), peers, Arc::clone(&room), Arc::downgrade(&log), config.node_id, timeout);
    let (reads, rounds) = Reads::new(raft.clone(), leading.clone(), timeout, counters);
    let leases = Arc::new(Leases::new(Arc::clone(&shared), raft.clone()));
    let snapshots_in = config.dir.join(SNAPSHOT_FOLDER);
    let desk = Desk::new(
        raft.clone(),
        Arc::clone(&leases),
        leading.clone(),
        Arc::clone(&log),
        timeout,
        snapshots_in,
    );
    let (told, members) = watch::channel(seen_by(&raft));
    let parts = Parts { raft: raft.clone(), shared, reads, leases, leading, members, room };
    let (keeper, stopping) = (Arc::clone(&parts.leases), stop.clone());
    let mut running = vec![
        tasks.spawn("kv-members", members::follow(raft.clone(), told, stop.clone())),
        tasks.spawn("kv-reads", rounds.run(stop.clone())),
        tasks.spawn("kv-leases", async move { keeper.run(stopping).await }),
        tasks
            .spawn("kv-upkeep", upkeep::watch(config.clone(), parts.clone(), Arc::clone(&log), stop.clone())),
        tasks.spawn(
            "kv-snapshots",
            upkeep::snapshots(config.clone(), parts.clone(), log, machine, stop.clone()),
        ),
    ];
    running.extend(inbox.map(|inbox| tasks.spawn("kv-peers", inbox.run(desk, stop.clone()))));
    recover(&parts, founds, timeout).await;
    // Whoever opened the store may have given up: then it closes again.
    if ready.send(Ok(parts)).is_ok() {
        stop.cancelled().await;
    }
    stop.cancel();
    for task in running {
        drop(task.await);
    }
    if let Err(error) = raft.shutdown().await {
        tracing::warn!(%error, "Raft did not stop cleanly");
    }
    drop(over);
}

async fn start_raft<N: Network>(
    config: &KvConfig,
    network: N,
    founds: bool,
    log: LogStore,
    machine: Machine,
) -> Result<Raft, KvError> {
    let failed = |error: &dyn std::fmt::Display| KvError::Unavailable(error.to_string());
    let settings = raft::settings(config).validate().map_err(|error| failed(&error))?;
    let raft = Raft::new(config.node_id, Arc::new(settings), network, log, machine).await;
    let raft = raft.map_err(|error| failed(&error))?;
    if founds && !raft.is_initialized().await.map_err(|error| failed(&error))? {
        let members = BTreeMap::from([(config.node_id, BasicNode::default())]);
        raft.initialize(members).await.map_err(|error| failed(&error))?;
    }
    Ok(raft)
}

/// Waits until the state is what it was. A realm's only voter has recovered when this returns. One of several may wait
/// long for the others: the node starts without them, and its reads say that they are unavailable.
async fn recover(parts: &Parts, founds: bool, timeout: Duration) {
    let raft = &parts.raft;
    if parts.leading.is_alone() {
        // Nobody else can lead, so it need not wait for anybody's lease. A Raft that has stopped says so below.
        drop(raft.trigger().elect(false).await);
    }
    let waits = founds || raft.is_initialized().await.unwrap_or(false);
    if waits && let Err(error) = raft.wait_for_recovery(Some(timeout)).await {
        tracing::warn!(%error, "the store opened before the realm confirmed its log");
    }
}
