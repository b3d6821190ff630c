//! Who is told that there is something new: the watches of the bucket in which it is. A write wakes nobody else, since
//! each wake costs a write about as much as a part of its own work.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::history::{History, Passed};

/// How many buckets may have a bell before those that nobody hears are taken down.
const UNHEARD_MAX: usize = 64;

/// A bell for each bucket that is watched. What it shows is the revision at which it rang last.
#[derive(Default)]
pub(super) struct Bells(Mutex<Hung>);

#[derive(Default)]
struct Hung {
    by_bucket: HashMap<String, watch::Sender<u64>>,
    /// At how many bells those are taken down that nobody hears.
    full: usize,
    /// Where the history was when all rang last.
    all_rang: Passed,
}

impl Bells {
    /// The bell of a bucket.
    pub(super) fn of(&self, bucket: &str) -> watch::Receiver<u64> {
        let mut hung = self.hung();
        if hung.by_bucket.len() >= hung.full.max(UNHEARD_MAX) {
            hung.by_bucket.retain(|_, bell| bell.receiver_count() > 0);
            hung.full = 2 * hung.by_bucket.len();
        }
        let bell = hung.by_bucket.entry(bucket.to_owned()).or_default();
        bell.subscribe()
    }

    /// Rings for the changes that `history` holds from revision `from` on. All ring before the history has forgotten
    /// much of what they did not ring for: a watch that is never told would seem to have missed something.
    pub(super) fn ring(&self, history: &History, from: u64) {
        let revision = history.next() - 1;
        let mut hung = self.hung();
        if history.has_gone_far_since(hung.all_rang) {
            hung.all_rang = history.passed();
            return hung.by_bucket.values().for_each(|bell| ring(bell, revision));
        }
        let mut last = "";
        for change in history.since(from) {
            let bucket = change.path.bucket();
            if bucket != last
                && let Some(bell) = hung.by_bucket.get(bucket)
            {
                ring(bell, revision);
            }
            last = bucket;
        }
    }

    /// Rings all, for a history that is another one.
    pub(super) fn ring_all(&self, history: &History) {
        let mut hung = self.hung();
        hung.all_rang = history.passed();
        // Also where the revision is the one that was shown: what led to it is another history.
        for bell in hung.by_bucket.values() {
            bell.send_replace(history.next() - 1);
        }
    }

    fn hung(&self) -> MutexGuard<'_, Hung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ring(bell: &watch::Sender<u64>, revision: u64) {
    bell.send_if_modified(|shown| std::mem::replace(shown, revision) != revision);
}

#[cfg(test)]
mod tests {
    use super::super::types::{Change, ChangeKind, Path, join};
    use super::*;

    fn change(history: &mut History, bucket: &str) {
        let path = Path::from_stored(join(bucket, b"key"));
        history.push(Change { revision: history.next(), path, kind: ChangeKind::Deleted, previous: None });
    }

    #[test]
    fn only_the_bell_of_a_changed_bucket_rings_and_all_ring_before_much_is_forgotten() {
        let (bells, mut history) = (Bells::default(), History::new(8, usize::MAX, 1));
        for _ in 0..8 {
            change(&mut history, "other");
        }
        bells.ring_all(&history);
        let (mut quiet, mut busy) = (bells.of("quiet"), bells.of("busy"));
        for round in 1..=2 {
            let from = history.next();
            change(&mut history, "busy");
            bells.ring(&history, from);
            assert!(
                busy.has_changed().expect("it hangs") && !quiet.has_changed().expect("it hangs"),
                "{round}"
            );
            busy.mark_unchanged();
        }
        let from = history.next();
        change(&mut history, "busy");
        bells.ring(&history, from);
        assert!(quiet.has_changed().expect("it hangs"), "a quarter of the history went by");
        quiet.mark_unchanged();
        bells.ring_all(&history);
        assert!(quiet.has_changed().expect("it hangs"));
    }

    #[test]
    fn bells_that_nobody_hears_are_taken_down() {
        let bells = Bells::default();
        let heard = bells.of("heard");
        for number in 0..10_000 {
            drop(bells.of(&format!("bucket-{number}")));
        }
        let hung = bells.hung();
        assert!(hung.by_bucket.len() <= UNHEARD_MAX && hung.by_bucket.contains_key("heard"));
        drop((hung, heard));
    }
}
