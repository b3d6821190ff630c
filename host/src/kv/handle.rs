//! [`Kv`], the handle that the node works with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::{Semaphore, watch as tell};

use super::behind::Sending;
use super::command::{Answer, Command, Op, Outcome};
use super::config::KvConfig;
use super::engine::{Engine, Ground, Parts, disk_of};
use super::error::{KvError, WatchError};
use super::network::{Network, NoPeers};
use super::peers::{self, Peers, Roster, Server};
use super::requests::WINDOW_REQUESTS;
use super::room::Room;
use super::stats::KvStats;
use super::types::{
    Condition, Expect, LEASE_TTL_MAX, LEASE_TTL_MIN, LeaseId, Mutation, Path, Reply, RequestId, Swap, Txn,
    TxnOutcome,
};
use super::wal::Disk;
use super::watch::{self, Watch};
use crate::p2p::P2p;
use crate::p2p::rpc::Rpc;
use crate::tasks::Tasks;

/// Bytes that one permit of the semaphore of writes under way stands for.
const PERMIT_BYTES: usize = 1_024;

/// A handle on the store. Cheap to clone; when the last one is dropped the store closes, as it does on
/// [`Kv::close`].
///
/// Every mutation takes an optional [`RequestId`]. With one, it can be retried after any error without being done
/// twice; without, an `Unavailable` leaves open whether it was done. A mutation is acknowledged only when a quorum
/// has it on disk.
#[derive(Clone)]
pub struct Kv(Arc<Inner>);

/// A [`Kv`] that does not keep the store open.
#[derive(Clone)]
pub struct WeakKv(std::sync::Weak<Inner>);

impl WeakKv {
    /// The store, if it is still open.
    pub fn upgrade(&self) -> Option<Kv> {
        self.0.upgrade().map(Kv)
    }
}

impl std::fmt::Debug for Kv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kv")
    }
}

struct Inner {
    config: KvConfig,
    parts: Parts,
    under_way: Semaphore,
    /// Tells this process's own request ids from all others; the second part counts them.
    own_requests: (u64, AtomicU64),
    /// Last, so that it outlives all that works with it.
    engine: Engine,
}

impl Kv {
    /// Opens the store in `config.dir`, as the only node of its realm, and returns once it has recovered what was
    /// acknowledged before. `tasks` runs its tasks; close the store before stopping `tasks`.
    ///
    /// # Errors
    /// `Config`, `Locked`, `WrongNode`, `Format`, `Corrupt`, `Io` or `Unavailable`.
    pub async fn open(config: KvConfig, tasks: &Tasks) -> Result<Kv, KvError> {
        let disk = disk_of(&config);
        Kv::open_alone(config, disk, tasks).await
    }

    /// As [`Kv::open`], with a disk for the log.
    pub(super) async fn open_alone(
        config: KvConfig,
        disk: Arc<dyn Disk>,
        tasks: &Tasks,
    ) -> Result<Kv, KvError> {
        let room = Arc::new(Room::new(&config));
        Kv::open_on(config, Ground { disk, network: NoPeers, peers: None, founds: true, room }, tasks).await
    }

    /// Opens the store in `config.dir` as one of the nodes of a realm, which `network` reaches and `roster` names. A
    /// new store that `founds` is the first of a new realm; any other waits until the realm's leader takes it in.
    /// Returns once it has recovered, or has waited for the realm for as long as a request may take.
    ///
    /// # Errors
    /// As [`Kv::open`].
    pub async fn open_in_realm(
        config: KvConfig,
        network: &P2p,
        roster: &Roster,
        founds: bool,
        tasks: &Tasks,
    ) -> Result<Kv, KvError> {
        let (disk, me) = (disk_of(&config), config.node_id);
        let (server, inbox) = Server::new(roster.clone(), me);
        let rpc = Rpc::open(network, peers::LANE, Arc::new(server)).await;
        let room = Arc::new(Room::new(&config));
        let network =
            Peers { rpc, roster: roster.clone(), me, room: Arc::clone(&room), sending: Sending::default() };
        let peers = Some((network.clone(), inbox));
        Kv::open_on(config, Ground { disk, network, peers, founds, room }, tasks).await
    }

    async fn open_on<N: Network>(config: KvConfig, ground: Ground<N>, tasks: &Tasks) -> Result<Kv, KvError> {
        config.check()?;
        let mut process = [0; 8];
        getrandom::fill(&mut process).map_err(|error| KvError::io("drawing a random number", error))?;
        let own_requests = (u64::from_be_bytes(process), AtomicU64::new(0));
        let under_way = Semaphore::new(config.inflight_bytes_max.div_ceil(PERMIT_BYTES));
        let config = KvConfig { on_fatal: config.on_fatal.once(), ..config };
        let (engine, parts) = Engine::start(config.clone(), ground, tasks).await?;
        Ok(Kv(Arc::new(Inner { config, parts, under_way, own_requests, engine })))
    }

    /// Stops the store and returns once its folder is free. Requests under way fail as `Closed`, watches end.
    pub async fn close(&self) {
        self.0.engine.close().await;
    }

    /// Checks `bucket` and `key`, for use in a [`Txn`].
    ///
    /// # Errors
    /// `InvalidBucket`, `KeyEmpty` or `KeyTooLarge`.
    pub fn path(&self, bucket: &str, key: &[u8]) -> Result<Path, KvError> {
        Path::new(bucket, key, self.0.config.key_bytes_max)
    }

    /// Stores `value`. The key is deleted with `lease`; without one it is bound to none, whatever it was before.
    ///
    /// # Errors
    /// A refusal named in [`KvError`], `NoSuchLease` among them, or `Unavailable`.
    pub async fn put(
        &self,
        bucket: &str,
        key: &[u8],
        value: Bytes,
        lease: Option<LeaseId>,
        request: Option<RequestId>,
    ) -> Result<Reply<()>, KvError> {
        self.0.config.check_value(&value)?;
        let path = self.path(bucket, key)?;
        let answer = self.propose(request, Op::Mutate(Mutation::Put { path, value, lease })).await?;
        reply(answer, |outcome| matches!(outcome, Outcome::Done).then_some(()))
    }

    /// Deletes a key; says whether it was there.
    ///
    /// # Errors
    /// A refusal named in [`KvError`], or `Unavailable`.
    pub async fn delete(
        &self,
        bucket: &str,
        key: &[u8],
        request: Option<RequestId>,
    ) -> Result<Reply<bool>, KvError> {
        let path = self.path(bucket, key)?;
        let answer = self.propose(request, Op::Mutate(Mutation::Delete { path })).await?;
        reply(answer, |outcome| if let Outcome::Deleted { existed } = outcome { Some(existed) } else { None })
    }

    /// Stores `new`, or deletes the key where it is `None`, if the key holds what is expected. A lease that the key
    /// is bound to stays.
    ///
    /// # Errors
    /// A refusal named in [`KvError`], or `Unavailable`. A conflict is no error.
    pub async fn compare_and_swap(
        &self,
        bucket: &str,
        key: &[u8],
        expect: Expect,
        new: Option<Bytes>,
        request: Option<RequestId>,
    ) -> Result<Reply<Swap>, KvError> {
        self.0.config.check_expect(&expect)?;
        new.as_ref().map_or(Ok(()), |value| self.0.config.check_value(value))?;
        let condition = Condition { path: self.path(bucket, key)?, expect };
        let answer = self.propose(request, Op::Swap { condition, new }).await?;
        reply(answer, |outcome| match outcome {
            Outcome::Swapped => Some(Swap::Swapped),
            Outcome::Conflict { current } => Some(Swap::Conflict { current: current.map(|entry| *entry) }),
            _ => None,
        })
    }

    /// Adds `delta` to a decimal number and returns the sum. A key that does not exist counts as 0.
    ///
    /// # Errors
    /// `NotANumber`, `Overflow`, another refusal named in [`KvError`], or `Unavailable`.
    pub async fn increment(
        &self,
        bucket: &str,
        key: &[u8],
        delta: u64,
        request: Option<RequestId>,
    ) -> Result<Reply<u64>, KvError> {
        let path = self.path(bucket, key)?;
        let answer = self.propose(request, Op::Mutate(Mutation::Increment { path, delta })).await?;
        reply(answer, |outcome| if let Outcome::Number(number) = outcome { Some(number) } else { None })
    }

    /// Does all of a transaction, or nothing.
    ///
    /// # Errors
    /// `TxnTooLarge`, `NoSuchLease`, `NotANumber`, `Overflow`, another refusal named in [`KvError`], or
    /// `Unavailable`. A condition that does not hold is no error.
    pub async fn batch(&self, txn: Txn, request: Option<RequestId>) -> Result<Reply<TxnOutcome>, KvError> {
        self.0.config.check_txn(&txn)?;
        let answer = self.propose(request, Op::Txn(txn)).await?;
        reply(answer, |outcome| match outcome {
            Outcome::Done => Some(TxnOutcome::Committed),
            Outcome::Unmet { condition } => {
                Some(TxnOutcome::Refused { condition: usize::try_from(condition).unwrap_or(usize::MAX) })
            }
            _ => None,
        })
    }

    /// Watches the keys of `bucket` that begin with `prefix`: from revision `from_revision` on, if it is still kept,
    /// or from now on. To miss nothing, read a range and watch from its revision plus one.
    ///
    /// # Errors
    /// `InvalidBucket` or `Compacted`.
    pub fn watch(
        &self,
        bucket: &str,
        prefix: &[u8],
        from_revision: Option<u64>,
    ) -> Result<Watch, WatchError> {
        let closed = self.0.engine.stop.child_token();
        let buffer = self.0.config.watch_buffer;
        watch::open(&self.0.parts.shared, closed, buffer, (bucket, prefix), from_revision)
    }

    /// Grants a lease of `ttl`, within [`LEASE_TTL_MIN`] and [`LEASE_TTL_MAX`], in whole milliseconds. It ends, and
    /// its keys with it, when it has not been kept alive for that time by the leader's monotonic clock; after a
    /// change or restart of the leader the time counts anew.
    ///
    /// # Errors
    /// `InvalidTtl`, `TooManyLeases`, another refusal named in [`KvError`], or `Unavailable`.
    pub async fn grant_lease(
        &self,
        ttl: Duration,
        request: Option<RequestId>,
    ) -> Result<Reply<LeaseId>, KvError> {
        if !(LEASE_TTL_MIN..=LEASE_TTL_MAX).contains(&ttl) {
            return Err(KvError::InvalidTtl);
        }
        let ttl_ms = u64::try_from(ttl.as_millis()).map_err(|_| KvError::InvalidTtl)?;
        let answer = self.propose(request, Op::GrantLease { ttl_ms }).await?;
        reply(answer, |outcome| if let Outcome::Granted(lease) = outcome { Some(lease) } else { None })
    }

    /// Gives a lease its full time again; returns that time. Asks the leader only, not the log.
    ///
    /// # Errors
    /// `NoSuchLease` or `Unavailable`.
    pub async fn keep_alive(&self, lease: LeaseId) -> Result<Duration, KvError> {
        match self.0.parts.leases.keep_alive(lease) {
            Err(KvError::NotLeader { .. }) => self.0.parts.leading.keep_alive(lease).await,
            here => here,
        }
    }

    /// Ends a lease and deletes its keys; returns once all are deleted.
    ///
    /// # Errors
    /// `NoSuchLease`, another refusal named in [`KvError`], or `Unavailable`.
    pub async fn revoke_lease(&self, lease: LeaseId) -> Result<Reply<()>, KvError> {
        let mut begun = false;
        loop {
            let answer = match self.propose(None, Op::EndLease { lease }).await {
                // The keeper of leases took over the rest.
                Err(KvError::NoSuchLease) if begun => self.propose(None, Op::Txn(Txn::default())).await?,
                other => other?,
            };
            if !matches!(answer.outcome, Outcome::LeaseEnded { more: true }) {
                return Ok(Reply { log_index: answer.log_index, revision: answer.revision, value: () });
            }
            begun = true;
        }
    }

    /// What is short where this node has no room for more of the log, and what to free; changes are told. What the realm
    /// writes does not come to it then, and where it leads alone, nothing is written.
    pub fn short(&self) -> tell::Receiver<Option<String>> {
        self.0.parts.room.short()
    }

    pub(super) fn parts(&self) -> (&KvConfig, &Parts) {
        (&self.0.config, &self.0.parts)
    }

    /// A handle that does not keep the store open.
    pub fn downgrade(&self) -> WeakKv {
        WeakKv(Arc::downgrade(&self.0))
    }

    /// Figures of this moment.
    pub fn stats(&self) -> KvStats {
        let parts = &self.0.parts;
        let mut stats = parts.shared.counters.read();
        let replica = parts.shared.read();
        stats.keys = replica.state.entries.len() as u64;
        stats.state_bytes = replica.state.bytes;
        stats.leases = replica.state.leases.len() as u64;
        stats.revision = replica.state.revision;
        stats.oldest_revision = replica.state.history.oldest();
        stats.applied_index = replica.applied_index();
        drop(replica);
        let metrics = parts.raft.metrics();
        let metrics = metrics.borrow_watched();
        stats.term = metrics.current_term;
        stats.last_log_index = metrics.last_log_index.unwrap_or(0);
        stats.purged_index = metrics.purged.map_or(0, |id| id.index);
        stats.is_leader = u64::from(metrics.current_leader == Some(metrics.id));
        stats
    }

    /// Proposes `op` and waits for the answer; refusals by the state machine are errors.
    pub(super) async fn propose(&self, request: Option<RequestId>, op: Op) -> Result<Answer, KvError> {
        let counters = &self.0.parts.shared.counters;
        counters.writes.add(1);
        let answer = self.try_propose(request, op).await.and_then(|answer| match answer.outcome {
            Outcome::NotANumber => Err(KvError::NotANumber),
            Outcome::Overflow => Err(KvError::Overflow),
            Outcome::NoSuchLease => Err(KvError::NoSuchLease),
            Outcome::TooManyLeases => Err(KvError::TooManyLeases),
            Outcome::TooLate => Err(KvError::Unavailable("it was tried for too long".into())),
            Outcome::Unreadable => Err(KvError::Unavailable("the realm runs an older version".into())),
            _ => Ok(answer),
        });
        answer.inspect_err(|_| counters.writes_failed.add(1))
    }

    async fn try_propose(&self, request: Option<RequestId>, op: Op) -> Result<Answer, KvError> {
        let Inner { config, parts, under_way, engine, .. } = &*self.0;
        let size = op.size();
        if op.grows() && parts.shared.state_bytes.get() + size as u64 > config.state_bytes_max {
            return Err(KvError::Full { limit: config.state_bytes_max });
        }
        // Held until the answer is there: what is under way is bounded, and what is too much is told so at once.
        let permits = u32::try_from(1 + size / PERMIT_BYTES).unwrap_or(u32::MAX);
        let _permit = under_way.try_acquire_many(permits).map_err(|_| KvError::Overloaded)?;
        let command = self.command(request, op);
        // Boxed: callers' futures hold it, layer upon layer.
        let written = Box::pin(parts.leading.write(&command)).await;
        written.map_err(|error| if engine.stop.is_cancelled() { KvError::Closed } else { error })
    }

    /// The command for `op`. Where other nodes decide too, a try that fails leaves open what was done: the command
    /// gets a request id, and is not applied once that may have been forgotten.
    fn command(&self, request: Option<RequestId>, op: Op) -> Command {
        let Inner { parts, own_requests: (process, count), .. } = &*self.0;
        if request.is_none() && parts.leading.is_alone() {
            return Command { request, last_index: None, op };
        }
        let request = request.unwrap_or_else(|| {
            let count = count.fetch_add(1, Ordering::Relaxed);
            RequestId((u128::from(*process) << 64 | u128::from(count)).to_be_bytes())
        });
        let last_index = parts.shared.read().applied_index() + WINDOW_REQUESTS as u64 / 2;
        Command { request: Some(request), last_index: Some(last_index), op }
    }
}

/// The reply that an answer holds; an answer of another kind is one to another use of the same request id.
pub(super) fn reply<T>(
    answer: Answer,
    value: impl FnOnce(Outcome) -> Option<T>,
) -> Result<Reply<T>, KvError> {
    let value = value(answer.outcome).ok_or(KvError::RequestIdReused)?;
    Ok(Reply { log_index: answer.log_index, revision: answer.revision, value })
}
