//! What a place in the chain judged last: a few small messages, so that new code can be tried with them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::ids::MessageId;
use crate::transport::envelope::{Address, Content};
use crate::transport::stages::{Passing, Way};

/// The longest body that is recorded, in bytes: what is longer would keep too much in memory.
const BODY_BYTES_MAX: usize = 4 * 1024;
/// The most messages that a place may be told to record.
pub(crate) const RECORDED_MAX: usize = 256;

/// A message, as it came to a place.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) way: Way,
    id: MessageId,
    sender: Address,
    recipient: Address,
    in_reply_to: Option<MessageId>,
    sent_at_ms: u64,
    pub(crate) content: Content,
}

impl Said {
    /// What stages see of it.
    pub(crate) fn passing(&self) -> Passing<'_> {
        Passing {
            id: self.id,
            sender: &self.sender,
            recipient: &self.recipient,
            in_reply_to: self.in_reply_to,
            sent_at_ms: self.sent_at_ms,
            trace: None,
        }
    }
}

/// The last messages of a place, whichever stage stands there.
#[derive(Debug, Default)]
pub(crate) struct Recorded(Mutex<VecDeque<Said>>);

impl Recorded {
    /// Records a message, and keeps at most `max`. One that comes while another thread records is left out: no message
    /// waits for this.
    pub(super) fn push(&self, way: Way, message: &Passing<'_>, content: &Content, max: usize) {
        if max == 0 || content.body.len() > BODY_BYTES_MAX {
            return;
        }
        let Ok(mut last) = self.0.try_lock() else { return };
        while last.len() >= max.min(RECORDED_MAX) {
            last.pop_front();
        }
        last.push_back(Said {
            way,
            id: message.id,
            sender: message.sender.clone(),
            recipient: message.recipient.clone(),
            in_reply_to: message.in_reply_to,
            sent_at_ms: message.sent_at_ms,
            content: Content {
                content_type: content.content_type.clone(),
                // A copy: the body may be a piece of something far larger.
                body: Bytes::copy_from_slice(&content.body),
            },
        });
    }

    /// What there is, the oldest first.
    pub(crate) fn look(&self) -> Vec<Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Forgets all.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_small_messages_are_kept() {
        let recorded = Recorded::default();
        let address: Address = "soul:neo".parse().expect("an address");
        let said = |text: &str, max| {
            let content = Content { content_type: "text/plain".into(), body: text.to_owned().into() };
            let (id, in_reply_to, sent_at_ms) = (MessageId(1), None, 7);
            let (sender, recipient) = (&address, &address);
            let message = Passing { id, sender, recipient, in_reply_to, sent_at_ms, trace: None };
            recorded.push(Way::Inbound, &message, &content, max);
        };
        let bodies = || recorded.look().iter().map(|said| said.content.body.clone()).collect::<Vec<_>>();
        for text in ["a", "b", "c"] {
            said(text, 2);
        }
        assert_eq!(bodies(), ["b", "c"]);
        said(&"x".repeat(BODY_BYTES_MAX + 1), 2);
        said("d", 0);
        assert_eq!(bodies(), ["b", "c"], "too long, and not wanted");
        assert_eq!(recorded.look()[0].passing().sent_at_ms, 7);
        recorded.forget();
        assert!(recorded.look().is_empty());
    }
}
