//! What waits in all mailboxes of a node together is bounded, although no mailbox knows of another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes of each mailbox take no room: all threads draw on one number, which a few small messages must not touch.
pub const FREE_BYTES: usize = 16 << 10;
/// Room is taken in steps of so much, where there is enough.
const STEP: usize = 64 << 10;

/// What the bodies in all mailboxes of a node may take together, beyond the first [`FREE_BYTES`] in each. Clones are the
/// same room.
#[derive(Debug, Clone)]
pub struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes_max: usize,
    taken: AtomicUsize,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Inner { bytes_max, taken: AtomicUsize::new(0) }))
    }

    /// Takes some, if there are so many left; `anyhow`: also if there are not.
    fn take(&self, bytes: usize, anyhow: bool) -> bool {
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| anyhow || *sum <= self.0.bytes_max);
        self.0.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

/// What one mailbox has of a [`Room`].
#[derive(Debug)]
pub(super) struct Share {
    room: Room,
    bytes: usize,
}

impl Share {
    /// None yet.
    pub(super) fn of(room: Room) -> Self {
        Self { room, bytes: 0 }
    }

    /// Makes it enough for a mailbox of so many bytes, if there is room; `anyhow`: also if there is none.
    pub(super) fn suffices(&mut self, bytes: usize, anyhow: bool) -> bool {
        let lack = bytes.saturating_sub(FREE_BYTES).saturating_sub(self.bytes);
        if lack == 0 {
            return true;
        }
        let tries = [(lack.next_multiple_of(STEP), false), (lack, anyhow)];
        let taken = tries.into_iter().find(|&(more, anyhow)| self.room.take(more, anyhow));
        self.bytes += taken.map_or(0, |(more, _)| more);
        taken.is_some()
    }

    /// Gives back what a mailbox of so many bytes does not need, except for a step that it may need again.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let kept = match bytes.saturating_sub(FREE_BYTES) {
            0 => 0,
            needed => needed + STEP,
        };
        if self.bytes > kept {
            self.room.0.taken.fetch_sub(self.bytes - kept, Ordering::Relaxed);
            self.bytes = kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever grows and shrinks, what was taken is what the shares have, and is within the room.
        #[test]
        fn shares_are_enough_and_together_within_the_room(
            steps in prop::collection::vec((0..3_usize, 0..300_000_usize), 1..60),
        ) {
            let room = Room::new(400_000);
            let mut shares: Vec<_> = (0..3).map(|_| (Share::of(room.clone()), 0)).collect();
            for (which, bytes) in steps {
                let (share, had) = &mut shares[which];
                if bytes < *had {
                    share.shrink(bytes);
                    *had = bytes;
                } else if share.suffices(bytes, false) {
                    *had = bytes;
                }
                prop_assert!(share.bytes + FREE_BYTES >= *had);
                let sum: usize = shares.iter().map(|(share, _)| share.bytes).sum();
                prop_assert_eq!(sum, room.0.taken.load(Ordering::Relaxed));
                prop_assert!(sum <= 400_000);
            }
            for (share, _) in &mut shares {
                share.shrink(0);
            }
            prop_assert_eq!(room.0.taken.load(Ordering::Relaxed), 0);
        }
    }
}
