//! What only the leader can do, done from any node: writes go to it with a request id, so that a retry is not done
//! twice; reads ask it from which index on they may be answered.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use matrix_proto::wire;
use matrix_proto::wire::raft_answer::Kind as Answer;
use matrix_proto::wire::raft_question::Kind as Question;
use openraft::ReadPolicy;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use tokio::time::Instant;

use super::behind::Sending;
use super::codec::Reader;
use super::command::{self, Command, Proposal};
use super::error::KvError;
use super::log_store::{Admitted, Log};
use super::peers::{AskError, Client, Peers};
use super::raft::Raft;
use super::room::Room;
use super::types::LeaseId;

/// How long nobody is asked after a failure, unless a new leader shows.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the leader may take for a question that needs no disk.
const QUESTION: Duration = Duration::from_secs(1);

/// The way to the leader.
#[derive(Clone)]
pub(super) struct Leading {
    raft: Raft,
    /// None: a realm of one node.
    peers: Option<Peers>,
    room: Arc<Room>,
    /// Held weakly: a store that is closed gives its folder free, whoever still has a handle.
    log: Weak<Log>,
    me: u64,
    timeout: Duration,
}

/// What came of one try.
enum Tried<T> {
    Done(T),
    Failed(KvError),
    /// Nothing was done, and nobody else would do it: disks are full.
    Full(String),
    /// Nothing was done; another node may do it.
    Elsewhere,
    /// Not known what was done.
    Unknown(String),
}

impl Leading {
    pub(super) fn new(
        raft: Raft,
        peers: Option<Peers>,
        room: Arc<Room>,
        log: Weak<Log>,
        me: u64,
        timeout: Duration,
    ) -> Leading {
        Leading { raft, peers, room, log, me, timeout }
    }

    /// The snapshots that other nodes are sent.
    pub(super) fn sending(&self) -> Sending {
        self.peers.as_ref().map(|peers| peers.sending.clone()).unwrap_or_default()
    }

    /// Whether another node can be reached.
    pub(super) fn is_up(&self, node: u64) -> bool {
        self.peers.as_ref().is_some_and(|peers| peers.is_up(node))
    }

    /// Lets a proposal of so many bytes in where this node leads, until what is returned is dropped; or says why it takes
    /// no writes at the moment. It is asked before Raft hears of the proposal: to Raft, a log that cannot be written is
    /// the end.
    pub(super) fn admit(&self, bytes: usize) -> Result<Option<Admitted>, String> {
        let refusal = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            self.room.refusal(metrics.membership_config.membership().voter_ids())
        };
        if let Some(why) = refusal {
            return Err(why);
        }
        // Where the log is closed, Raft says so.
        let admitted = self.log.upgrade().map(|log| log.admit(bytes as u64)).transpose();
        admitted.map_err(|error| format!("node {} cannot make the log's next file: {error}", self.me))
    }

    /// Whether this node has no room for more of the log.
    pub(super) fn is_short(&self) -> bool {
        self.room.is_short()
    }

    /// Whether this node decides alone: its own word is the realm's.
    pub(super) fn is_alone(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let mut voters = metrics.membership_config.membership().voter_ids();
        voters.next() == Some(self.me) && voters.next().is_none()
    }

    /// Has the leader write a command. Unless it carries a request id, it must not be tried twice.
    pub(super) async fn write(&self, command: &Command) -> Result<command::Answer, KvError> {
        let again = command.request.is_some();
        let proposal = &command.encode();
        self.until_done(again, |leader, left| async move {
            match leader {
                None => self.write_here(proposal, again, left).await,
                Some(leader) => {
                    let question = Question::Propose(proposal.0.clone());
                    tried(leader.ask(question, left).await, |answer| match answer {
                        Answer::Propose(bytes) => command::Answer::read(&mut Reader(bytes)).ok(),
                        _ => None,
                    })
                }
            }
        })
        .await
    }

    /// Writes a command where this node leads, as it seemed.
    async fn write_here(&self, proposal: &Proposal, again: bool, left: Duration) -> Tried<command::Answer> {
        let _room = match self.admit(proposal.0.len()) {
            Ok(admitted) => admitted,
            Err(why) => return Tried::Full(why),
        };
        match tokio::time::timeout(left, self.raft.client_write(proposal.clone())).await {
            Ok(Ok(written)) => Tried::Done(written.data),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) if again => Tried::Elsewhere,
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => {
                Tried::Failed(KvError::NotLeader { leader: forward.leader_id })
            }
            Ok(Err(error)) => Tried::Failed(KvError::Unavailable(error.to_string())),
            Err(_) => Tried::Unknown("no quorum took the mutation in time".into()),
        }
    }

    /// The index that this node must have applied to answer a read that begins now.
    pub(super) async fn read_index(&self) -> Result<u64, KvError> {
        self.until_done(true, |leader, left| async move {
            match leader {
                None => {
                    let asking = self.raft.get_read_log_id(ReadPolicy::ReadIndex);
                    match tokio::time::timeout(left, asking).await {
                        Ok(Ok((index, _))) => Tried::Done(index.index()),
                        Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_)))) => {
                            Tried::Elsewhere
                        }
                        Ok(Err(error)) => Tried::Unknown(error.to_string()),
                        Err(_) => Tried::Unknown("no quorum confirmed the read in time".into()),
                    }
                }
                Some(leader) => {
                    let question = Question::ReadIndex(wire::ReadIndex {});
                    tried(leader.ask(question, left.min(QUESTION)).await, |answer| match answer {
                        Answer::ReadIndex(index) => Some(index),
                        _ => None,
                    })
                }
            }
        })
        .await
    }

    /// Gives a lease its full time again, where another node leads; returns that time.
    pub(super) async fn keep_alive(&self, lease: LeaseId) -> Result<Duration, KvError> {
        self.until_done(true, |leader, left| async move {
            match leader {
                None => Tried::Elsewhere,
                Some(leader) => {
                    let asked = leader.ask(Question::KeepAlive(lease.0), left.min(QUESTION)).await;
                    if let Ok(Answer::NoSuchLease(_)) = asked {
                        return Tried::Failed(KvError::NoSuchLease);
                    }
                    tried(asked, |answer| match answer {
                        Answer::KeepAlive(ttl_ms) => Some(Duration::from_millis(ttl_ms)),
                        _ => None,
                    })
                }
            }
        })
        .await
    }

    /// Tries with whoever leads (`None`: this node), until something came of it or the time is over. What may have
    /// been done is tried again only if `again` says so.
    async fn until_done<T, F>(
        &self,
        again: bool,
        mut attempt: impl FnMut(Option<Client>, Duration) -> F,
    ) -> Result<T, KvError>
    where
        F: Future<Output = Tried<T>> + Send,
    {
        let deadline = Instant::now() + self.timeout;
        let (mut why, mut open) = ("no node leads the realm".to_owned(), false);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(KvError::Unavailable(why));
            }
            let leader = self.raft.metrics().borrow_watched().current_leader;
            let tried = match (leader, &self.peers) {
                (Some(leader), _) if leader == self.me => attempt(None, left).await,
                (Some(leader), Some(peers)) => attempt(Some(peers.client(leader)), left).await,
                _ => Tried::Elsewhere,
            };
            match tried {
                Tried::Done(done) => return Ok(done),
                Tried::Failed(error) => return Err(error),
                // Of an earlier try nobody knows: it must not be said that nothing was done.
                Tried::Full(full) if open => {
                    return Err(KvError::Unavailable(KvError::DiskFull(full).to_string()));
                }
                Tried::Full(full) => return Err(KvError::DiskFull(full)),
                Tried::Elsewhere => {}
                Tried::Unknown(reason) if again => (why, open) = (reason, true),
                Tried::Unknown(reason) => return Err(KvError::Unavailable(reason)),
            }
            self.pause(leader, deadline).await;
        }
    }

    /// Waits a little, or until another leader shows.
    async fn pause(&self, before: Option<u64>, deadline: Instant) {
        let mut metrics = self.raft.metrics();
        let until = deadline.min(Instant::now() + if before.is_some() { PAUSE } else { self.timeout });
        let changed = async {
            while metrics.borrow_watched().current_leader == before {
                // It fails once Raft has stopped: then the time runs out.
                if metrics.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        drop(tokio::time::timeout_at(until, changed).await);
    }
}

/// What an answer of the leader comes to; `read` takes it out.
fn tried<T>(asked: Result<Answer, AskError>, read: impl FnOnce(Answer) -> Option<T>) -> Tried<T> {
    match asked {
        Ok(Answer::NotLeader(_)) => Tried::Elsewhere,
        Ok(Answer::DiskFull(why)) => Tried::Full(why),
        Ok(answer) => match read(answer) {
            Some(value) => Tried::Done(value),
            None => Tried::Unknown("the leader gave an answer that makes no sense".into()),
        },
        Err(error) if error.is_unsent() => Tried::Elsewhere,
        Err(error) => Tried::Unknown(error.to_string()),
    }
}
