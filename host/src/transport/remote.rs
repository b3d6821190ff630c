//! The way to other nodes and back: messages and replies on the lane `/matrix/1.0.0`
//! (`proto/matrix/wire/v1/message.proto`).

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use bytes::BytesMut;
use tokio::sync::oneshot;

use super::directory::Route;
use super::envelope::{Address, Envelope, Reply, ReplyTo, SendError};
use super::lines::{Lines, Origin};
use super::mailbox::Mailbox;
use super::router::{Router, push};
use super::stages::Passage;
use super::wire::{self, Familiar, Frame, WireLimits};
use crate::ids::MessageId;
use crate::kv::Roster;
use crate::p2p::{Lane, Link, Protocol, PushError, Violation};
use crate::tasks::Tasks;

/// The lane.
pub const LANE: Lane = Lane::new("/matrix/1.0.0");

/// Another node, as messages see it. It is up while a stream to it stands.
#[derive(Debug)]
pub struct Outpost {
    node: u64,
    link: RwLock<Option<Link>>,
}

impl Outpost {
    /// The node's number.
    pub fn node(&self) -> u64 {
        self.node
    }

    /// Whether messages can leave for it.
    pub fn is_up(&self) -> bool {
        self.link().as_ref().is_some_and(Link::is_up)
    }

    fn link(&self) -> RwLockReadGuard<'_, Option<Link>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who waits for the reply to a message that went to another node.
enum Waiting {
    /// A caller on this node.
    Caller(oneshot::Sender<Reply>),
    /// Another node, whose message was passed on.
    Relayed(RemoteCaller),
}

/// A caller on another node, or a client. Dropped without an answer, it is told that there is none.
#[derive(Debug)]
pub struct RemoteCaller {
    link: Link,
    question: MessageId,
    limits: WireLimits,
    answered: bool,
    /// It waits for a receipt alone: without one it is not known what became of the message.
    receipt: bool,
}

impl RemoteCaller {
    /// Carries the answer back.
    pub fn answer(mut self, reply: &Reply) {
        self.send(reply);
    }

    fn send(&mut self, reply: &Reply) {
        self.answered = true;
        let write = |out: &mut BytesMut| wire::encode_reply(self.question, reply, &self.limits, out);
        let sent = self.link.push(write);
        // Whoever asked learns it by the stream's end, or by its deadline.
        if !matches!(sent, Ok(Ok(()))) {
            tracing::debug!(peer = %self.link.peer(), ?sent, "a reply could not be sent");
        }
    }
}

impl Drop for RemoteCaller {
    fn drop(&mut self) {
        if !self.answered {
            let stopped = || SendError::Failed("the recipient stopped before it answered".into());
            self.send(&Err(if self.receipt { SendError::Unreachable } else { stopped() }));
        }
    }
}

type Waits = HashMap<MessageId, Vec<(u64, Waiting)>>;

/// All other nodes.
pub struct Remotes {
    pub(super) roster: Roster,
    pub(super) limits: WireLimits,
    outposts: RwLock<HashMap<u64, Arc<Outpost>>>,
    /// Who waits for which reply, of which node. A message that comes by this node twice has two that wait; the one that
    /// sent it on last is answered first.
    waiting: Mutex<Waits>,
    passage: Arc<Passage>,
}

impl std::fmt::Debug for Remotes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remotes")
    }
}

/// A question under way; dropped, it is forgotten.
pub(super) struct Asked<'a> {
    remotes: &'a Remotes,
    question: MessageId,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.remotes.waiting().remove(&self.question);
    }
}

impl Remotes {
    pub(super) fn new(roster: Roster, limits: WireLimits) -> Self {
        let (outposts, waiting, passage) = (RwLock::default(), Mutex::default(), Arc::default());
        Self { roster, limits, outposts, waiting, passage }
    }

    /// What judges messages on their way.
    pub(super) fn passage(&self) -> &Arc<Passage> {
        &self.passage
    }

    /// Another node.
    pub(super) fn outpost(&self, node: u64) -> Arc<Outpost> {
        if let Some(known) = self.outposts.read().unwrap_or_else(PoisonError::into_inner).get(&node) {
            return known.clone();
        }
        let mut outposts = self.outposts.write().unwrap_or_else(PoisonError::into_inner);
        outposts.entry(node).or_insert_with(|| Arc::new(Outpost { node, link: RwLock::default() })).clone()
    }

    /// Hands a message to the link to its recipient's node. Whoever waits for the reply is kept.
    pub(super) fn send(&self, outpost: &Outpost, mut envelope: Envelope) -> Result<(), SendError> {
        let link = outpost.link();
        let link = link.as_ref().ok_or(SendError::Unreachable)?;
        let waiting = match std::mem::replace(&mut envelope.reply_to, ReplyTo::Sender) {
            ReplyTo::Sender => None,
            ReplyTo::Caller(caller) => Some(Waiting::Caller(caller)),
            ReplyTo::Remote(caller) => Some(Waiting::Relayed(caller)),
        };
        let wants_reply = waiting.is_some();
        // Before the message leaves: its reply may come at once.
        if let Some(waiting) = waiting {
            self.waiting().entry(envelope.id).or_default().push((outpost.node, waiting));
        }
        let write = |out: &mut BytesMut| {
            wire::encode_message(&envelope, wants_reply, Instant::now, &self.limits, out)
        };
        let error = match link.push(write) {
            // A link that went down and up again meanwhile has told all who waited.
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) => SendError::TooLarge { limit: self.limits.body_bytes_max as u64 },
            Err(PushError::Down) => SendError::Unreachable,
            Err(PushError::Full) => SendError::MailboxFull,
        };
        if wants_reply
            && let Some(Waiting::Relayed(caller)) = take(&mut self.waiting(), envelope.id, outpost.node)
        {
            caller.answer(&Err(error.clone()));
        }
        Err(error)
    }

    /// Remembers a question until this is dropped.
    pub(super) fn asked(&self, question: MessageId) -> Asked<'_> {
        Asked { remotes: self, question }
    }

    /// A reply came from a node.
    fn answered(&self, node: u64, question: MessageId, reply: Reply) {
        let found = take(&mut self.waiting(), question, node);
        if let Some(caller) = found {
            caller.answer(reply);
        }
    }

    /// Nothing more comes from a node.
    fn lost(&self, node: u64) {
        let mut lost = Vec::new();
        self.waiting().retain(|_, waits| {
            lost.extend(waits.extract_if(.., |(asked, _)| *asked == node));
            !waits.is_empty()
        });
        for (_, caller) in lost {
            caller.answer(Err(SendError::Unreachable));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waits> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who sent a question to a node last: only whom it was asked may answer.
fn take(waits: &mut Waits, question: MessageId, node: u64) -> Option<Waiting> {
    let waiting = waits.get_mut(&question)?;
    let (_, caller) = waiting.pop_if(|(asked, _)| *asked == node)?;
    if waiting.is_empty() {
        waits.remove(&question);
    }
    Some(caller)
}

impl Waiting {
    fn answer(self, reply: Reply) {
        match self {
            // A caller who gave up wants nothing any more.
            Self::Caller(caller) => drop(caller.send(reply)),
            Self::Relayed(caller) => caller.answer(&reply),
        }
    }
}

/// A sender of another node, which may speak for it, and a recipient here: many messages in a row are of one pair.
struct Pair {
    /// The version of the directory in which they were found.
    version: u64,
    sender: Address,
    recipient: Address,
    mailbox: Arc<Mailbox>,
}

impl Pair {
    /// Whether a message is of this pair, and what was found of it is still so.
    fn is_of(&self, router: &Router, envelope: &Envelope) -> bool {
        self.version == router.directory().version()
            && self.recipient == envelope.recipient
            && self.sender == envelope.sender
    }
}

/// The other nodes' end of the lane, and the clients'. What comes is delivered on the network's thread, and where it
/// has to be judged, on those of the guests.
pub struct Inbound {
    pub(super) router: Router,
    pub(super) lines: Lines,
}

impl Inbound {
    pub(super) fn new(router: Router, guests: Tasks) -> Self {
        Self { lines: Lines::new(router.clone(), guests), router }
    }

    /// Takes a message, after the one `before` it. What cannot be delivered is answered where somebody waits; where nobody does,
    /// it is counted.
    fn take(
        &self,
        (link, node): (&Link, Option<u64>),
        mut envelope: Envelope,
        wants_reply: bool,
        before: &mut Option<Pair>,
    ) {
        let router = &self.router;
        let caller = || RemoteCaller {
            link: link.clone(),
            question: envelope.id,
            limits: router.remotes().limits.clone(),
            answered: false,
            receipt: envelope.receipt,
        };
        if !before.as_ref().is_some_and(|pair| pair.is_of(router, &envelope)) {
            match self.pair(node, &envelope) {
                Ok(pair) => *before = pair,
                Err(error) => {
                    router.undelivered(&error);
                    return if wants_reply {
                        caller().answer(&Err(error))
                    };
                }
            }
        }
        if wants_reply {
            envelope.reply_to = ReplyTo::Remote(caller());
        }
        if let Some(pair) = before
            && !router.passage().is_held()
        {
            return push(&pair.mailbox, envelope).unwrap_or_else(|refused| router.refuse(refused));
        }
        // A client gives nothing back.
        envelope.left_in = envelope.left_in.filter(|_| node.is_some());
        self.lines.take(link.peer(), envelope, node.map_or(Origin::Client, Origin::Node));
    }

    /// What holds for the next messages from this sender to this recipient, where the one is of another node and the other is
    /// here; none: each of them is looked at.
    fn pair(&self, node: Option<u64>, envelope: &Envelope) -> Result<Option<Pair>, SendError> {
        let directory = self.router.directory();
        // Read before the look-ups: what changes meanwhile makes what is found here old.
        let version = directory.version();
        if !self.check(node, &envelope.sender)? {
            return Ok(None);
        }
        let Some(mailbox) = node.and_then(|_| directory.find(&envelope.recipient)) else { return Ok(None) };
        let (sender, recipient) = (envelope.sender.clone(), envelope.recipient.clone());
        Ok(Some(Pair { version, sender, recipient, mailbox }))
    }

    /// A node speaks for those who live there, and a client for itself. Nobody speaks for those who live here. False: the
    /// sender is a stranger, to be looked for first.
    pub(super) fn check(&self, node: Option<u64>, sender: &Address) -> Result<bool, SendError> {
        let denied = |why: &str| Err(SendError::Denied(format!("{sender} {why}")));
        match (node, sender) {
            (None, Address::Client(_)) => Ok(true),
            (None, _) => denied("may not be said by a client, which speaks as client:NAME"),
            (Some(_), sender) => match self.router.directory().route(sender) {
                Some(Route::Here(_)) => denied("lives here, and nobody else speaks for it"),
                route => Ok(route.is_some() || !self.router.can_look_for(sender)),
            },
        }
    }
}

impl Protocol for Inbound {
    fn up(&self, link: &Link) {
        let remotes = self.router.remotes();
        if let Some(node) = remotes.roster.node(link.peer()) {
            let outpost = remotes.outpost(node);
            *outpost.link.write().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        }
    }

    fn received(&self, link: &Link, input: &mut BytesMut) -> Result<(), Violation> {
        let remotes = self.router.remotes();
        let (now, node) = (Instant::now(), remotes.roster.node(link.peer()));
        let (mut familiar, mut before) = (Familiar::default(), None);
        loop {
            let frame = wire::decode_next(input, &remotes.limits, now, &mut familiar);
            match frame.map_err(|error| Violation(error.to_string()))? {
                None => return Ok(()),
                Some(Frame::Message { envelope, wants_reply }) => {
                    self.take((link, node), envelope, wants_reply, &mut before);
                }
                Some(Frame::Reply { to, reply }) => match node {
                    Some(node) => remotes.answered(node, to, reply),
                    None => return Err(Violation("a client answers what it was not asked".into())),
                },
                Some(Frame::Refused { id, wants_reply, error }) => {
                    self.router.undelivered(&error);
                    let limits = remotes.limits.clone();
                    let (link, answered) = (link.clone(), !wants_reply);
                    let mut caller = RemoteCaller { link, question: id, limits, answered, receipt: false };
                    if wants_reply {
                        caller.send(&Err(error));
                    }
                }
            }
        }
    }

    fn down(&self, link: &Link) {
        let remotes = self.router.remotes();
        if let Some(node) = remotes.roster.node(link.peer()) {
            remotes.lost(node);
        }
        self.lines.end(link.peer());
    }

    fn takes_clients(&self) -> bool {
        true
    }
}
