//! A lane's way out: a bounded buffer that many write frames to, and that one task hands to the stream whole.

use std::future::poll_fn;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::BytesMut;
use futures::task::AtomicWaker;
use tokio::sync::Notify;

use super::peer::Peer;

/// What a buffer keeps of its memory between two writes.
const KEPT_BYTES: usize = 256 << 10;

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// No stream to the peer stands.
    #[error("the peer cannot be reached")]
    Down,
    /// As many bytes wait as may.
    #[error("as much waits for the peer as may")]
    Full,
}

/// The way to one peer on one lane. Clones are the same way. It is up while a stream stands; whoever pushed a frame
/// before it went down does not learn what became of it.
#[derive(Debug, Clone)]
pub struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    peer: Peer,
    state: Mutex<State>,
    waker: AtomicWaker,
    /// Told when a stream comes to stand.
    opened: Notify,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    up: bool,
    waiting: BytesMut,
    traffic: Traffic,
}

/// What has gone over a link, or over several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames that were taken to be sent.
    pub frames: u64,
    /// Their bytes.
    pub sent: u64,
    /// Bytes that came.
    pub received: u64,
    /// Frames that were refused, because as much waited as may.
    pub refused: u64,
    /// Streams that came to stand.
    pub opened: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.sent += other.sent;
        self.received += other.received;
        self.refused += other.refused;
        self.opened += other.opened;
    }
}

impl Link {
    /// A way that is down.
    pub(super) fn new(peer: Peer, bytes_max: usize) -> Self {
        let (state, waker, opened) = (Mutex::default(), AtomicWaker::new(), Notify::new());
        Self(Arc::new(Inner { peer, state, waker, opened, bytes_max }))
    }

    /// Whom it leads to.
    pub fn peer(&self) -> Peer {
        self.0.peer
    }

    /// Whether a stream stands.
    pub fn is_up(&self) -> bool {
        self.lock().up
    }

    /// Returns once a stream stands.
    pub async fn until_up(&self) {
        loop {
            let opened = self.0.opened.notified();
            // It may have opened between the look and the wait.
            if self.is_up() {
                return;
            }
            opened.await;
        }
    }

    /// Bytes that wait to be written.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Lets `write` append a frame, which leaves with all others that wait; never waits. What `write` returns is
    /// returned; after an error it must have appended nothing. The bound is on what waited before: one frame more
    /// always fits.
    ///
    /// # Errors
    /// `Down` or `Full`; `write` was not called then.
    pub fn push<T>(&self, write: impl FnOnce(&mut BytesMut) -> T) -> Result<T, PushError> {
        let mut state = self.lock();
        if !state.up {
            return Err(PushError::Down);
        }
        if state.waiting.len() >= self.0.bytes_max {
            state.traffic.refused += 1;
            return Err(PushError::Full);
        }
        let before = state.waiting.len();
        let was_empty = before == 0;
        let written = write(&mut state.waiting);
        let bytes = state.waiting.len() - before;
        state.traffic.frames += u64::from(bytes > 0);
        state.traffic.sent += bytes as u64;
        drop(state);
        // The writer takes all there is, so only the first of many must wake it.
        if was_empty {
            self.0.waker.wake();
        }
        Ok(written)
    }

    /// Opens or closes the way. What waited when it closes is dropped.
    pub(super) fn set_up(&self, up: bool) {
        let mut state = self.lock();
        let opened = state.traffic.opened + u64::from(up);
        *state = State { up, waiting: BytesMut::new(), traffic: Traffic { opened, ..state.traffic } };
        drop(state);
        self.0.waker.wake();
        if up {
            self.0.opened.notify_waiters();
        }
    }

    /// Bytes came.
    pub(super) fn count_received(&self, bytes: usize) {
        self.lock().traffic.received += bytes as u64;
    }

    /// What has gone over it since it was made.
    pub(super) fn traffic(&self) -> Traffic {
        self.lock().traffic
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// Waits until something waits, and swaps it with `spare`, which is emptied; its memory is used again.
    pub(super) async fn take(&self, spare: &mut BytesMut) {
        spare.clear();
        if spare.capacity() > KEPT_BYTES {
            *spare = BytesMut::new();
        }
        poll_fn(|context| {
            self.0.waker.register(context.waker());
            let mut state = self.lock();
            if state.waiting.is_empty() {
                return Poll::Pending;
            }
            std::mem::swap(&mut state.waiting, spare);
            Poll::Ready(())
        })
        .await;
    }

    /// Frames are appended whole or not at all, also where a writer of them panics.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::p2p::tests::peer;

    #[tokio::test]
    async fn frames_wait_together_within_the_bound() {
        let link = Link::new(peer(1), 10);
        let push = |text: &str| link.push(|out| out.extend_from_slice(text.as_bytes()));
        assert_eq!(push("a"), Err(PushError::Down));
        link.set_up(true);
        assert_eq!((push("12345678"), push("90abc"), push("d")), (Ok(()), Ok(()), Err(PushError::Full)));
        let mut taken = BytesMut::from("old");
        link.take(&mut taken).await;
        assert_eq!((&taken[..], link.waiting(), push("d")), (&b"1234567890abc"[..], 0, Ok(())));
        link.count_received(7);
        link.set_up(false);
        let told = Traffic { frames: 3, sent: 14, received: 7, refused: 1, opened: 1 };
        assert_eq!(link.traffic(), told);
        assert_eq!((link.waiting(), push("e")), (0, Err(PushError::Down)));
    }

    #[tokio::test]
    async fn the_first_frame_wakes_the_writer() {
        let link = Link::new(peer(1), 10);
        link.set_up(true);
        let pusher = link.clone();
        let pushing = std::thread::spawn(move || pusher.push(|out| out.extend_from_slice(b"a")));
        let mut taken = BytesMut::new();
        link.take(&mut taken).await;
        assert_eq!(&taken[..], b"a");
        assert_eq!(pushing.join().expect("no panic"), Ok(()));
    }
}
