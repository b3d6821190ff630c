//! What enters a Soul at once: `batch` of `wit/agent.wit`.

use std::cell::RefCell;
use std::sync::Arc;

use wasmtime::component::{ComponentType, Lower};

use crate::transport::envelope::{Address, Envelope};

/// A batch that took more memory than this is not kept for the next one, in bytes.
const KEPT_BYTES_MAX: usize = 256 * 1024;

thread_local! {
    /// The last batch that left a guest on this thread: its memory serves the next.
    static SPARE: RefCell<Option<Arc<Batch>>> = const { RefCell::new(None) };
}

/// Words of a message's head, in the order of `wit/agent.wit`.
const HEAD: usize = 16;

/// Messages, packed as they are copied into a guest: each list in one piece.
#[derive(Debug, Default, ComponentType, Lower)]
#[component(record)]
pub struct Batch {
    heads: Vec<u32>,
    bytes: Vec<u8>,
}

impl Batch {
    /// Packs messages, oldest first.
    pub fn of<'a>(envelopes: impl IntoIterator<Item = &'a Envelope>) -> Arc<Self> {
        let mut batch = SPARE.take().unwrap_or_default();
        let free = Arc::get_mut(&mut batch).expect("only its last owner leaves a batch to the next");
        envelopes.into_iter().for_each(|envelope| free.push(envelope));
        batch
    }

    /// Leaves the memory of a batch that nobody reads any more to the next.
    pub(super) fn recycle(mut batch: Arc<Self>) {
        let Some(free) = Arc::get_mut(&mut batch) else { return };
        free.heads.clear();
        free.bytes.clear();
        if free.bytes.capacity() + free.heads.capacity() * size_of::<u32>() <= KEPT_BYTES_MAX {
            SPARE.set(Some(batch));
        }
    }

    /// How many messages it has.
    pub(super) fn len(&self) -> usize {
        self.heads.len() / HEAD
    }

    fn push(&mut self, envelope: &Envelope) {
        let (kind, name) = kind_and_name(&envelope.sender);
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
        let (sender, topic) = (add(name.as_bytes()), add(topic.as_bytes()));
        let (content_type, body) = (add(content.content_type.as_bytes()), add(&content.body));
        let [a, b, c, d] = words(envelope.id.0);
        let [of_a, of_b, of_c, of_d] = words(envelope.in_reply_to.map_or(0, |id| id.0));
        let [_, _, high, low] = words(envelope.sent_at_ms.into());
        self.heads.extend_from_slice(&[
            a,
            b,
            c,
            d,
            kind,
            sender,
            topic,
            content_type,
            body,
            of_a,
            of_b,
            of_c,
            of_d,
            high,
            low,
            0,
        ]);
    }
}

/// A number in four words, most significant first.
fn words(number: u128) -> [u32; 4] {
    [96, 64, 32, 0].map(|shift| (number >> shift) as u32)
}

/// What an address belongs to, by its place in `address` of `wit/types.wit`, and its name.
fn kind_and_name(address: &Address) -> (u32, &str) {
    match address {
        Address::Soul(name) => (0, name.as_str()),
        Address::Matrix(name) => (1, name.as_str()),
        Address::Topic(name) => (2, name.as_str()),
        Address::Client(name) => (3, name.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MessageId;
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
        let head = |body| [0, 0, 0, 1, 3, 4, 0, 10, body, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(batch.heads, [head(3), head(6)].concat());

        let mut answer = envelope("yes");
        answer.id = MessageId(u128::from(u64::MAX) << 64 | 7);
        answer.in_reply_to = Some(MessageId(1 << 32));
        answer.recipient = "topic:news".parse().expect("an address");
        answer.sent_at_ms = (1 << 32) + 9;
        let (ones, batch) = (u32::MAX, Batch::of([&answer]));
        assert_eq!(batch.heads, [ones, ones, 0, 7, 3, 4, 4, 10, 3, 0, 0, 1, 0, 1, 9, 0]);
        assert_eq!(batch.bytes, b"testnewstext/plainyes");
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
