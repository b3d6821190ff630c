//! A bounded ring that many write and many read: what the event bus and the log share.
//!
//! Writers never wait for readers. A reader is a number, the next item that it wants; what was
//! overwritten before it came is reported to it, exactly, and costs the others nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

/// How many items a reader copies under the lock at a time: enough to make the lock rare, few enough
/// to keep it short.
const BATCH_ITEMS_MAX: usize = 64;

/// After this many bytes a reader's copy ends early, so that what slow readers hold beyond the ring
/// stays small.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// Items in the order in which they were pushed, numbered from 1. The oldest make room for the
/// newest.
#[derive(Debug)]
pub struct Ring<T> {
    kept: Mutex<Kept<T>>,
    arrived: Notify,
    items_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Kept<T> {
    items: VecDeque<Slot<T>>,
    /// The sequence number of `items[0]`, or of the next item while there is none.
    first: u64,
    /// The sum of `items[..].bytes`.
    bytes: usize,
}

#[derive(Debug)]
struct Slot<T> {
    item: Arc<T>,
    bytes: usize,
}

/// What a reader finds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// An item, and its sequence number.
    Item(u64, Arc<T>),
    /// The items from the first number to the last, both counted, were overwritten unread.
    Missed(u64, u64),
}

/// How full a ring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// The sequence number of the newest item; 0: there was none yet.
    pub latest: u64,
    /// Items kept.
    pub items: usize,
    /// Bytes kept, as their writers counted them.
    pub bytes: usize,
}

impl<T> Ring<T> {
    /// An empty ring that keeps at most `items_max` items and `bytes_max` bytes, but always the newest
    /// item, however large.
    pub fn new(items_max: usize, bytes_max: usize) -> Self {
        let kept = Kept { items: VecDeque::new(), first: 1, bytes: 0 };
        Self { kept: Mutex::new(kept), arrived: Notify::new(), items_max: items_max.max(1), bytes_max }
    }

    /// Appends an item that takes `bytes` of memory, and wakes the readers that wait. Returns its
    /// sequence number. Never waits for a reader.
    pub fn push(&self, item: T, bytes: usize) -> u64 {
        let item = Arc::new(item);
        let sequence = {
            let mut kept = self.lock();
            while !kept.items.is_empty()
                && (kept.items.len() >= self.items_max || kept.bytes.saturating_add(bytes) > self.bytes_max)
            {
                kept.forget_oldest();
            }
            kept.bytes += bytes;
            kept.items.push_back(Slot { item, bytes });
            kept.end() - 1
        };
        self.arrived.notify_waiters();
        sequence
    }

    /// How full the ring is.
    pub fn fill(&self) -> Fill {
        let kept = self.lock();
        Fill { latest: kept.end() - 1, items: kept.items.len(), bytes: kept.bytes }
    }

    /// The sequence number of the oldest item kept, or of the next item while there is none.
    pub fn first(&self) -> u64 {
        self.lock().first
    }

    /// The newest `count` items, at most 64, among those numbered below `end`; oldest
    /// first.
    pub fn before(&self, end: u64, count: usize) -> Vec<(u64, Arc<T>)> {
        let kept = self.lock();
        let end = end.clamp(kept.first, kept.end());
        let start = end.saturating_sub(count.min(BATCH_ITEMS_MAX) as u64).max(kept.first);
        (start..end).map(|sequence| (sequence, Arc::clone(&kept.slot(sequence).item))).collect()
    }

    /// A reader whose first item is number `next`; a number that is not yet reached waits for it.
    pub fn reader(self: &Arc<Self>, next: u64) -> Reader<T> {
        Reader { ring: Arc::clone(self), next, copied: VecDeque::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().expect("nothing panics while it holds the ring")
    }
}

impl<T> Kept<T> {
    fn end(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    /// `sequence` is in `first..end()`.
    fn slot(&self, sequence: u64) -> &Slot<T> {
        &self.items[(sequence - self.first) as usize]
    }

    fn forget_oldest(&mut self) {
        if let Some(slot) = self.items.pop_front() {
            self.first += 1;
            self.bytes -= slot.bytes;
        }
    }
}

/// A reader of a [`Ring`], and its place in it.
#[derive(Debug)]
pub struct Reader<T> {
    ring: Arc<Ring<T>>,
    /// The next item to hand out.
    next: u64,
    /// Items `next..`, copied out of the ring ahead of their being asked for.
    copied: VecDeque<Arc<T>>,
}

impl<T> Reader<T> {
    /// The next item or gap, once there is one. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Step<T> {
        if let Some(step) = self.try_next() {
            return step;
        }
        let ring = Arc::clone(&self.ring);
        loop {
            // The waiting is set up before the look, so that an item pushed in between wakes it.
            let arrived = ring.arrived.notified();
            if let Some(step) = self.try_next() {
                return step;
            }
            arrived.await;
        }
    }

    /// The next item or gap, if there is one now.
    pub fn try_next(&mut self) -> Option<Step<T>> {
        if self.copied.is_empty()
            && let Some(missed) = self.copy()
        {
            return Some(missed);
        }
        let item = self.copied.pop_front()?;
        self.next += 1;
        Some(Step::Item(self.next - 1, item))
    }

    /// Fills `copied`, or steps over what is no longer kept.
    fn copy(&mut self) -> Option<Step<T>> {
        let kept = self.ring.lock();
        if self.next < kept.first {
            let missed = Step::Missed(self.next, kept.first - 1);
            self.next = kept.first;
            return Some(missed);
        }
        let mut bytes = 0;
        let end = kept.end().min(self.next.saturating_add(BATCH_ITEMS_MAX as u64));
        for sequence in self.next..end {
            let slot = kept.slot(sequence);
            self.copied.push_back(Arc::clone(&slot.item));
            bytes += slot.bytes;
            if bytes >= BATCH_BYTES_MAX {
                break;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let ring = Arc::new(Ring::new(3, 100));
        for item in 1..=5 {
            assert_eq!(ring.push(item, 10), item);
        }
        assert_eq!(ring.fill(), Fill { latest: 5, items: 3, bytes: 30 });
        ring.push(6, 95);
        assert_eq!(ring.fill(), Fill { latest: 6, items: 1, bytes: 95 });
        ring.push(7, 1000);
        assert_eq!(ring.fill(), Fill { latest: 7, items: 1, bytes: 1000 });
        assert_eq!(ring.before(u64::MAX, 9), [(7, Arc::new(7))]);
        assert!(ring.before(0, 9).is_empty());
    }

    #[test]
    fn a_reader_holds_little_beyond_the_ring() {
        let ring = Arc::new(Ring::new(1000, usize::MAX));
        for item in 0..500 {
            ring.push(item, BATCH_BYTES_MAX / 2);
        }
        let mut reader = ring.reader(1);
        reader.try_next();
        assert_eq!(reader.copied.len(), 1);
        assert_eq!(ring.before(u64::MAX, 500).len(), BATCH_ITEMS_MAX);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_next_item_and_may_be_given_up() {
        let ring = Arc::new(Ring::new(4, 100));
        let mut reader = ring.reader(1);
        assert!(reader.next().now_or_never().is_none());
        let mut waiting = Box::pin(reader.next());
        assert!(waiting.as_mut().now_or_never().is_none());
        ring.push("x", 1);
        assert_eq!(waiting.await, Step::Item(1, Arc::new("x")));
    }

    proptest! {
        /// Any reader sees every number once, in order, as an item or in a gap; an item is what was
        /// pushed under its number.
        #[test]
        fn readers_account_for_every_item(
            items_max in 1usize..200,
            bytes_max in 0usize..2000,
            script in proptest::collection::vec((0usize..90, 0usize..40, 0usize..90), 1..20),
        ) {
            let ring = Arc::new(Ring::new(items_max, bytes_max));
            let mut reader = ring.reader(1);
            let mut pushed = 0u64;
            let mut expected = 1u64;
            for (pushes, bytes, reads) in script {
                for _ in 0..pushes {
                    pushed += 1;
                    prop_assert_eq!(ring.push(pushed * 7, bytes), pushed);
                    let fill = ring.fill();
                    prop_assert!(fill.items <= items_max && (fill.bytes <= bytes_max || fill.items == 1));
                }
                for _ in 0..reads {
                    match reader.try_next() {
                        Some(Step::Item(sequence, item)) => {
                            prop_assert_eq!(sequence, expected);
                            prop_assert_eq!(*item, sequence * 7);
                            expected += 1;
                        }
                        Some(Step::Missed(from, to)) => {
                            prop_assert!(from == expected && to >= from && to < ring.first());
                            expected = to + 1;
                        }
                        None => prop_assert_eq!(expected, pushed + 1),
                    }
                }
            }
        }
    }
}
