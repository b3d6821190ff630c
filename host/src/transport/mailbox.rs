//! A bounded mailbox: many senders, one actor that drains it in batches.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures::task::AtomicWaker;

use super::envelope::Envelope;

/// The most bytes of bodies that wait in one mailbox: 64 of the longest. A bound on their number alone would let
/// one mailbox take a gigabyte.
pub const MAILBOX_BYTES_MAX: usize = 16 << 20;

/// The most bytes of bodies that leave a mailbox at once, one message however large: they are copied into the
/// owner's memory, of which a guest that keeps nothing has a megabyte or two.
pub const BATCH_BYTES_MAX: usize = 512 * 1024;

/// Why a mailbox did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It holds as many messages, or bytes, as it may.
    Full,
    /// Its owner takes no more messages.
    Closed,
}

/// The senders' end. Pushing never waits.
#[derive(Debug)]
pub struct Mailbox {
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Envelope>,
    /// The sum of the messages' sizes.
    bytes: usize,
    closed: bool,
}

/// What a message counts for, in bytes; content is bounded before it comes here, so that sums fit.
fn size(envelope: &Envelope) -> usize {
    envelope.content.body.len() + envelope.content.content_type.len()
}

/// The actor's end: the only one that takes messages out. Dropping it closes the mailbox.
#[derive(Debug)]
pub struct Inbox(Arc<Mailbox>);

impl Mailbox {
    /// A mailbox for at most `capacity` messages of at most [`MAILBOX_BYTES_MAX`] together, and its other end.
    pub fn new(capacity: usize) -> (Arc<Self>, Inbox) {
        let mailbox = Arc::new(Self { queue: Mutex::default(), waker: AtomicWaker::new(), capacity });
        (mailbox.clone(), Inbox(mailbox))
    }

    /// Puts a message at the end, or gives it back.
    #[expect(
        clippy::result_large_err,
        reason = "a message that is given back is not copied to the heap first"
    )]
    pub fn push(&self, envelope: Envelope) -> Result<(), (Envelope, Refused)> {
        let mut queue = self.lock();
        if queue.closed {
            return Err((envelope, Refused::Closed));
        }
        let bytes = queue.bytes.saturating_add(size(&envelope));
        if queue.messages.len() >= self.capacity || bytes > MAILBOX_BYTES_MAX {
            return Err((envelope, Refused::Full));
        }
        let was_empty = queue.messages.is_empty();
        queue.bytes = bytes;
        queue.messages.push_back(envelope);
        drop(queue);
        // An actor that finds messages drains them all, so only the first of a batch must wake it.
        if was_empty {
            self.waker.wake();
        }
        Ok(())
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.lock().messages.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A panic between lock and unlock is impossible here, so a poisoned lock still holds the truth.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// Moves at most `max` messages, of at most [`BATCH_BYTES_MAX`] together and all of the same number of hops, to
    /// the end of `batch`, oldest first.
    /// Returns how many.
    pub fn drain(&mut self, batch: &mut Vec<Envelope>, max: usize) -> usize {
        let mut queue = self.0.lock();
        let (mut count, mut bytes, mut hops) = (0, 0, None);
        for envelope in queue.messages.iter().take(max) {
            // What a message causes counts its hops: one that came a long way must not lengthen another's.
            let apart = envelope.hops != *hops.get_or_insert(envelope.hops);
            if apart || count > 0 && bytes + size(envelope) > BATCH_BYTES_MAX {
                break;
            }
            bytes += size(envelope);
            count += 1;
        }
        queue.bytes -= bytes;
        batch.extend(queue.messages.drain(..count));
        count
    }

    /// Waits until a message is there. Cancelling it loses nothing.
    pub async fn ready(&mut self) {
        poll_fn(|context| {
            if !self.0.is_empty() {
                return Poll::Ready(());
            }
            self.0.waker.register(context.waker());
            // A message may have come between the look and the registration.
            if self.0.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands on what waits, in order, by `forward`, and refuses messages from then on. `then` runs before anybody can
    /// learn that they are refused: whoever does finds the new way, behind all that was handed on.
    pub fn redirect(self, mut forward: impl FnMut(Envelope), then: impl FnOnce()) {
        let mut queue = self.0.lock();
        queue.messages.drain(..).for_each(&mut forward);
        queue.bytes = 0;
        then();
        queue.closed = true;
    }

    /// The senders' end.
    pub fn mailbox(&self) -> Arc<Mailbox> {
        self.0.clone()
    }

    /// Refuses messages from now on; those that wait can still be drained.
    pub fn close(&mut self) {
        self.0.lock().closed = true;
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        let left = std::mem::take(&mut queue.messages);
        queue.bytes = 0;
        drop(queue);
        // Dropped outside the lock: callers who wait for replies are woken by it.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::envelope;
    use super::*;

    #[test]
    fn keeps_order_and_bound() {
        let (mailbox, mut inbox) = Mailbox::new(2);
        assert!(mailbox.push(envelope("a")).is_ok());
        assert!(mailbox.push(envelope("b")).is_ok());
        let (back, refused) = mailbox.push(envelope("c")).expect_err("the mailbox holds two");
        assert_eq!((&back.content.body[..], refused), (&b"c"[..], Refused::Full));
        let mut batch = Vec::new();
        assert_eq!(inbox.drain(&mut batch, 1), 1);
        assert_eq!(inbox.drain(&mut batch, 9), 1);
        let bodies: Vec<_> = batch.iter().map(|e| e.content.body.clone()).collect();
        assert_eq!(bodies, ["a", "b"]);
        drop(inbox);
        assert_eq!(mailbox.push(envelope("d")).expect_err("closed").1, Refused::Closed);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (mailbox, mut inbox) = Mailbox::new(1_000);
        let large = "x".repeat(BATCH_BYTES_MAX / 3);
        let full = MAILBOX_BYTES_MAX / size(&envelope(&large));
        assert_eq!((0..200).filter(|_| mailbox.push(envelope(&large)).is_ok()).count(), full);
        let mut batch = Vec::new();
        assert_eq!(inbox.drain(&mut batch, 9), 2, "the media types count as well");
        assert_eq!(
            (0..200).filter(|_| mailbox.push(envelope(&large)).is_ok()).count(),
            2,
            "what left makes room"
        );
        let (mailbox, mut inbox) = Mailbox::new(1_000);
        assert!(mailbox.push(envelope(&"x".repeat(2 * BATCH_BYTES_MAX))).is_ok());
        assert!(mailbox.push(envelope("x")).is_ok());
        assert_eq!(inbox.drain(&mut batch, 9), 1, "one always leaves, however large");
    }

    #[tokio::test]
    async fn ready_wakes_for_a_message_from_another_thread() {
        let (mailbox, mut inbox) = Mailbox::new(1);
        let sender = std::thread::spawn(move || mailbox.push(envelope("a")).is_ok());
        inbox.ready().await;
        assert_eq!(inbox.drain(&mut Vec::new(), 1), 1);
        assert!(sender.join().expect("the sender does not panic"));
    }

    #[tokio::test]
    async fn nothing_is_lost_between_many_senders_and_a_slow_actor() {
        let (mailbox, mut inbox) = Mailbox::new(1 << 20);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mailbox = mailbox.clone();
                std::thread::spawn(move || (0..1000).all(|_| mailbox.push(envelope("x")).is_ok()))
            })
            .collect();
        let mut batch = Vec::new();
        while batch.len() < 4000 {
            inbox.ready().await;
            inbox.drain(&mut batch, 64);
        }
        assert!(threads.into_iter().all(|t| t.join().expect("no panic")));
    }
}
