//! What enters a Soul at once: `batch` of `wit/agent.wit`.

use std::cell::RefCell;
use std::sync::Arc;

use wasmtime::component::{ComponentType, Lower};

use super::bindings::matrix::node::types::MessageId;
use crate::capabilities::types;
use crate::transport::envelope::{Address, Envelope};

/// A batch that took more memory than this is not kept for the next one, in bytes.
const KEPT_BYTES_MAX: usize = 256 * 1024;

thread_local! {
    /// The last batch that left a guest on this thread: its memory serves the next.
    static SPARE: RefCell<Option<Arc<Batch>>> = const { RefCell::new(None) };
}

/// `address-kind` of `wit/types.wit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum AddressKind {
    /// A Soul.
    #[component(name = "soul")]
    Soul,
    /// A running Matrix.
    #[component(name = "matrix")]
    Matrix,
    /// Every subscriber of a topic.
    #[component(name = "topic")]
    Topic,
    /// A caller of the API.
    #[component(name = "client")]
    Client,
}

/// `head` of `wit/agent.wit`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub struct Head {
    id: MessageId,
    sender: AddressKind,
    #[component(name = "sender-bytes")]
    sender_bytes: u32,
    #[component(name = "topic-bytes")]
    topic_bytes: u32,
    #[component(name = "content-type-bytes")]
    content_type_bytes: u32,
    #[component(name = "body-bytes")]
    body_bytes: u32,
    #[component(name = "in-reply-to")]
    in_reply_to: Option<MessageId>,
    #[component(name = "sent-at")]
    sent_at: u64,
}

/// Messages, packed as they are copied into a guest.
#[derive(Default, ComponentType, Lower)]
#[component(record)]
pub struct Batch {
    heads: Vec<Head>,
    bytes: Vec<u8>,
}

impl Batch {
    /// Packs messages, oldest first.
    pub fn of<'a>(envelopes: impl IntoIterator<Item = &'a Envelope>) -> Arc<Self> {
        let spare = SPARE.with_borrow_mut(Option::take);
        let mut batch = spare.unwrap_or_default();
        match Arc::get_mut(&mut batch) {
            Some(free) => envelopes.into_iter().for_each(|envelope| free.push(envelope)),
            None => {
                let mut new = Self::default();
                envelopes.into_iter().for_each(|envelope| new.push(envelope));
                batch = Arc::new(new);
            }
        }
        batch
    }

    /// Leaves the memory of a batch that nobody reads any more to the next.
    pub(super) fn recycle(mut batch: Arc<Self>) {
        let Some(free) = Arc::get_mut(&mut batch) else { return };
        free.heads.clear();
        free.bytes.clear();
        if free.bytes.capacity() + free.heads.capacity() * size_of::<Head>() <= KEPT_BYTES_MAX {
            SPARE.set(Some(batch));
        }
    }

    /// How many messages it has.
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    fn push(&mut self, envelope: &Envelope) {
        let (sender, name) = kind_and_name(&envelope.sender);
        let topic = match &envelope.recipient {
            Address::Topic(topic) => topic.as_str(),
            _ => "",
        };
        let content = &envelope.content;
        let mut add = |part: &[u8]| {
            self.bytes.extend_from_slice(part);
            // A message is bounded by far less than 4 GiB before it comes to a mailbox.
            part.len() as u32
        };
        self.heads.push(Head {
            id: types::message_id(envelope.id),
            sender,
            sender_bytes: add(name.as_bytes()),
            topic_bytes: add(topic.as_bytes()),
            content_type_bytes: add(content.content_type.as_bytes()),
            body_bytes: add(&content.body),
            in_reply_to: envelope.in_reply_to.map(types::message_id),
            sent_at: envelope.sent_at_ms,
        });
    }
}

fn kind_and_name(address: &Address) -> (AddressKind, &str) {
    match address {
        Address::Soul(name) => (AddressKind::Soul, name.as_str()),
        Address::Matrix(name) => (AddressKind::Matrix, name.as_str()),
        Address::Topic(name) => (AddressKind::Topic, name.as_str()),
        Address::Client(name) => (AddressKind::Client, name.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::testing::envelope;

    #[test]
    fn parts_lie_one_behind_the_other() {
        let (first, second) = (envelope("one"), envelope("second"));
        let batch = Batch::of([&first, &second]);
        let told = |envelope: &Envelope| {
            let (_, name) = kind_and_name(&envelope.sender);
            [name.as_bytes(), envelope.content.content_type.as_bytes(), &envelope.content.body].concat()
        };
        assert_eq!(batch.bytes, [told(&first), told(&second)].concat());
        let lengths: Vec<_> = batch.heads.iter().map(|head| (head.topic_bytes, head.body_bytes)).collect();
        assert_eq!(lengths, [(0, 3), (0, 6)]);
        assert_eq!(batch.heads[0].sender, AddressKind::Client);
    }

    #[test]
    fn memory_is_used_again_only_when_nobody_reads_it() {
        let message = envelope("one");
        let held = Batch::of([&message]);
        Batch::recycle(Arc::clone(&held));
        let fresh = Batch::of([&message]);
        assert!(!Arc::ptr_eq(&held, &fresh) && held.len() == 1);
        let place = Arc::as_ptr(&fresh);
        Batch::recycle(fresh);
        let again = Batch::of([&message, &message]);
        assert_eq!((Arc::as_ptr(&again), again.len()), (place, 2));
    }
}
