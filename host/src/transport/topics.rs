//! Messages to topics, on this node and between nodes: what is published here reaches the subscribers of all nodes,
//! by gossip. A node listens to a topic as long as somebody here subscribes to it.
//!
//! What travels is one frame of the lane `/matrix/1.0.0` (`proto/matrix/wire/v1/message.proto`): a message to
//! `topic:NAME` that wants no reply and has no deadline.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::envelope::{Address, Envelope, ReplyTo, SendError};
use super::lines::Origin;
use super::remote::Inbound;
use super::router::Router;
use super::stages::Way;
use super::wire::{self, Frame, HEADER_BYTES_MAX};
use crate::ids::TopicName;
use crate::p2p::{Gossip, GossipTopic, Listener, Lost, Peer, PushError, Verdict};
use crate::tasks::Tasks;

/// The way to the other nodes' subscribers.
#[derive(Debug, Clone)]
pub(super) struct Abroad {
    gossip: Gossip,
    realm: [u8; 16],
}

impl Abroad {
    fn topic(&self, name: &TopicName) -> GossipTopic {
        GossipTopic::new(&self.realm, name.as_str())
    }

    /// Somebody here subscribes to a topic, and nobody did before.
    pub(super) fn enter(&self, name: &TopicName) {
        self.gossip.enter(self.topic(name));
    }

    /// Nobody here subscribes to a topic any more.
    pub(super) fn leave(&self, name: &TopicName) {
        self.gossip.leave(self.topic(name));
    }
}

/// The longest message to a topic between nodes, in bytes, where bodies may have so many.
pub fn gossip_bytes_max(body_bytes_max: usize) -> usize {
    body_bytes_max + HEADER_BYTES_MAX
}

impl Router {
    /// Takes topics to the other nodes of a realm from now on.
    pub fn reach(&self, gossip: Gossip, realm: [u8; 16]) {
        self.directory().reach(Abroad { gossip, realm });
    }

    /// What hears the topics of other nodes; what is to be judged is so by `guests`.
    pub fn listener(&self, guests: Tasks) -> Topics {
        Topics(self.inbound(guests))
    }

    /// Gives a message to a topic to its subscribers, here and on the other nodes.
    ///
    /// # Errors
    /// A stage does not let it arrive; or it reached nobody here, and cannot be handed to the network. Where it reached
    /// somebody that is no error, but counted.
    pub(super) fn publish(&self, envelope: &Envelope) -> Result<(), SendError> {
        let reached = if self.passage().is_held() {
            let mut arriving = copy(envelope);
            self.passage().judge(&[Way::Inbound], &mut arriving)?;
            self.fan_out(&arriving)
        } else {
            self.fan_out(envelope)
        };
        let (Address::Topic(name), Some(abroad)) = (&envelope.recipient, self.directory().abroad()) else {
            return Ok(());
        };
        let (topic, limits) = (abroad.topic(name), &self.remotes().limits);
        if !abroad.gossip.is_heard(topic) {
            return Ok(());
        }
        let mut frame = BytesMut::new();
        let written = wire::encode_message(envelope, false, Instant::now, limits, &mut frame);
        if written.is_err() {
            return Err(SendError::TooLarge { limit: limits.body_bytes_max as u64 });
        }
        let error = match abroad.gossip.publish(topic, frame.into()) {
            Ok(()) => {
                self.count_topic("published", 1);
                return Ok(());
            }
            Err(PushError::Full) => SendError::MailboxFull,
            Err(PushError::Down) => SendError::Unreachable,
        };
        self.count_topic("dropped", 1);
        if reached > 0 { Ok(()) } else { Err(error) }
    }

    /// Gives a message to the subscribers on this node, and says how many took it.
    pub(super) fn fan_out(&self, envelope: &Envelope) -> usize {
        let Address::Topic(topic) = &envelope.recipient else { return 0 };
        let mut reached = 0;
        for mailbox in self.0.directory.subscribers(topic) {
            match mailbox.push(copy(envelope)) {
                Ok(()) => reached += 1,
                Err(_) => self.undelivered(&SendError::MailboxFull),
            }
        }
        reached
    }

    fn count_topic(&self, result: &'static str, count: u64) {
        self.0.metrics.topics.add(result, count);
    }
}

/// The same for one subscriber more; nobody waits for its answer.
fn copy(envelope: &Envelope) -> Envelope {
    Envelope {
        sender: envelope.sender.clone(),
        recipient: envelope.recipient.clone(),
        content: envelope.content.clone(),
        reply_to: ReplyTo::Sender,
        receipt: false,
        ..*envelope
    }
}

/// The other nodes' end of topics.
pub struct Topics(Inbound);

impl Topics {
    /// The message in `bytes`, if a node may say it on `topic`; otherwise what to do with it, and how it is counted.
    fn read(&self, node: u64, topic: GossipTopic, bytes: &[u8]) -> Result<Envelope, (Verdict, &'static str)> {
        let router = &self.0.router;
        let malformed = Err((Verdict::Reject, "malformed"));
        let mut input = BytesMut::from(bytes);
        let envelope = match wire::decode(&mut input, &router.remotes().limits, Instant::now()) {
            Ok(Some(Frame::Message { envelope, wants_reply: false })) if input.is_empty() => envelope,
            // Its node allows more than this one: others may, too, and they get it from there.
            Ok(Some(Frame::Refused { .. })) => return Err((Verdict::Ignore, "over-limits")),
            _ => return malformed,
        };
        let named = match (&envelope.recipient, router.directory().abroad()) {
            (Address::Topic(name), Some(abroad)) => abroad.topic(name) == topic,
            _ => false,
        };
        if !named || envelope.deadline.is_some() {
            return malformed;
        }
        // Whoever it names may have moved here while it was under way: nobody is blamed.
        self.0.check(Some(node), &envelope.sender).map_err(|_| (Verdict::Ignore, "denied"))?;
        Ok(envelope)
    }
}

impl Listener for Topics {
    fn heard(&self, topic: GossipTopic, origin: Peer, bytes: Bytes) -> Verdict {
        let router = &self.0.router;
        let Some(node) = router.remotes().roster.node(origin) else {
            router.count_topic("no-member", 1);
            return Verdict::Ignore;
        };
        match self.read(node, topic, &bytes) {
            Ok(envelope) => {
                router.count_topic("received", 1);
                // What becomes of it here is not the others' concern.
                self.0.lines.take(origin, envelope, Origin::Gossip);
                Verdict::Accept
            }
            Err((verdict, why)) => {
                router.count_topic(why, 1);
                tracing::debug!(node, why, "a message to a topic is not taken");
                verdict
            }
        }
    }

    fn lost(&self, why: Lost, count: u64) {
        let why = match why {
            Lost::NotMember => "no-member",
            Lost::Late => "late",
            Lost::Flood => "flood",
            Lost::Malformed => "malformed",
            Lost::Slow => "slow-peer",
            Lost::Failed => "failed",
        };
        self.0.router.count_topic(why, count);
    }
}

#[cfg(test)]
mod tests;
