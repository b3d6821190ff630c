//! What a store does now and then: it looks at its disk and at Raft, takes snapshots, and purges the log behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::Fatal;
use tokio_util::sync::CancellationToken;

use super::behind::Behind;
use super::config::KvConfig;
use super::engine::Parts;
use super::log_store::Log;
use super::machine::Machine;
use super::raft::{KEPT_ENTRIES, LogId, Raft, TypeConfig};

/// How often the upkeep looks at the disk, at Raft's health and at the log's length.
const UPKEEP: Duration = Duration::from_millis(250);
/// How many times longer than it should be the log gets at most while followers that are behind need it.
const HELD: u64 = 8;
/// How long the upkeep leaves a failed snapshot alone.
const SNAPSHOT_RETRY: Duration = Duration::from_secs(10);
/// How long a node whose disk is full waits for the one that is to lead before it tries again.
const HAND_OVER_RETRY: Duration = Duration::from_secs(2);

/// The lead, which a node whose disk is full gives to one that has room.
#[derive(Default)]
struct Lead {
    /// The term in which this node began to give it away, and when it tried last.
    given: Option<(u64, Instant)>,
}

impl Lead {
    async fn leave_where_full(&mut self, parts: &Parts) {
        let (term, heir) = {
            let metrics = parts.raft.metrics();
            let metrics = metrics.borrow_watched();
            if metrics.current_leader != Some(metrics.id) {
                return self.given = None;
            }
            let voters: BTreeSet<u64> = metrics.membership_config.membership().voter_ids().collect();
            let others = metrics.replication.iter().flatten().filter(|(node, _)| {
                voters.contains(*node) && **node != metrics.id && parts.room.has_told_of_room(**node)
            });
            let heir = others.filter_map(|(node, at)| at.as_ref().map(|at| (at.index, *node))).max();
            (metrics.current_term, heir.map(|(_, node)| node))
        };
        // Raft lets go of the lead for good once it has begun to: where the heir does not take it, another try is due.
        let begun = self.given.filter(|(of, _)| *of == term).map(|(_, when)| when);
        let is_due = begun.map_or(parts.room.is_short(), |when| when.elapsed() >= HAND_OVER_RETRY);
        if let Some(heir) = heir.filter(|_| is_due) {
            tracing::info!(heir, "the disk is full: another node is to lead");
            self.given = Some((term, Instant::now()));
            // Raft that has stopped leads no more.
            drop(parts.raft.trigger().transfer_leader(heir).await);
        }
    }
}

/// Watches the disk's free space and Raft's health, and has the log make room for itself.
pub(super) async fn watch(config: KvConfig, parts: Parts, log: Arc<Log>, stop: CancellationToken) {
    let mut lead = Lead::default();
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        parts.room.look(log.prepare().err().as_ref());
        log.set_has_followers(!parts.leading.is_alone());
        lead.leave_where_full(&parts).await;
        // Asked, and not read from what it told last: a Raft that panicked tells nothing any more. One that is busy
        // is asked again.
        let health = tokio::time::timeout(UPKEEP, parts.raft.is_initialized()).await;
        if let Some(failure) = health.ok().and_then(Result::err).filter(|_| !stop.is_cancelled()) {
            return (config.on_fatal.0)(format!("Raft stopped: {failure}"));
        }
    }
}

/// Takes snapshots when the log has grown enough, and has Raft purge the log behind them.
pub(super) async fn snapshots(
    config: KvConfig,
    parts: Parts,
    log: Arc<Log>,
    machine: Machine,
    stop: CancellationToken,
) {
    let (mut pause, mut behind, sending) = (UPKEEP, Behind::default(), parts.leading.sending());
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = UPKEEP;
        let (bytes, entries) = parts.shared.since_snapshot();
        // A large state is written out less often: at most two bytes of snapshot for a byte of log.
        let enough = config.snapshot_log_bytes.max(parts.shared.state_bytes.get() / 2);
        let is_longer =
            |times: u64| bytes / times >= enough || entries / times >= config.snapshot_log_entries;
        let reach = Reach::of(&parts.raft);
        let needed =
            behind.needs_beyond(Instant::now(), &reach.followers, |node| parts.leading.is_up(node), &sending);
        let needed = needed.filter(|_| !is_longer(HELD) && !parts.room.is_short());
        let beyond = log.beyond(config.snapshot_log_bytes);
        if reach.purge(&parts.raft, needed.map_or(beyond, |needed| beyond.min(Some(needed)))).await.is_err() {
            return;
        }
        // With a snapshot Raft purges what it covers, but for the last entries.
        let is_held = needed.is_some_and(|needed| needed + KEPT_ENTRIES < reach.last);
        if is_held || !is_longer(1) {
            continue;
        }
        if let Err(error) = machine.prepare_snapshot().await {
            tracing::warn!(%error, "a snapshot failed; it is tried again later");
            pause = SNAPSHOT_RETRY;
        } else if parts.raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

/// How far things have come, in indexes of the log.
struct Reach {
    last: u64,
    /// What the last snapshot covers.
    covered: Option<u64>,
    purged: Option<u64>,
    /// On the leader: what each follower has.
    followers: BTreeMap<u64, Option<u64>>,
}

impl Reach {
    fn of(raft: &Raft) -> Reach {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let index = |id: &LogId| id.index;
        let followers = metrics.replication.iter().flatten().filter(|(node, _)| **node != metrics.id);
        Reach {
            last: metrics.last_log_index.unwrap_or(0),
            covered: metrics.snapshot.as_ref().map(index),
            purged: metrics.purged.as_ref().map(index),
            followers: followers.map(|(node, at)| (*node, at.as_ref().map(index))).collect(),
        }
    }

    /// Has the log purged up to `beyond`, as far as a snapshot covers it. Raft keeps a number of entries of what a
    /// snapshot covers; where they are large, so many would fill the disk.
    async fn purge(&self, raft: &Raft, beyond: Option<u64>) -> Result<(), Fatal<TypeConfig>> {
        match beyond.min(self.covered).filter(|upto| Some(*upto) > self.purged) {
            Some(upto) => raft.trigger().purge_log(upto).await,
            None => Ok(()),
        }
    }
}
