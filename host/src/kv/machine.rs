//! The state machine as Raft sees it: applies the log's entries in memory, and keeps snapshots on disk. It never
//! syncs: what was applied after the last snapshot comes back from the log.

use std::io;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures::stream::TryReadyChunksError;
use futures::{Stream, TryStreamExt};
use openraft::alias::SnapshotOf;
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use tokio::sync::Notify;

use super::bells::Bells;
use super::command::{Answer, Command, Outcome};
use super::raft::{LogEntry, LogId, Membership, TypeConfig, size_in_memory};
use super::snapshot::{Meta, Replica, Shelf, SnapshotFile};
use super::stats::{Counter, Counters};

type Snapshot = SnapshotOf<TypeConfig, SnapshotFile>;

/// Entries that are applied at a time: readers wait for no more, and the room that they take is of one size.
const TOGETHER_MAX: usize = 64;

/// What the state machine shares with readers, watches and the lease keeper.
pub(super) struct Shared {
    replica: RwLock<Replica>,
    /// Tells watches that there is something new.
    pub(super) bells: Bells,
    /// Tells the lease keeper that leases came or went.
    pub(super) leases_changed: Notify,
    pub(super) counters: Arc<Counters>,
    /// Bytes of the state, so that a proposer need not lock it.
    pub(super) state_bytes: Counter,
    /// What was applied since the last snapshot.
    applied_bytes: Counter,
    applied_entries: Counter,
}

/// Where the state was at some moment, as far as others wait for changes.
struct Moment {
    revision: u64,
    lease_changes: u64,
}

/// Raft's hold on the shared state.
#[derive(Clone)]
pub(super) struct Machine {
    shared: Arc<Shared>,
    shelf: Arc<Shelf>,
}

impl Shared {
    pub(super) fn new(replica: Replica, counters: Arc<Counters>) -> Shared {
        let shared = Shared {
            bells: Bells::default(),
            replica: RwLock::new(replica),
            leases_changed: Notify::new(),
            counters,
            state_bytes: Counter::default(),
            applied_bytes: Counter::default(),
            applied_entries: Counter::default(),
        };
        shared.state_bytes.set(shared.read().state.bytes);
        shared
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Replica> {
        self.replica.read().expect("after a panic in the state machine no answer would be right")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Replica> {
        self.replica.write().expect("after a panic in the state machine no answer would be right")
    }

    /// Bytes and entries of the log applied since the last snapshot.
    pub(super) fn since_snapshot(&self) -> (u64, u64) {
        (self.applied_bytes.get(), self.applied_entries.get())
    }

    /// A snapshot of `bytes` is there, which covers so much of what [`Shared::since_snapshot`] told.
    fn snapshot_taken(&self, bytes: u64, (applied_bytes, applied_entries): (u64, u64)) {
        let (now_bytes, now_entries) = self.since_snapshot();
        self.applied_bytes.set(now_bytes.saturating_sub(applied_bytes));
        self.applied_entries.set(now_entries.saturating_sub(applied_entries));
        self.counters.snapshots.add(1);
        self.counters.snapshot_bytes.set(bytes);
    }

    /// Applies entries in order; returns the answer to each.
    fn apply(&self, items: &[EntryResponder<TypeConfig>]) -> Vec<Answer> {
        let mut replica = self.write();
        let answers = items.iter().map(|(entry, _)| apply_entry(&mut replica, entry)).collect();
        let count = items.len() as u64;
        self.state_bytes.set(replica.state.bytes);
        self.applied_bytes.add(items.iter().map(|(entry, _)| size_in_memory(entry) as u64).sum());
        self.applied_entries.add(count);
        drop(replica);
        self.counters.applied_commands.add(count);
        answers
    }

    fn moment(&self) -> Moment {
        let replica = self.read();
        Moment { revision: replica.state.revision, lease_changes: replica.state.lease_changes }
    }

    /// Tells those who wait for it what has changed.
    fn announce_since(&self, before: &Moment) {
        let replica = self.read();
        self.bells.ring(&replica.state.history, before.revision + 1);
        if replica.state.lease_changes != before.lease_changes {
            self.leases_changed.notify_one();
        }
    }
}

/// Does what an entry says.
pub(super) fn apply_entry(replica: &mut Replica, entry: &LogEntry) -> Answer {
    let id = entry.log_id();
    replica.applied = Some(id);
    let nothing = |outcome| Answer { log_index: id.index, revision: replica.state.revision, outcome };
    match &entry.payload {
        EntryPayload::Blank => nothing(Outcome::Done),
        EntryPayload::Membership(membership) => {
            replica.membership = Membership::new(Some(id), membership.clone());
            nothing(Outcome::Done)
        }
        EntryPayload::Normal(proposal) => match Command::decode(proposal) {
            Ok(command) => replica.state.apply(id.index, command),
            Err(_) => nothing(Outcome::Unreadable),
        },
    }
}

impl Machine {
    pub(super) fn new(shared: Arc<Shared>, shelf: Arc<Shelf>) -> Machine {
        Machine { shared, shelf }
    }

    async fn take_snapshot(&self) -> io::Result<()> {
        let (image, covered) = {
            let replica = self.shared.read();
            (replica.image(), self.shared.since_snapshot())
        };
        let shelf = Arc::clone(&self.shelf);
        let bytes = tokio::task::spawn_blocking(move || shelf.write(&image)).await??;
        self.shared.snapshot_taken(bytes, covered);
        Ok(())
    }

    /// Writes a snapshot of which Raft is about to be told. Were Raft to have it written, a disk that is full just
    /// then would stop it for good; so it only ever learns of snapshots that succeeded.
    pub(super) async fn prepare_snapshot(&self) -> io::Result<()> {
        self.take_snapshot().await?;
        self.shelf.mark_fresh();
        Ok(())
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, Membership)> {
        let replica = self.shared.read();
        Ok((replica.applied, replica.membership.clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut chunks = entries.try_ready_chunks(TOGETHER_MAX);
        let before = self.shared.moment();
        while let Some(items) = chunks.try_next().await.map_err(|TryReadyChunksError(_, error)| error)? {
            let answers = self.shared.apply(&items);
            for ((_, responder), answer) in items.into_iter().zip(answers) {
                if let Some(responder) = responder {
                    responder.send(answer);
                }
            }
        }
        // Watches come after those who wait for an answer.
        self.shared.announce_since(&before);
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: SnapshotFile) -> io::Result<()> {
        let (shelf, shared, meta) = (Arc::clone(&self.shelf), Arc::clone(&self.shared), meta.clone());
        let install = move || {
            let bounds = shared.read().state.history.replaced(Vec::new(), 1);
            shelf.install(&meta, snapshot, &bounds)
        };
        let (replica, bytes) = tokio::task::spawn_blocking(install).await??;
        self.shared.state_bytes.set(replica.state.bytes);
        *self.shared.write() = replica;
        self.shared.snapshot_taken(bytes, self.shared.since_snapshot());
        self.shared.bells.ring_all(&self.shared.read().state.history);
        self.shared.leases_changed.notify_one();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.shelf.current()?.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        // The upkeep task has just written one, and asks Raft to take note of it: see there.
        let fresh = self.shelf.take_fresh();
        if !fresh {
            self.take_snapshot().await?;
        }
        let (meta, snapshot) =
            self.shelf.current()?.ok_or_else(|| io::Error::other("the snapshot just taken is gone"))?;
        Ok(Snapshot { meta, snapshot })
    }
}
