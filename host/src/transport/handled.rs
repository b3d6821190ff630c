//! A message between its way there and its way back.

use super::envelope::{Address, Content, Envelope, ReplyTo, TraceContext};
use crate::ids::MessageId;

/// What is kept of a message while its recipient works on it.
#[derive(Debug)]
pub struct Handled {
    /// The message.
    pub id: MessageId,
    /// Who sent it.
    pub sender: Address,
    /// Who works on it; for a message to a topic, the topic.
    pub recipient: Address,
    /// How many messages led here.
    pub hops: u16,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
    /// Who wants the reply.
    pub reply_to: ReplyTo,
}

impl Handled {
    /// What is kept of a message, and what it says.
    pub fn of(envelope: Envelope) -> (Self, Content) {
        let handled = Self {
            id: envelope.id,
            sender: envelope.sender,
            recipient: envelope.recipient,
            hops: envelope.hops,
            trace: envelope.trace,
            reply_to: envelope.reply_to,
        };
        (handled, envelope.content)
    }
}
