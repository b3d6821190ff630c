//! The leader's clock over leases. Deadlines are the leader's own and monotonic: no wall clock moves them, and a new
//! leader gives every lease its full time again. That a lease is over is then a command like any other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::command::{Command, Op};
use super::error::KvError;
use super::machine::Shared;
use super::raft::Raft;
use super::types::LeaseId;

/// How often deadlines are looked at: leases are for liveness, a tenth of a second more is nothing to them.
const TICK: Duration = Duration::from_millis(100);
/// How long one end may take before it is left for the next tick: others must not wait for an answer that may never
/// come.
const END: Duration = Duration::from_secs(1);

/// Deadlines of all leases, while this node leads.
pub(super) struct Leases {
    shared: Arc<Shared>,
    raft: Raft,
    deadlines: Mutex<Deadlines>,
}

#[derive(Default)]
struct Deadlines {
    by_lease: HashMap<LeaseId, Deadline>,
    /// The term in which they count; in another one they start anew.
    term: Option<u64>,
    /// The count of lease changes up to which the table is in step with the state.
    seen_changes: Option<u64>,
}

struct Deadline {
    at: Instant,
    ttl: Duration,
    /// Its end is being proposed: it can no longer be kept alive.
    ending: bool,
}

impl Leases {
    pub(super) fn new(shared: Arc<Shared>, raft: Raft) -> Leases {
        Leases { shared, raft, deadlines: Mutex::default() }
    }

    /// Gives `lease` its full time again; returns that time.
    pub(super) fn keep_alive(&self, lease: LeaseId) -> Result<Duration, KvError> {
        let term = self.leading_term()?;
        let mut deadlines = self.in_step(term);
        let deadline = deadlines.by_lease.get_mut(&lease).filter(|deadline| !deadline.ending);
        let deadline = deadline.ok_or(KvError::NoSuchLease)?;
        deadline.at = Instant::now() + deadline.ttl;
        Ok(deadline.ttl)
    }

    /// Ends leases whose time is over, until `stop`.
    pub(super) async fn run(&self, stop: CancellationToken) {
        loop {
            let wait = async {
                if self.shared.read().state.leases.is_empty() {
                    self.shared.leases_changed.notified().await;
                } else {
                    tokio::time::sleep(TICK).await;
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = wait => {}
            }
            let Ok(term) = self.leading_term() else { continue };
            for lease in self.over(term) {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.end(lease) => {}
                }
            }
        }
    }

    /// Marks the leases that are over, and those of which an earlier end was not finished.
    fn over(&self, term: u64) -> Vec<LeaseId> {
        let now = Instant::now();
        let mut deadlines = self.in_step(term);
        let mut over = Vec::new();
        for (lease, deadline) in &mut deadlines.by_lease {
            if deadline.at <= now || deadline.ending {
                deadline.ending = true;
                over.push(*lease);
            }
        }
        over
    }

    /// Proposes one step of a lease's end. A step that fails, and what one step leaves, is for the next tick.
    async fn end(&self, lease: LeaseId) {
        let command = Command { request: None, last_index: None, op: Op::EndLease { lease } };
        match tokio::time::timeout(END, self.raft.client_write(command.encode())).await {
            Ok(Ok(_)) => self.shared.counters.leases_expired.add(u64::from(!self.known(lease))),
            Ok(Err(error)) => tracing::debug!(%lease, %error, "the end of a lease is proposed again later"),
            Err(_) => tracing::warn!(%lease, "the end of a lease was not answered; it is proposed again"),
        }
    }

    fn known(&self, lease: LeaseId) -> bool {
        self.shared.read().state.leases.contains_key(&lease)
    }

    /// The deadlines, in step with the state and the term.
    fn in_step(&self, term: u64) -> MutexGuard<'_, Deadlines> {
        let mut deadlines = self.deadlines.lock().expect("no code panics while it holds the deadlines");
        if deadlines.term != Some(term) {
            *deadlines = Deadlines { term: Some(term), ..Deadlines::default() };
        }
        let replica = self.shared.read();
        let state = &replica.state;
        if deadlines.seen_changes != Some(state.lease_changes) {
            let now = Instant::now();
            deadlines.by_lease.retain(|lease, _| state.leases.contains_key(lease));
            for (id, lease) in &state.leases {
                let ttl = Duration::from_millis(lease.ttl_ms);
                let deadline = deadlines.by_lease.entry(*id);
                let deadline = deadline.or_insert(Deadline { at: now + ttl, ttl, ending: false });
                deadline.ending |= lease.ending;
            }
            deadlines.seen_changes = Some(state.lease_changes);
        }
        drop(replica);
        deadlines
    }

    fn leading_term(&self) -> Result<u64, KvError> {
        use openraft::async_runtime::WatchReceiver;
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        if metrics.current_leader == Some(metrics.id) {
            Ok(metrics.current_term)
        } else {
            Err(KvError::NotLeader { leader: metrics.current_leader })
        }
    }
}
