//! What is known of the log without reading it: its ends, Raft's vote, and where its entries lie.

use std::collections::VecDeque;

use super::batch::Step;
use super::frame::Place;
use crate::kv::raft::{LogId, Vote};

/// Bytes of a segment between two places that the index keeps: how far a read may have to look for its entry.
const INDEX_STRIDE: u64 = 64 << 10;

/// The log's ends, and what Raft keeps beside the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::kv) struct Known {
    pub(in crate::kv) vote: Option<Vote>,
    pub(in crate::kv) committed: Option<LogId>,
    pub(in crate::kv) purged: Option<LogId>,
    /// The last entry, or where the log was purged if there is none after it.
    pub(in crate::kv) last: Option<LogId>,
}

/// What is known, and the index.
#[derive(Default)]
pub(super) struct State {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    /// Where the records end, whether it was purged or not.
    pub(super) end: Option<LogId>,
    pub(super) index: Index,
}

impl State {
    /// Does what a record in the frame at `place` says.
    ///
    /// # Errors
    /// Where the log would have a gap.
    pub(super) fn step(&mut self, place: Place, step: &Step) -> Result<(), String> {
        match *step {
            Step::Vote(vote) => self.vote = Some(vote),
            Step::Committed(id) => self.committed = Some(id),
            Step::Truncate(last) => {
                self.index.cut(next_of(last));
                self.end = last;
            }
            Step::Entries { first, last } => {
                // Entries that were purged may be missing: a snapshot took their place. An empty log begins anywhere.
                let (next, kept) = (next_of(self.end), next_of(self.purged));
                if self.end.is_some() && first != next && !(first > next && first <= kept) {
                    return Err(format!("entry {first} follows, and not entry {next}"));
                }
                self.index.add(first, place);
                self.end = Some(last);
            }
        }
        Ok(())
    }

    pub(super) fn known(&self) -> Known {
        let (vote, committed, purged) = (self.vote, self.committed, self.purged);
        Known { vote, committed, purged, last: self.end.max(purged) }
    }
}

/// The index after `id`.
pub(in crate::kv) fn next_of(id: Option<LogId>) -> u64 {
    id.map_or(0, |id| id.index + 1)
}

/// Places of some frames with entries, in the order of both. The entries from one item's first up to the next item's
/// lie in the frames from the one's place up to the other's, in order; what else lies there is void.
#[derive(Default)]
pub(super) struct Index {
    items: VecDeque<(u64, Place)>,
    /// Entries were voided: the next ones need a place of their own.
    was_cut: bool,
}

impl Index {
    /// Notes that the frame at `place` holds entries from `first` on.
    fn add(&mut self, first: u64, place: Place) {
        let is_far = |last: Place| {
            last.segment != place.segment || place.offset.saturating_sub(last.offset) >= INDEX_STRIDE
        };
        if self.was_cut || self.items.back().is_none_or(|(_, last)| is_far(*last)) {
            self.items.push_back((first, place));
            self.was_cut = false;
        }
    }

    /// Voids the entries from `from` on.
    fn cut(&mut self, from: u64) {
        while self.items.pop_back_if(|(first, _)| *first >= from).is_some() {}
        self.was_cut = true;
    }

    /// Forgets what lies in segments before `segment`.
    pub(super) fn forget_before(&mut self, segment: u64) {
        while self.items.pop_front_if(|(_, place)| place.segment < segment).is_some() {}
    }

    /// The stretches of the log that hold the entries from `from` on: where each begins, where it ends, and the
    /// first entry that is not in it.
    pub(super) fn stretches(&self, from: u64) -> impl Iterator<Item = (Place, Option<Place>, u64)> {
        let at = self.items.partition_point(|(first, _)| *first <= from).saturating_sub(1);
        (at..self.items.len()).map(move |at| {
            let next = self.items.get(at + 1);
            (self.items[at].1, next.map(|(_, place)| *place), next.map_or(u64::MAX, |(first, _)| *first))
        })
    }
}
