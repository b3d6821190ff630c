//! Messages that came in and are to be judged, or whose sender is to be found first: the network's thread must not run
//! guests, and not wait, so they stand in line for threads that do, link by link.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::envelope::{Address, Envelope, SendError};
use super::line::Line;
use super::router::Router;
use super::stages::{Held, Way};
use crate::p2p::Peer;
use crate::tasks::Tasks;

/// Messages of one line that are judged before other tasks get their turn.
const TURNS: u32 = 16;

/// A message, where it came from, and what keeps the passage held until it is delivered.
type Waiting = (Box<Envelope>, Origin, Held);

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Another node, on the lane of messages.
    Node(u64),
    /// A client, on the same lane.
    Client,
    /// Another node, which said it to a topic.
    Gossip,
}

impl Router {
    /// Whether this node has not heard of whom a message comes from: an answer could not go back, although its sender's
    /// node speaks for it.
    fn is_by_stranger(&self, envelope: &Envelope, from: Origin) -> bool {
        from != Origin::Client && self.is_stranger(&envelope.sender)
    }

    fn deliver(&self, envelope: Envelope, from: Origin) {
        match from {
            Origin::Node(node) => self.arrive(envelope, Some(node)),
            Origin::Client => self.arrive(envelope, None),
            Origin::Gossip => _ = self.fan_out(&envelope),
        }
    }
}

/// All lines.
pub(super) struct Lines {
    router: Router,
    guests: Tasks,
    lines: Mutex<HashMap<Peer, Arc<Line<Waiting>>>>,
}

impl Lines {
    /// Lines that are served by `guests`.
    pub(super) fn new(router: Router, guests: Tasks) -> Self {
        Self { router, guests, lines: Mutex::default() }
    }

    /// Takes a message that came from a peer: it is delivered at once where nothing is to be judged, its sender is
    /// known, and nobody stands in line any more. What finds no room is refused.
    pub(super) fn take(&self, peer: Peer, envelope: Envelope, from: Origin) {
        let passage = self.router.passage();
        if !passage.is_held() && !self.router.is_by_stranger(&envelope, from) {
            return self.router.deliver(envelope, from);
        }
        let line = self.lines.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default().clone();
        let bytes = envelope.content.body.len();
        match line.push((Box::new(envelope), from, passage.hold()), bytes) {
            Ok(false) => {}
            Ok(true) => {
                let serving = serve(self.router.clone(), Serving(line), self.guests.stopping());
                self.guests.spawn("transport.judge", serving);
            }
            Err((envelope, ..)) => self.router.refuse((envelope.reply_to, SendError::MailboxFull)),
        }
    }

    /// Nothing more comes from a peer by this link. What stands in line is still delivered.
    pub(super) fn end(&self, peer: Peer) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    }
}

/// A line that a task serves. A task that panics leaves it to the next.
struct Serving(Arc<Line<Waiting>>);

impl Drop for Serving {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
    }
}

/// Finds senders, judges and delivers what stands in a line. On a thread of the guests.
async fn serve(router: Router, line: Serving, stopping: CancellationToken) {
    let (mut turns, mut sought) = (0_u32, None);
    while let Some((mut envelope, from, _held)) = line.0.next() {
        if stopping.is_cancelled() {
            // Whoever waits for an answer is told by this that there is none.
            continue;
        }
        if router.is_by_stranger(&envelope, from) && sought.as_ref() != Some(&envelope.sender) {
            // Found or not, what it says arrives.
            let _ = router.find(&envelope.sender).await;
            sought = Some(envelope.sender.clone());
        }
        // What a client says to a topic leaves from here, and arrives at every subscriber's node.
        let leaves = from == Origin::Client && matches!(envelope.recipient, Address::Topic(_));
        let way = if leaves { Way::Outbound } else { Way::Inbound };
        match router.passage().judge(&[way], &mut envelope) {
            Ok(()) => router.deliver(*envelope, from),
            Err(error) => router.refuse((envelope.reply_to, error)),
        }
        turns = turns.wrapping_add(1);
        if turns.is_multiple_of(TURNS) {
            tokio::task::yield_now().await;
        }
    }
}
