//! The asking end.

use std::future::Future;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use futures::stream::{Stream, StreamExt as _};
use matrix_proto::wire;
use matrix_proto::wire::raft_answer::Kind as Answer;
use matrix_proto::wire::raft_question::Kind as Question;
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::base::{BoxFuture, BoxStream};
use openraft::entry::RaftEntry as _;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, OptionalSend};
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::carried::carried;
use super::convert;
use super::roster::Roster;
use crate::kv::behind::Sending;
use crate::kv::raft::{LogId, TypeConfig, size_in_memory};
use crate::kv::room::Room;
use crate::kv::snapshot::SnapshotFile;
use crate::p2p::rpc::{CallError, Pending, Rpc};
use crate::tasks::alert;

/// Appends that are on their way to one follower at a time.
const PIPELINE: usize = 16;
/// Bytes of entries that are on their way to one follower at a time: what stands in front of a heartbeat.
const UNDER_WAY_BYTES: u32 = 2 << 20;
/// How long a follower may take to answer to entries, which may have to cross a slow link behind others, beside what they
/// take themselves. Whether it lives is for heartbeats to say, and that the stream to it has ended is known at once.
const ENTRIES: Duration = Duration::from_secs(30);
/// Bytes of entries that cross the slowest link in a second.
const SLOWEST: u32 = 64 << 10;
/// Bytes of one part of a snapshot: what may stand in front of a vote.
const PART_BYTES: usize = 128 << 10;
/// How long one part of a snapshot may take.
const PART: Duration = Duration::from_secs(10);

type Rpcs<T> = Result<T, RPCError<TypeConfig>>;

/// Makes the asking ends, one a node.
#[derive(Debug, Clone)]
pub(in crate::kv) struct Peers {
    pub(in crate::kv) rpc: Rpc,
    pub(in crate::kv) roster: Roster,
    /// This node.
    pub(in crate::kv) me: u64,
    /// What the others tell of their disks.
    pub(in crate::kv) room: Arc<Room>,
    /// The snapshots that they are sent.
    pub(in crate::kv) sending: Sending,
}

/// The asking end to one node.
#[derive(Debug, Clone)]
pub(in crate::kv) struct Client {
    peers: Peers,
    node: u64,
}

/// Entries on their way.
struct Sent {
    /// What they follow.
    previous: Option<LogId>,
    /// The last of them.
    last: Option<LogId>,
    pending: Result<Pending, AskError>,
    /// How long they may take.
    within: Duration,
    /// Their room on the way, until they are answered.
    _room: Option<OwnedSemaphorePermit>,
}

/// Why a node has not answered.
#[derive(Debug, thiserror::Error)]
pub(in crate::kv) enum AskError {
    #[error("node {0} is no member")]
    NoMember(u64),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("node {0} gave an answer that makes no sense")]
    Malformed(u64),
}

impl AskError {
    /// Whether the question certainly was not dealt with.
    pub(in crate::kv) fn is_unsent(&self) -> bool {
        matches!(self, Self::NoMember(_) | Self::Call(CallError::NotSent(..)))
    }
}

impl Peers {
    /// Whether a node can be reached.
    pub(in crate::kv) fn is_up(&self, node: u64) -> bool {
        self.roster.peer(node).is_some_and(|peer| self.rpc.is_up(peer))
    }

    /// The asking end to a node.
    pub(in crate::kv) fn client(&self, node: u64) -> Client {
        Client { peers: self.clone(), node }
    }
}

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = Client;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Client {
        self.client(target)
    }
}

impl Client {
    fn begin(&self, question: Question) -> Result<Pending, AskError> {
        let peer = self.peers.roster.peer(self.node).ok_or(AskError::NoMember(self.node))?;
        let question = wire::RaftQuestion { from: self.peers.me, to: self.node, kind: Some(question) };
        Ok(self.peers.rpc.begin(peer, Bytes::from(question.encode_to_vec()))?)
    }

    async fn finish(&self, pending: Pending, within: Duration) -> Result<Answer, AskError> {
        let answer = pending.within(within).await?;
        alert::stir();
        let malformed = AskError::Malformed(self.node);
        wire::RaftAnswer::decode(answer).ok().and_then(|answer| answer.kind).ok_or(malformed)
    }

    /// Asks, and waits for the answer.
    pub(in crate::kv) async fn ask(&self, question: Question, within: Duration) -> Result<Answer, AskError> {
        let pending = self.begin(question)?;
        self.finish(pending, within).await
    }

    fn malformed(&self) -> RPCError<TypeConfig> {
        RPCError::Network(NetworkError::new(&AskError::Malformed(self.node)))
    }

    async fn appended(
        &self,
        pending: Result<Pending, AskError>,
        within: Duration,
    ) -> Rpcs<AppendEntriesResponse<TypeConfig>> {
        let answer = self.finish(pending.map_err(explain)?, within).await.map_err(explain)?;
        let Answer::Append(appended) = answer else { return Err(self.malformed()) };
        self.peers.room.heard(self.node, appended.disk_full);
        convert::read_appended(appended).map_err(|_| self.malformed())
    }

    /// Sends entries, once they have room on their way; the answer is waited for later.
    async fn send(&self, request: AppendEntriesRequest<TypeConfig>, way: Arc<Semaphore>) -> Sent {
        let previous = request.prev_log_id;
        let last = request.entries.last().map(|entry| entry.log_id()).or(previous);
        let bytes: usize = request.entries.iter().map(size_in_memory).sum();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        // Nobody closes it.
        let room = way.acquire_many_owned(bytes.min(UNDER_WAY_BYTES)).await.ok();
        let pending = self.begin(Question::Append(convert::append(&request)));
        let within = ENTRIES + Duration::from_secs((bytes / SLOWEST).into());
        Sent { previous, last, pending, within, _room: room }
    }

    /// What became of entries; and whether all were taken.
    async fn sent(&self, sent: Sent) -> Rpcs<(StreamAppendResult<TypeConfig>, bool)> {
        let Sent { previous, last, pending, within, _room } = sent;
        let response = self.appended(pending, within).await?;
        let whole = match &response {
            AppendEntriesResponse::PartialSuccess(upto) => *upto == last,
            response => response.is_success(),
        };
        // Raft never sends entries that begin at the log's start to one who says that they do not fit.
        if response.is_conflict() && previous.is_none() {
            return Err(self.malformed());
        }
        Ok((response.into_stream_result(previous, last), whole))
    }

    async fn voted(&self, question: Question, option: &RPCOption) -> Rpcs<VoteResponse<TypeConfig>> {
        let answer = self.ask(question, option.hard_ttl()).await.map_err(explain)?;
        let Answer::Vote(answer) = answer else { return Err(self.malformed()) };
        convert::read_vote_answer(answer).map_err(|_| self.malformed())
    }

    async fn send_parts(
        &self,
        vote: &VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, SnapshotFile>,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let failed =
            |error: &dyn std::fmt::Display| StreamingError::Network(network(&AnyError::error(error)));
        let meta = Bytes::from(serde_json::to_vec(&snapshot.meta).map_err(|error| failed(&error))?);
        let mut file = snapshot.snapshot.file;
        file.seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
        let length = file.metadata().map_err(|error| failed(&error))?.len();
        let mut offset = 0;
        loop {
            let mut data = Vec::with_capacity(PART_BYTES);
            let read = file.by_ref().take(PART_BYTES as u64).read_to_end(&mut data);
            let end = offset + read.map_err(|error| failed(&error))? as u64;
            let part = wire::SnapshotPart {
                vote: Some(convert::ballot(vote)),
                meta: meta.clone(),
                offset,
                checksum: Bytes::copy_from_slice(blake3::hash(&data).as_bytes()),
                data: data.into(),
                last: end >= length,
            };
            let answer = self.ask(Question::Snapshot(part), PART).await;
            let answer = answer.map_err(|error| StreamingError::Unreachable(Unreachable::new(&error)))?;
            let Answer::Snapshot(ballot) = answer else {
                return Err(network(&AskError::Malformed(self.node)).into());
            };
            let theirs = convert::vote(Some(ballot)).map_err(|error| failed(&error))?;
            // A node that knows of a later term takes no more of it.
            if end >= length || theirs.leader_id.term > vote.leader_id.term {
                return Ok(SnapshotResponse::new(theirs));
            }
            offset = end;
        }
    }
}

fn network<E: std::error::Error + 'static>(error: &E) -> NetworkError<TypeConfig> {
    NetworkError::new(error)
}

/// What never left is a node that cannot be reached, which Raft leaves alone for a while.
fn explain(error: AskError) -> RPCError<TypeConfig> {
    if error.is_unsent() {
        RPCError::Unreachable(Unreachable::new(&error))
    } else {
        RPCError::Network(network(&error))
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpcs<AppendEntriesResponse<TypeConfig>> {
        let pending = self.begin(Question::Append(convert::append(&request)));
        self.appended(pending, option.hard_ttl()).await
    }

    /// Sends appends without waiting for the answers to those before; answers come in order.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Rpcs<BoxStream<'s, Rpcs<StreamAppendResult<TypeConfig>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        let client = &*self;
        let way = Arc::new(Semaphore::new(UNDER_WAY_BYTES as usize));
        // Sent one after the other; only the answers are waited for side by side.
        let sent = carried(input).then(move |request| client.send(request, Arc::clone(&way)));
        let sent = sent.map(move |sent| client.sent(sent));
        // After the first that did not succeed Raft begins anew from where the follower stands.
        let answers = sent.buffered(PIPELINE).scan(false, |ended, answer| {
            let item = (!*ended).then(|| {
                *ended = !matches!(answer, Ok((Ok(_), true)));
                answer.map(|(result, _)| result)
            });
            std::future::ready(item)
        });
        Box::pin(async move { Ok(Box::pin(answers) as BoxStream<'s, _>) })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpcs<VoteResponse<TypeConfig>> {
        self.voted(Question::Vote(convert::vote_question(&request)), &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpcs<VoteResponse<TypeConfig>> {
        self.voted(Question::PreVote(convert::vote_question(&request)), &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, SnapshotFile>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let covers = snapshot.meta.last_log_id.map_or(0, |id| id.index);
        let _under_way = self.peers.sending.begin(self.node, covers);
        let sending = pin!(self.send_parts(&vote, snapshot));
        match select(sending, pin!(cancel)).await {
            Either::Left((sent, _)) => sent,
            Either::Right((closed, _)) => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpcs<TransferLeaderResponse<TypeConfig>> {
        let answer = self.ask(Question::Transfer(convert::transfer(&request)), option.hard_ttl()).await;
        match answer.map_err(explain)? {
            Answer::Transfer(why) if why.is_empty() => Ok(Ok(())),
            Answer::Transfer(why) => Err(RPCError::Network(network(&AnyError::error(why)))),
            _ => Err(self.malformed()),
        }
    }
}
