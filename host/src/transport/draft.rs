//! A message before it leaves, and what came back.

use super::envelope::{Address, Content, Envelope, TraceContext};
use crate::ids::MessageId;

/// A message before the node has given it an id.
#[derive(Debug)]
pub struct Draft {
    /// Who sends it.
    pub sender: Address,
    /// Whom it is for.
    pub recipient: Address,
    /// What it says.
    pub content: Content,
    /// The message that it answers.
    pub in_reply_to: Option<MessageId>,
    /// How many messages led here, this one not counted.
    pub hops: u16,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
}

impl Draft {
    /// As it leaves, with nobody who waits.
    #[inline]
    pub(super) fn stamped(self, Stamp { id, sent_at_ms }: Stamp) -> Envelope {
        Envelope {
            in_reply_to: self.in_reply_to,
            sent_at_ms,
            hops: self.hops.saturating_add(1),
            trace: self.trace,
            ..Envelope::plain(id, self.sender, self.recipient, self.content)
        }
    }
}

/// What the node adds to a draft.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub(super) id: MessageId,
    pub(super) sent_at_ms: u64,
}

impl Stamp {
    /// The message's id.
    pub fn id(&self) -> MessageId {
        self.id
    }
}

/// What was asked, and what came back.
#[derive(Debug)]
pub struct Answer {
    /// The question.
    pub question: MessageId,
    /// The reply; none: the recipient had nothing to say.
    pub content: Option<Content>,
}
