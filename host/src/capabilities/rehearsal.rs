//! What a guest does while it is only tried, as new code is before it takes the place of the old: written down
//! instead of done. Reading goes on as ever; what is written down is not seen by the guest that wrote it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::ids::TopicName;
use crate::kv::Mutation;
use crate::transport::envelope::{Address, Content};

/// The most deeds that one rehearsal writes down.
pub const DEEDS_MAX: usize = 1_024;
/// The most bytes of what is written down.
pub const DEEDS_BYTES_MAX: usize = 4 << 20;

/// Something that a guest would have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A message.
    Send(Address, Content),
    /// A question, which nobody answers.
    Ask(Address, Content),
    /// From now on it hears a topic.
    Subscribe(TopicName),
    /// From now on it does not.
    Unsubscribe(TopicName),
    /// An event: its kind, and what it says.
    Emit(String, Content),
    /// Something to remember, instead of these episodes.
    Remember(String, Vec<u64>),
    /// An episode to forget.
    Forget(u64),
    /// A call to a service outside the realm: the endpoint, the method and the request. It is not made.
    Call(String, String, Bytes),
    /// A request to a host outside the realm: its method and its URL. It is not sent; what would follow as its body is not seen.
    Request(String),
    /// Writes to the KV, all or none.
    Write(Vec<Mutation>),
}

impl Deed {
    fn bytes(&self) -> usize {
        let of = |content: &Content| content.body.len();
        match self {
            Self::Send(_, content) | Self::Ask(_, content) | Self::Emit(_, content) => of(content),
            Self::Call(endpoint, method, request) => endpoint.len() + method.len() + request.len(),
            Self::Write(mutations) => mutations.iter().map(written).sum(),
            Self::Request(line) => line.len(),
            Self::Remember(text, instead_of) => text.len() + size_of_val(&instead_of[..]),
            Self::Subscribe(_) | Self::Unsubscribe(_) | Self::Forget(_) => 0,
        }
    }
}

fn written(mutation: &Mutation) -> usize {
    match mutation {
        Mutation::Put { value, .. } => value.len(),
        _ => 0,
    }
}

/// What a guest did while it was tried, in order. Clones are the same: a capability that does not see the guest's state holds one.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    notes: Arc<Mutex<Notes>>,
    /// Whether its questions are asked all the same: a birth may depend on the answers.
    pub(crate) asks: bool,
}

#[derive(Debug, Default)]
struct Notes {
    deeds: Vec<Deed>,
    bytes: usize,
}

impl Rehearsal {
    /// Nothing was done yet. `asks`: questions are asked all the same.
    pub fn new(asks: bool) -> Self {
        Self { notes: Arc::default(), asks }
    }

    /// Writes a deed down. False: there are too many.
    #[must_use]
    pub(crate) fn note(&self, deed: Deed) -> bool {
        let mut notes = self.notes();
        let bytes = notes.bytes + deed.bytes();
        if notes.deeds.len() >= DEEDS_MAX || bytes > DEEDS_BYTES_MAX {
            return false;
        }
        notes.bytes = bytes;
        notes.deeds.push(deed);
        true
    }

    /// What was done since this was called last.
    pub fn take(&self) -> Vec<Deed> {
        std::mem::take(&mut *self.notes()).deeds
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // Nothing that holds it can panic half-way.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_bounded_in_number_and_bytes() {
        let topic: TopicName = "news".parse().expect("a topic");
        let rehearsal = Rehearsal::new(false);
        assert!((0..DEEDS_MAX).all(|_| rehearsal.note(Deed::Subscribe(topic.clone()))));
        assert!(!rehearsal.note(Deed::Subscribe(topic)));
        assert_eq!(rehearsal.take().len(), DEEDS_MAX);
        let large = || {
            let body = Bytes::from(vec![0; DEEDS_BYTES_MAX / 2 + 1]);
            Deed::Emit("tick".into(), Content { content_type: "text/plain".into(), body })
        };
        assert!(rehearsal.note(large()) && !rehearsal.note(large()));
        assert_eq!(rehearsal.take().len(), 1);
        assert!(rehearsal.note(large()), "what was taken no longer counts");
    }
}
