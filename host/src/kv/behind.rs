//! Followers that are behind: what of the log they need yet. While one gets a snapshot, and the entries after it, the log
//! goes on; were it purged as ever, the follower would need the next snapshot at the end of this one, and so on for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a follower that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one that cannot be reached is: its link may be about to stand again.
const UNREACHED: Duration = Duration::from_secs(1);
/// How long a snapshot counts as on its way after it has come, or failed: until Raft knows of it, or tries again.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// The snapshots that this node sends, by node. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Sending(Arc<Mutex<BTreeMap<u64, Sent>>>);

#[derive(Debug)]
struct Sent {
    /// The last index that it covers.
    covers: u64,
    ended: Option<Instant>,
}

/// A snapshot on its way, until this is dropped.
pub(super) struct UnderWay<'a> {
    sending: &'a Sending,
    node: u64,
}

impl Sending {
    /// A snapshot that covers the log up to `covers` is sent to `node`.
    pub(super) fn begin(&self, node: u64, covers: u64) -> UnderWay<'_> {
        self.lock().insert(node, Sent { covers, ended: None });
        UnderWay { sending: self, node }
    }

    /// By node, what the snapshots cover that are on their way at `now`.
    fn covers(&self, now: Instant) -> BTreeMap<u64, u64> {
        let mut sent = self.lock();
        sent.retain(|_, sent| {
            sent.ended.is_none_or(|ended| now.saturating_duration_since(ended) < AFTERWARDS)
        });
        sent.iter().map(|(node, sent)| (*node, sent.covers)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Sent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(sent) = self.sending.lock().get_mut(&self.node) {
            sent.ended = Some(Instant::now());
        }
    }
}

/// How far followers were, and since when.
#[derive(Debug, Default)]
pub(super) struct Behind(BTreeMap<u64, (Option<u64>, Instant)>);

impl Behind {
    /// The index up to which no follower that moves needs the log; none: none moves. `at` is how far each is, now, and
    /// `is_up` whether it can be reached.
    pub(super) fn needs_beyond(
        &mut self,
        now: Instant,
        at: &BTreeMap<u64, Option<u64>>,
        is_up: impl Fn(u64) -> bool,
        sending: &Sending,
    ) -> Option<u64> {
        let covers = sending.covers(now);
        self.0.retain(|node, _| at.contains_key(node));
        let needs = at.iter().filter_map(|(node, index)| {
            let (before, since) = self.0.entry(*node).or_insert((*index, now));
            if before != index {
                (*before, *since) = (*index, now);
            }
            let patience = if is_up(*node) { PATIENCE } else { UNREACHED };
            let moves = now.saturating_duration_since(*since) < patience;
            covers.get(node).copied().or(index.filter(|_| moves))
        });
        needs.min()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn whoever_moves_is_waited_for_and_who_stands_still_is_not() {
        let (mut behind, sending, start) = (Behind::default(), Sending::default(), Instant::now());
        let is_up = Cell::new(true);
        let mut needs = |seconds: u64, two: u64, three: Option<u64>| {
            let at = BTreeMap::from([(2, Some(two)), (3, three)]);
            behind.needs_beyond(start + Duration::from_secs(seconds), &at, |_| is_up.get(), &sending)
        };
        assert_eq!(needs(0, 10, None), Some(10));
        assert_eq!(needs(29, 10, Some(5)), Some(5));
        assert_eq!(needs(30, 10, Some(5)), Some(5), "the other has not moved for too long");
        assert_eq!(needs(58, 11, Some(5)), Some(5));
        assert_eq!(needs(59, 11, Some(5)), Some(11));
        assert_eq!(needs(100, 11, Some(5)), None);
        is_up.set(false);
        assert_eq!(needs(101, 11, Some(6)), Some(6));
        assert_eq!(needs(102, 11, Some(6)), None);
        assert_eq!(Behind::default().needs_beyond(start, &BTreeMap::new(), |_| true, &sending), None);
    }

    #[test]
    fn what_a_snapshot_does_not_cover_is_needed_until_a_while_after_it() {
        let (mut behind, sending) = (Behind::default(), Sending::default());
        let at = BTreeMap::from([(2, Some(90)), (3, Some(7))]);
        let under_way = sending.begin(3, 50);
        let start = Instant::now();
        let late = start + 2 * PATIENCE;
        assert_eq!(behind.needs_beyond(start, &at, |_| true, &sending), Some(50));
        assert_eq!(behind.needs_beyond(late, &at, |_| true, &sending), Some(50), "however long it takes");
        drop(under_way);
        assert_eq!(behind.needs_beyond(Instant::now(), &at, |_| true, &sending), Some(50));
        assert_eq!(behind.needs_beyond(late, &at, |_| true, &sending), None);
    }
}
