//! What a Soul says that keeps its turns: it has its id at once, and leaves when the turn is kept.

use super::Ctx;
use crate::ids::MessageId;
use crate::transport::envelope::{Envelope, SendError};
use crate::transport::router::{Draft, Router, Stamp};

/// How much a Soul may still say before what it said is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Messages.
    pub(crate) messages: usize,
    /// Bytes of their bodies.
    pub(crate) bytes: usize,
}

impl Room {
    /// Takes room for a message with a body of so many bytes; false: there is none.
    pub(crate) fn takes(&mut self, bytes: usize) -> bool {
        let fits = self.messages > 0 && self.bytes >= bytes;
        if fits {
            *self = Self { messages: self.messages - 1, bytes: self.bytes - bytes };
        }
        fits
    }
}

/// Messages that wait for their turn to be kept.
#[derive(Debug, Default)]
pub(super) struct Held {
    letters: Vec<Envelope>,
    room: Room,
}

impl Held {
    /// Keeps a message.
    pub(super) fn keep(
        &mut self,
        router: &Router,
        draft: Draft,
        stamp: Stamp,
    ) -> Result<MessageId, SendError> {
        let letter = router.letter(draft, stamp)?;
        // As where a mailbox is full: what was said before has to arrive first.
        if !self.room.takes(letter.content.body.len()) {
            return Err(SendError::MailboxFull);
        }
        let id = letter.id;
        self.letters.push(letter);
        Ok(id)
    }
}

impl Ctx {
    /// Holds back what is said from now on, as far as there is room.
    pub(crate) fn hold(&mut self, room: Room) {
        self.held.get_or_insert_default().room = room;
    }

    /// Takes what was held back, in the order in which it was said.
    pub(crate) fn take_held(&mut self) -> Vec<Envelope> {
        self.held.as_mut().map(|held| std::mem::take(&mut held.letters)).unwrap_or_default()
    }
}
