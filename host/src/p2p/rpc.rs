//! Questions and answers on a lane: many at a time, each with a deadline, in whatever order answers come.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use matrix_proto::wire::CallFrame;
use matrix_proto::wire::call_frame::Kind;
use prost::Message as _;
use tokio::sync::oneshot;

use super::frame;
use super::host::P2p;
use super::lane::{Lane, Protocol, Violation};
use super::link::{Link, PushError};
use super::peer::Peer;
use super::table::Table;

/// The longest question, and the longest answer, in bytes.
pub const BYTES_MAX: usize = 24 << 20;
/// The most questions of one peer that are being answered; beyond it they are turned away.
const AT_ONCE_MAX: usize = 4_096;
/// The most bytes of a failure that are told.
const FAILURE_BYTES_MAX: usize = 1_024;

/// Answers the questions of peers.
pub trait Serve: Send + Sync + 'static {
    /// Takes a question, and answers it by `reply`, now or later. It must neither wait nor work long.
    fn serve(&self, from: Peer, question: Bytes, reply: Reply);
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The question was not sent: no stream stands, or too much waits for it.
    #[error("{0}: {1}")]
    NotSent(Peer, PushError),
    /// The stream ended before the answer came: whether the question was dealt with is not known.
    #[error("the connection with {0} was lost before it answered")]
    Lost(Peer),
    /// No answer came in time: whether the question was dealt with is not known.
    #[error("{0} did not answer in time")]
    Late(Peer),
    /// The peer says that it has no answer.
    #[error("{0} refused: {1}")]
    Refused(Peer, String),
    /// The question is longer than any may be.
    #[error("a question of {0} bytes is longer than {BYTES_MAX}")]
    TooLong(usize),
}

type Waiting = oneshot::Sender<Result<Bytes, CallError>>;

/// A lane of calls. Clones are the same lane.
#[derive(Clone)]
pub struct Rpc(Arc<Inner>);

struct Inner {
    lane: Lane,
    /// Not the network itself, which holds this.
    table: Arc<Table>,
    server: Arc<dyn Serve>,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, (Peer, Waiting)>>,
    /// How many questions of each peer are being answered.
    under_way: Mutex<HashMap<Peer, Arc<AtomicUsize>>>,
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rpc on {}", self.0.lane.protocol())
    }
}

/// Carries an answer back. Dropped without one, it says that there is none.
#[derive(Debug)]
pub struct Reply {
    link: Link,
    id: u64,
    under_way: Arc<AtomicUsize>,
    answered: bool,
}

impl Rpc {
    /// Opens the lane on a network; `server` answers what peers ask.
    pub async fn open(network: &P2p, lane: Lane, server: Arc<dyn Serve>) -> Self {
        let rpc = Self(Arc::new(Inner {
            lane,
            table: network.table(),
            server,
            next: AtomicU64::new(1),
            waiting: Mutex::default(),
            under_way: Mutex::default(),
        }));
        network.serve(lane, rpc.0.clone()).await;
        rpc
    }

    /// Whether a stream to the peer stands.
    pub fn is_up(&self, peer: Peer) -> bool {
        self.0.table.link(peer, self.0.lane).is_some_and(|link| link.is_up())
    }

    /// Waits until a stream to the peer stands, for at most `timeout`: a node that starts opens one lane after another.
    pub async fn until_up(&self, peer: Peer, timeout: Duration) {
        if let Some(link) = self.0.table.link(peer, self.0.lane) {
            // Whoever asks then learns what is the matter.
            let _ = tokio::time::timeout(timeout, link.until_up()).await;
        }
    }

    /// Asks a peer, and waits for its answer for at most `timeout`. Questions to one peer are read in the order in
    /// which this was called.
    pub async fn call(&self, peer: Peer, question: Bytes, timeout: Duration) -> Result<Bytes, CallError> {
        let answer = self.begin(peer, question)?;
        answer.within(timeout).await
    }

    /// Sends a question; its answer can be waited for later.
    pub fn begin(&self, peer: Peer, question: Bytes) -> Result<Pending, CallError> {
        if question.len() > BYTES_MAX {
            return Err(CallError::TooLong(question.len()));
        }
        let link = self.0.table.link(peer, self.0.lane).ok_or(CallError::NotSent(peer, PushError::Down))?;
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (waiting, answer) = oneshot::channel();
        self.0.waiting().insert(id, (peer, waiting));
        // Made before the question leaves, so that it is forgotten in any case.
        let pending = Pending { calls: self.0.clone(), id, peer, answer };
        link.push(|out| write(id, Kind::Question(question), out))
            .map_err(|error| CallError::NotSent(peer, error))?;
        Ok(pending)
    }
}

/// A question that was sent.
pub struct Pending {
    calls: Arc<Inner>,
    id: u64,
    peer: Peer,
    answer: oneshot::Receiver<Result<Bytes, CallError>>,
}

impl Pending {
    /// Waits for the answer.
    pub async fn within(mut self, timeout: Duration) -> Result<Bytes, CallError> {
        match tokio::time::timeout(timeout, &mut self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(CallError::Lost(self.peer)),
            Err(_) => Err(CallError::Late(self.peer)),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.calls.waiting().remove(&self.id);
    }
}

impl Inner {
    fn take(&self, link: &Link, frame: CallFrame) -> Result<(), Violation> {
        let peer = link.peer();
        match frame.kind.ok_or_else(|| Violation("a call of a kind that is not known".into()))? {
            Kind::Question(question) => {
                let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(under_way) = under_way.get(&peer).cloned() else { return Ok(()) };
                let before = under_way.fetch_add(1, Ordering::Relaxed);
                let reply = Reply { link: link.clone(), id: frame.id, under_way, answered: false };
                if before >= AT_ONCE_MAX {
                    reply.fail("too many questions are being answered");
                } else {
                    self.server.serve(peer, question, reply);
                }
            }
            Kind::Answer(answer) => self.answered(peer, frame.id, Ok(answer)),
            Kind::Failure(text) => {
                let text = text[..text.floor_char_boundary(FAILURE_BYTES_MAX)].to_owned();
                self.answered(peer, frame.id, Err(CallError::Refused(peer, text)));
            }
        }
        Ok(())
    }

    fn answered(&self, peer: Peer, id: u64, answer: Result<Bytes, CallError>) {
        let mut waiting = self.waiting();
        // Only whom it was asked may answer. Whoever asked may have given up.
        if waiting.get(&id).is_some_and(|(asked, _)| *asked == peer)
            && let Some((_, waiting)) = waiting.remove(&id)
        {
            drop(waiting.send(answer));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, (Peer, Waiting)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Protocol for Inner {
    fn up(&self, link: &Link) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.insert(link.peer(), Arc::default());
    }

    fn received(&self, link: &Link, input: &mut BytesMut) -> Result<(), Violation> {
        let limit = BYTES_MAX + FAILURE_BYTES_MAX;
        loop {
            let frame = frame::take(input, limit).map_err(|error| Violation(error.to_string()))?;
            let Some(frame) = frame else { return Ok(()) };
            let frame = CallFrame::decode(frame.freeze()).map_err(|error| Violation(error.to_string()))?;
            self.take(link, frame)?;
        }
    }

    fn down(&self, link: &Link) {
        let peer = link.peer();
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
        for (_, (_, waiting)) in self.waiting().extract_if(|_, (asked, _)| *asked == peer) {
            drop(waiting.send(Err(CallError::Lost(peer))));
        }
    }
}

impl Reply {
    /// Answers.
    pub fn answer(mut self, answer: Bytes) {
        if answer.len() > BYTES_MAX {
            return self.fail("the answer is too long");
        }
        self.send(Kind::Answer(answer));
    }

    /// Says why there is no answer.
    pub fn fail(mut self, why: &str) {
        self.send(Kind::Failure(why[..why.floor_char_boundary(FAILURE_BYTES_MAX)].to_owned()));
    }

    fn send(&mut self, kind: Kind) {
        self.answered = true;
        // Whoever asked learns it by the stream's end, or by its deadline.
        if let Err(error) = self.link.push(|out| write(self.id, kind, out)) {
            tracing::debug!(peer = %self.link.peer(), %error, "an answer could not be sent");
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.answered {
            self.send(Kind::Failure("there is no answer".to_owned()));
        }
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

fn write(id: u64, kind: Kind, out: &mut BytesMut) {
    let frame = CallFrame { id, kind: Some(kind) };
    out.reserve(frame::LENGTH_BYTES_MAX + frame.encoded_len());
    frame.encode_length_delimited(out).expect("the buffer has just been given room");
}
