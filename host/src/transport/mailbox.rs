//! A bounded mailbox: many senders, one actor that drains it in batches.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;

use super::envelope::Envelope;
use super::room::{Room, Share};

/// The most bytes of bodies that wait in one mailbox: 64 of the longest. A bound on their number alone would let
/// one mailbox take a gigabyte.
pub const MAILBOX_BYTES_MAX: usize = 16 << 20;

/// The most bytes of bodies that leave a mailbox at once, one message however large: they are copied into the
/// owner's memory, of which a guest that keeps nothing has a megabyte or two.
pub const BATCH_BYTES_MAX: usize = 512 * 1024;

/// A wait that is shorter is not worth a look at the clock.
const WAIT_LEAST: Duration = Duration::from_millis(1);

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
    gives_receipts: bool,
    /// How long one message takes, in nanoseconds, by the last ones.
    each_ns: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug)]
struct Queue {
    messages: VecDeque<Envelope>,
    /// The sum of the messages' sizes.
    bytes: usize,
    share: Share,
    closed: bool,
}

impl Queue {
    /// Messages of so many bytes are taken out.
    fn lose(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.share.shrink(self.bytes);
    }
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
        Self::within(Room::new(usize::MAX), capacity)
    }

    /// As [`Mailbox::new`], and what waits in it takes from `room`. Where that is used up, a mailbox in which nothing waits
    /// takes a message all the same: who floods others keeps nobody from being heard who keeps up.
    pub fn within(room: Room, capacity: usize) -> (Arc<Self>, Inbox) {
        Self::make(room, capacity, false)
    }

    /// [`Mailbox::within`], for an owner that gives receipts itself, once it has kept what it was told.
    pub fn keeping(room: Room, capacity: usize) -> (Arc<Self>, Inbox) {
        Self::make(room, capacity, true)
    }

    fn make(room: Room, capacity: usize, gives_receipts: bool) -> (Arc<Self>, Inbox) {
        let mailbox = Arc::new(Self {
            queue: Mutex::new(Queue {
                messages: VecDeque::new(),
                bytes: 0,
                share: Share::of(room),
                closed: false,
            }),
            waker: AtomicWaker::new(),
            capacity,
            gives_receipts,
            each_ns: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        (mailbox.clone(), Inbox(mailbox))
    }

    /// Whether its owner gives receipts itself: any other message has come to stay once it is in here.
    pub(super) fn gives_receipts(&self) -> bool {
        self.gives_receipts
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
        let is_full = queue.messages.len() >= self.capacity || bytes > MAILBOX_BYTES_MAX;
        let was_empty = queue.messages.is_empty();
        let refused = is_full || self.would_be_late(queue.messages.len(), &envelope);
        if refused || !queue.share.suffices(bytes, was_empty) {
            drop(queue);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err((envelope, Refused::Full));
        }
        queue.bytes = bytes;
        queue.messages.push_back(envelope);
        drop(queue);
        // An actor that finds messages drains them all, so only the first of a batch must wake it.
        if was_empty {
            self.waker.wake();
        }
        Ok(())
    }

    /// Whether a message's turn would come too late behind so many others, by how long the last ones took. Who is told so
    /// at once may try elsewhere; who is let in would have others wait for an answer that nobody hears.
    fn would_be_late(&self, before: usize, envelope: &Envelope) -> bool {
        let Some(deadline) = envelope.deadline else { return false };
        let wait = Duration::from_nanos(self.each_ns.load(Ordering::Relaxed).saturating_mul(before as u64));
        // A quarter more: an answer that comes at the last moment is late.
        wait > WAIT_LEAST && Instant::now() + wait + wait / 4 > deadline
    }

    /// How many messages were refused because there was no room for them.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
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
        self.drain_apart(batch, max, false)
    }

    /// [`Inbox::drain`]; `by_deadline`: what has a deadline comes alone.
    pub fn drain_apart(&mut self, batch: &mut Vec<Envelope>, max: usize, by_deadline: bool) -> usize {
        let mut queue = self.0.lock();
        let (mut count, mut bytes, mut hops, mut alone) = (0, 0, None, false);
        for envelope in queue.messages.iter().take(max) {
            // What a message causes counts its hops: one that came a long way must not lengthen another's.
            let apart = envelope.hops != *hops.get_or_insert(envelope.hops)
                || by_deadline && count > 0 && (envelope.deadline.is_some() || alone);
            alone = envelope.deadline.is_some();
            if apart || count > 0 && bytes + size(envelope) > BATCH_BYTES_MAX {
                break;
            }
            bytes += size(envelope);
            count += 1;
        }
        queue.lose(bytes);
        batch.extend(queue.messages.drain(..count));
        count
    }

    /// Remembers how long one of the last messages took.
    pub fn took(&mut self, each: Duration) {
        let (each, before) = (u64::try_from(each.as_nanos()).unwrap_or(u64::MAX), &self.0.each_ns);
        let last = before.load(Ordering::Relaxed);
        // Only the owner changes it. The first one is all that is known.
        let mean = if last == 0 { each } else { last - last / 8 + each / 8 };
        before.store(mean, Ordering::Relaxed);
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
        let all = queue.bytes;
        queue.lose(all);
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
        let all = queue.bytes;
        queue.lose(all);
        drop(queue);
        // Dropped outside the lock: callers who wait for replies are woken by it.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::super::room::FREE_BYTES;
    use super::super::testing::envelope;
    use super::*;

    #[test]
    fn all_mailboxes_share_a_room_and_an_empty_one_takes_a_message_all_the_same() {
        let large = "x".repeat(2 * FREE_BYTES);
        let room = Room::new(3 * large.len());
        let (flooded, mut flood) = Mailbox::within(room.clone(), 100);
        let (other, others) = Mailbox::within(room.clone(), 100);
        let pushed = (0..9).filter(|_| flooded.push(envelope(&large)).is_ok()).count();
        assert_eq!(pushed, 3);
        assert!(other.push(envelope("abcd")).is_ok(), "a little takes no room");
        assert!(matches!(other.push(envelope(&large)), Err((_, Refused::Full))));
        flood.drain(&mut Vec::new(), 3);
        assert!(other.push(envelope(&large)).is_ok());
        let pushed = (0..9).filter(|_| flooded.push(envelope(&large)).is_ok()).count();
        assert_eq!(pushed, 1, "the other has the rest");
        drop((flood, others));
        let (third, _inbox) = Mailbox::within(room, 100);
        assert_eq!((0..9).filter(|_| third.push(envelope(&large)).is_ok()).count(), 3, "all came back");
    }

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

    #[test]
    fn who_would_be_late_is_refused_at_once() {
        let (mailbox, mut inbox) = Mailbox::new(1_000);
        let within =
            |ms| Envelope { deadline: Some(Instant::now() + Duration::from_millis(ms)), ..envelope("x") };
        assert!(mailbox.push(within(1)).is_ok(), "nobody waits, and nobody knows how long one takes");
        inbox.took(Duration::from_millis(100));
        for _ in 0..9 {
            assert!(mailbox.push(envelope("x")).is_ok(), "who has time waits");
        }
        assert_eq!(mailbox.push(within(1_100)).expect_err("ten are before it").1, Refused::Full);
        assert!(mailbox.push(within(5_000)).is_ok());
        assert_eq!(mailbox.refused(), 1);
        for _ in 0..100 {
            inbox.took(Duration::from_micros(1));
        }
        assert!(mailbox.push(within(1_100)).is_ok(), "they are quicker now");
    }

    #[test]
    fn what_has_a_deadline_may_come_alone() {
        let (mailbox, mut inbox) = Mailbox::new(8);
        let soon = || Envelope { deadline: Some(Instant::now() + Duration::from_secs(60)), ..envelope("x") };
        for message in [envelope("a"), envelope("b"), soon(), soon(), envelope("c")] {
            assert!(mailbox.push(message).is_ok());
        }
        let counts: Vec<_> = (0..4).map(|_| inbox.drain_apart(&mut Vec::new(), 9, true)).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
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
