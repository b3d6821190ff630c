//! Messages that come from other nodes, and those that go on after a recipient that has moved.

use std::sync::Arc;

use super::directory::Route;
use super::envelope::{Address, Envelope, ReplyTo, SendError};
use super::limbo::Early;
use super::mailbox::Mailbox;
use super::remote::Outpost;
use super::router::{Router, push};

impl Router {
    /// Makes an address reachable here. What came for it before it did, because its last node was told earlier than
    /// this one, goes first.
    pub fn settle(&self, address: Address, mailbox: Arc<Mailbox>) {
        let (directory, early) = (&self.0.directory, mailbox.clone());
        let push = |envelope| {
            if let Err(refused) = push(&early, envelope) {
                self.refuse(refused);
            }
        };
        self.0.limbo.settle(&address.clone(), push, || directory.insert(address, mailbox));
    }

    /// Hands a message on that was accepted here for somebody who lives elsewhere now. It was judged when it left its
    /// sender, and is judged again where it arrives. One of a topic is lost: there is no address for it that is not also
    /// others'.
    pub fn hand_on(&self, outpost: &Outpost, envelope: Envelope) {
        if matches!(envelope.recipient, Address::Topic(_)) {
            return self.undelivered(&SendError::Unreachable);
        }
        let left_in = self.0.directory.left(&envelope.recipient);
        if let Err(error) = self.0.remotes.send(outpost, Envelope { left_in, ..envelope }) {
            self.undelivered(&error);
        }
    }

    /// Takes a message that came from another node, or from a client (none).
    pub(super) fn arrive(&self, envelope: Envelope, from: Option<u64>) {
        if matches!(envelope.recipient, Address::Topic(_)) {
            return match from {
                // What a client says to a topic, this node says to the others.
                None => drop(self.publish(&envelope).inspect_err(|error| self.undelivered(error))),
                // Nodes say it by gossip.
                Some(_) => self.undelivered(&SendError::UnknownRecipient(envelope.recipient)),
            };
        }
        let delivered = match self.0.directory.route(&envelope.recipient) {
            Some(Route::Here(mailbox)) => push(&mailbox, envelope),
            // It lives elsewhere by now.
            Some(Route::There(outpost)) if Some(outpost.node()) != from => {
                self.send_on(&outpost, Envelope { left_in: None, ..envelope })
            }
            Some(Route::There(outpost)) => match self.0.directory.left(&envelope.recipient) {
                // It has left this node for the one that this comes from, which has not heard of it yet.
                Some(left) if envelope.left_in.is_none_or(|before| before < left) => {
                    self.send_on(&outpost, Envelope { left_in: Some(left), ..envelope })
                }
                // Who sent it knows better.
                _ => self.arrive_early(envelope, from),
            },
            None => self.arrive_early(envelope, from),
        };
        if let Err(refused) = delivered {
            self.refuse(refused);
        }
    }

    fn send_on(&self, outpost: &Outpost, envelope: Envelope) -> Result<(), (ReplyTo, SendError)> {
        self.0.remotes.send(outpost, envelope).map_err(|error| (ReplyTo::Sender, error))
    }

    /// Tells who waits for those that never came. To be called now and then.
    pub fn refuse_late(&self) {
        for envelope in self.0.limbo.late() {
            let error = SendError::UnknownRecipient(envelope.recipient.clone());
            self.refuse((envelope.reply_to, error));
        }
    }

    /// A node may know before this one that somebody lives here: the message waits for a moment.
    fn arrive_early(&self, envelope: Envelope, from: Option<u64>) -> Result<(), (ReplyTo, SendError)> {
        let unknown = |envelope: Envelope| {
            let error = SendError::UnknownRecipient(envelope.recipient.clone());
            Err((envelope.reply_to, error))
        };
        if from.is_none() {
            return unknown(envelope);
        }
        let is_here = |address: &Address| self.0.directory.find(address);
        match self.0.limbo.wait(envelope, is_here) {
            Early::Waiting => Ok(()),
            Early::Settled(envelope, mailbox) => push(&mailbox, *envelope),
            Early::TooMany(envelope) => unknown(*envelope),
        }
    }

    /// Tells whoever waits that a message was refused.
    pub(super) fn refuse(&self, (reply_to, error): (ReplyTo, SendError)) {
        self.undelivered(&error);
        if let ReplyTo::Remote(caller) = reply_to {
            caller.answer(&Err(error));
        }
    }
}
