//! A bounded mailbox: many senders, one actor that drains it in batches.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures::task::AtomicWaker;

use super::envelope::Envelope;

/// Why a mailbox did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It holds as many messages as it may.
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
    closed: bool,
}

/// The actor's end: the only one that takes messages out. Dropping it closes the mailbox.
#[derive(Debug)]
pub struct Inbox(Arc<Mailbox>);

impl Mailbox {
    /// A mailbox for at most `capacity` messages, and its other end.
    pub fn new(capacity: usize) -> (Arc<Self>, Inbox) {
        let mailbox = Arc::new(Self { queue: Mutex::default(), waker: AtomicWaker::new(), capacity });
        (mailbox.clone(), Inbox(mailbox))
    }

    /// Puts a message at the end, or gives it back.
    pub fn push(&self, envelope: Envelope) -> Result<(), (Envelope, Refused)> {
        let mut queue = self.lock();
        if queue.closed {
            return Err((envelope, Refused::Closed));
        }
        if queue.messages.len() >= self.capacity {
            return Err((envelope, Refused::Full));
        }
        let was_empty = queue.messages.is_empty();
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
    /// Moves at most `max` messages to the end of `batch`, oldest first. Returns how many.
    pub fn drain(&mut self, batch: &mut Vec<Envelope>, max: usize) -> usize {
        let mut queue = self.0.lock();
        let count = queue.messages.len().min(max);
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
