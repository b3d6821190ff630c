//! The most recent changes, from which watches are fed. Revisions have no gaps, so a change's place follows from its
//! revision. No watch has a queue of its own: a slow one costs nothing, and reads here what it has not seen yet.

use std::collections::VecDeque;
use std::sync::Arc;

use super::types::{Change, ChangeKind, Entry};

/// Changes kept, oldest first, within a bound of number and one of bytes.
pub(super) struct History {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
    changes_max: usize,
    bytes_max: usize,
    /// The revision after the last change: where the next one goes.
    next: u64,
    /// Bytes of all changes that there ever were.
    passed_bytes: u64,
}

/// A place in the history: how many changes there were, and how many bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct Passed {
    changes: u64,
    bytes: u64,
}

impl History {
    /// An empty history that goes on at revision `next`.
    pub(super) fn new(changes_max: usize, bytes_max: usize, next: u64) -> History {
        History { changes: VecDeque::new(), bytes: 0, changes_max, bytes_max, next, passed_bytes: 0 }
    }

    /// Where it has come to.
    pub(super) fn passed(&self) -> Passed {
        Passed { changes: self.next - 1, bytes: self.passed_bytes }
    }

    /// Whether it has gone on, since `earlier`, by more than a quarter of what it keeps.
    pub(super) fn has_gone_far_since(&self, earlier: Passed) -> bool {
        let far = |now: u64, earlier: u64, kept: usize| now.saturating_sub(earlier) > kept as u64 / 4;
        let Passed { changes, bytes } = self.passed();
        far(changes, earlier.changes, self.changes_max) || far(bytes, earlier.bytes, self.bytes_max)
    }

    pub(super) fn push(&mut self, change: Change) {
        debug_assert_eq!(change.revision, self.next, "revisions have no gaps");
        self.next = change.revision + 1;
        let bytes = size(&change);
        self.bytes += bytes;
        self.passed_bytes += bytes as u64;
        self.changes.push_back(Arc::new(change));
        while self.changes.len() > self.changes_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.bytes -= size(&oldest);
        }
    }

    /// The oldest revision kept; where nothing is kept, the revision to come.
    pub(super) fn oldest(&self) -> u64 {
        self.next - self.changes.len() as u64
    }

    /// The revision to come.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The changes from `revision` on, which must not be before [`History::oldest`].
    pub(super) fn since(&self, revision: u64) -> impl Iterator<Item = &Arc<Change>> {
        let skipped = usize::try_from(revision.saturating_sub(self.oldest())).unwrap_or(usize::MAX);
        self.changes.range(skipped.min(self.changes.len())..)
    }

    /// All that is kept: what a snapshot keeps.
    pub(super) fn changes(&self) -> &VecDeque<Arc<Change>> {
        &self.changes
    }

    /// The same bounds, other changes: what a snapshot brought.
    pub(super) fn replaced(&self, changes: Vec<Change>, next: u64) -> History {
        let first = changes.first().map_or(next, |change| change.revision);
        let mut history = History::new(self.changes_max, self.bytes_max, first);
        changes.into_iter().for_each(|change| history.push(change));
        history
    }
}

/// Bytes that a change holds on to. A value is shared with the state and with the change before, so this counts
/// some twice: the bound errs on the safe side.
fn size(change: &Change) -> usize {
    let of = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.value.len());
    let now = if let ChangeKind::Put(entry) = &change.kind { of(Some(entry)) } else { 0 };
    size_of::<Change>() + change.path.bytes().len() + now + of(change.previous.as_ref())
}
