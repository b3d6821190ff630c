//! The answering end. Questions come on the network's thread and are answered on Raft's own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use matrix_proto::wire;
use matrix_proto::wire::raft_answer::Kind as Answer;
use matrix_proto::wire::raft_question::Kind as Question;
use openraft::ReadPolicy;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft::storage::Snapshot;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::convert;
use super::parts::Incoming;
use super::roster::Roster;
use crate::kv::codec::{Malformed, Writer};
use crate::kv::error::KvError;
use crate::kv::leading::Leading;
use crate::kv::lease::Leases;
use crate::kv::log_store::Log;
use crate::kv::raft::{Raft, TypeConfig};
use crate::kv::types::LeaseId;
use crate::p2p::Peer;
use crate::p2p::rpc::{Reply, Serve};
use crate::tasks::alert;

/// Questions that wait for Raft's thread; beyond it they are turned away.
const WAITING_MAX: usize = 4_096;
/// Questions that are being answered at a time.
const UNDER_WAY_MAX: usize = 8_192;

/// The end that the network calls.
pub(in crate::kv) struct Server {
    roster: Roster,
    me: u64,
    questions: mpsc::Sender<(Question, Reply)>,
}

/// The end on Raft's thread.
pub(in crate::kv) struct Inbox {
    questions: mpsc::Receiver<(Question, Reply)>,
}

impl Server {
    /// Both ends.
    pub(in crate::kv) fn new(roster: Roster, me: u64) -> (Server, Inbox) {
        let (sender, questions) = mpsc::channel(WAITING_MAX);
        (Server { roster, me, questions: sender }, Inbox { questions })
    }
}

impl Serve for Server {
    fn serve(&self, from: Peer, question: Bytes, reply: Reply) {
        let Ok(question) = wire::RaftQuestion::decode(question) else { return reply.fail("it is malformed") };
        // A node speaks for itself alone, and to whom it means: numbers and peers are bound to each other.
        if question.to != self.me {
            return reply.fail(&format!("this is node {}, not node {}", self.me, question.to));
        }
        if self.roster.node(from) != Some(question.from) {
            return reply.fail(&format!("{from} is not node {}", question.from));
        }
        let Some(kind) = question.kind else { return reply.fail("its kind is not known") };
        if let Err(error) = self.questions.try_send((kind, reply)) {
            let (_, reply) = error.into_inner();
            reply.fail("too much waits");
        }
    }
}

/// What answers.
pub(in crate::kv) struct Desk {
    pub(in crate::kv) raft: Raft,
    pub(in crate::kv) leases: Arc<Leases>,
    leading: Leading,
    log: Arc<Log>,
    pub(in crate::kv) timeout: Duration,
    incoming: Arc<Mutex<Incoming>>,
}

impl Desk {
    pub(in crate::kv) fn new(
        raft: Raft,
        leases: Arc<Leases>,
        leading: Leading,
        log: Arc<Log>,
        timeout: Duration,
        snapshots: PathBuf,
    ) -> Desk {
        let incoming = Arc::new(Mutex::new(Incoming::new(snapshots)));
        Desk { raft, leases, leading, log, timeout, incoming }
    }

    async fn answer(&self, question: Question) -> Result<Answer, String> {
        let malformed = |_: Malformed| "it is malformed".to_owned();
        Ok(match question {
            Question::Append(append) => {
                // Refused before Raft hears of it: to Raft, a log that cannot be written is the end.
                let bytes = append.entries.iter().map(|entry| entry.len() as u64).sum();
                let _room = self.log.admit(bytes).map_err(|error| format!("its disk is full: {error}"))?;
                let request = convert::read_append(append).map_err(malformed)?;
                let answer = self.raft.append_entries(request).await.map_err(|error| error.to_string())?;
                Answer::Append(convert::appended(&answer, self.leading.is_short()))
            }
            Question::Vote(question) => {
                let request = convert::read_vote_question(question).map_err(malformed)?;
                let answer = self.raft.vote(request).await.map_err(|error| error.to_string())?;
                Answer::Vote(convert::vote_answer(&answer))
            }
            Question::PreVote(question) => {
                let request = convert::read_vote_question(question).map_err(malformed)?;
                let answer = self.raft.pre_vote(request).await.map_err(|error| error.to_string())?;
                Answer::Vote(convert::vote_answer(&answer))
            }
            Question::Snapshot(part) => self.take_part(part).await?,
            Question::Transfer(transfer) => {
                let request = convert::read_transfer(transfer).map_err(malformed)?;
                let done =
                    self.raft.handle_transfer_leader(request).await.map_err(|error| error.to_string())?;
                Answer::Transfer(done.map_or_else(|error| error.to_string(), |()| String::new()))
            }
            Question::Propose(bytes) => self.propose(&bytes).await?,
            Question::ReadIndex(_) => self.read_index().await?,
            Question::KeepAlive(lease) => match self.leases.keep_alive(LeaseId(lease)) {
                Ok(ttl) => Answer::KeepAlive(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
                Err(KvError::NotLeader { leader }) => Answer::NotLeader(leader.unwrap_or(0)),
                Err(_) => Answer::NoSuchLease(wire::Nothing {}),
            },
        })
    }

    async fn take_part(&self, part: wire::SnapshotPart) -> Result<Answer, String> {
        let vote = convert::vote(part.vote).map_err(|_| "it is malformed".to_owned())?;
        let incoming = Arc::clone(&self.incoming);
        let taking = tokio::task::spawn_blocking(move || {
            incoming.lock().unwrap_or_else(PoisonError::into_inner).take(vote, &part)
        });
        let whole = taking.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let Some((meta, snapshot)) = whole else { return Ok(Answer::Snapshot(convert::ballot(&vote))) };
        let installed = self.raft.install_full_snapshot(vote, Snapshot { meta, snapshot }).await;
        let response = installed.map_err(|error| error.to_string())?;
        Ok(Answer::Snapshot(convert::ballot(&response.vote)))
    }

    async fn propose(&self, bytes: &Bytes) -> Result<Answer, String> {
        let proposal = convert::read_proposal(bytes).map_err(|_| "it is no command".to_owned())?;
        let _room = match self.leading.admit(bytes.len()) {
            Ok(admitted) => admitted,
            Err(why) => return Ok(Answer::DiskFull(why)),
        };
        let written = tokio::time::timeout(self.timeout, self.raft.client_write(proposal)).await;
        match written.map_err(|_| "no quorum took it in time".to_owned())? {
            Ok(written) => {
                let mut writer = Writer::default();
                written.data.write(&mut writer);
                Ok(Answer::Propose(writer.0.into()))
            }
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Ok(Answer::NotLeader(forward.leader_id.unwrap_or(0)))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn read_index(&self) -> Result<Answer, String> {
        let asking = self.raft.get_read_log_id(ReadPolicy::ReadIndex);
        match tokio::time::timeout(self.timeout, asking)
            .await
            .map_err(|_| "no quorum confirmed it".to_owned())?
        {
            Ok((index, _)) => Ok(Answer::ReadIndex(index.index())),
            Err(RaftError::APIError(LinearizableReadError::<TypeConfig>::ForwardToLeader(forward))) => {
                Ok(Answer::NotLeader(forward.leader_id.unwrap_or(0)))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Inbox {
    /// Answers until `stop`. A question is begun in the order in which it came.
    pub(in crate::kv) async fn run(mut self, desk: Desk, stop: CancellationToken) {
        let desk = &desk;
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                question = self.questions.recv(), if under_way.len() < UNDER_WAY_MAX => {
                    let Some((question, reply)) = question else { return };
                    alert::stir();
                    under_way.push(async move {
                        match desk.answer(question).await {
                            Ok(kind) => {
                                reply.answer(wire::RaftAnswer { kind: Some(kind) }.encode_to_vec().into());
                            }
                            Err(why) => reply.fail(&why),
                        }
                    });
                }
            }
        }
    }
}
