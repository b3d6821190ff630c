//! What becomes of episodes where there is no room: the least valuable go. What is alike to another that stays is taken up by
//! it, so that it is known how often such a thing happened, and when; anything else is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::index::{Grown, Index, Kept, New, trace};
use super::records;
use super::score::{Trace, likeness, scores};
use super::{MadeRoom, MemoryError, Merge, OVERHEAD_BYTES, Quota, TAGS_MAX, TURN_MAX, Weights};

/// Where less than this part of a quota would be left, more goes than has to: not one episode each time.
const SLACK: u64 = 64;
/// The most words, and numbers of embeddings, that are compared for one episode that is to be remembered.
const COMPARED_MAX: usize = 1 << 20;

/// Room for a new episode.
pub(super) struct Room {
    /// The new one, with what it took up.
    pub(super) new: New,
    /// Others that took some up.
    pub(super) grown: Vec<Grown>,
    /// Who is gone.
    pub(super) made: MadeRoom,
}

/// How much there would be.
#[derive(Debug, Clone, Copy)]
struct Load {
    episodes: u64,
    bytes: u64,
}

impl Load {
    fn is_within(self, episodes: u64, bytes: u64) -> bool {
        self.episodes <= episodes && self.bytes <= bytes
    }
}

/// Episodes that stay or go, least valuable first.
type ByWorth<'a> = [(u64, &'a Kept)];

impl Index {
    /// What has to become of others before a new one has room, when those of `gone` are gone. No more than one change may
    /// touch: where a quota has been lowered, it is reached step by step.
    ///
    /// # Errors
    /// `Damaged`.
    pub(super) fn room_for(
        &self,
        new: New,
        gone: &[u64],
        now_ms: u64,
        quota: Quota,
        weights: &Weights,
    ) -> Result<Room, MemoryError> {
        let freed: u64 = gone.iter().filter_map(|id| self.episodes.get(id)).map(Kept::bytes).sum();
        let episodes = (self.episodes.len() - gone.len()) as u64 + 1;
        let bytes = new.value.len() as u64 + OVERHEAD_BYTES;
        let load = Load { episodes, bytes: self.bytes - freed + bytes };
        if load.is_within(quota.episodes.into(), quota.bytes) {
            return Ok(Room { new, grown: Vec::new(), made: MadeRoom::default() });
        }
        let left: Vec<_> = self.episodes.iter().filter(|(id, _)| !gone.contains(id)).collect();
        let traces: Vec<_> = left.iter().map(|(_, kept)| &kept.trace).collect();
        let worth = scores(&traces, None, now_ms, weights);
        let mut by_worth: Vec<_> =
            left.iter().zip(worth).map(|((id, kept), worth)| (worth, **id, *kept)).collect();
        by_worth.sort_by(|(one, older, _), (other, newer, _)| one.total_cmp(other).then(older.cmp(newer)));
        let by_worth: Vec<_> = by_worth.into_iter().map(|(_, id, kept)| (id, kept)).collect();
        // The new one is touched too.
        let most = TURN_MAX - gone.len() - 1;
        let alike = f64::from(weights.alike);
        if alike > 0.0
            && let Some(room) = Merging::new(load, alike, new.clone()).make_room(&by_worth, most, quota)?
        {
            return Ok(room);
        }
        Ok(Room { new, grown: Vec::new(), made: forgetting(load, &by_worth, most, quota) })
    }
}

/// As much as leaves some of a quota free.
fn with_slack(quota: Quota) -> (u64, u64) {
    let episodes = u64::from(quota.episodes);
    (episodes - episodes / SLACK, quota.bytes - quota.bytes / SLACK)
}

/// Forgets the least valuable.
fn forgetting(mut load: Load, by_worth: &ByWorth<'_>, most: usize, quota: Quota) -> MadeRoom {
    let (episodes, bytes) = with_slack(quota);
    let mut room = MadeRoom::default();
    for (id, kept) in by_worth.iter().take(most) {
        if load.is_within(episodes, bytes) {
            break;
        }
        room.forgotten.push(*id);
        load = Load { episodes: load.episodes - 1, bytes: load.bytes - kept.bytes() };
    }
    room
}

/// Forgets the least valuable, unless another is alike and takes it up.
struct Merging {
    load: Load,
    alike: f64,
    made: MadeRoom,
    new: New,
    /// Who took others up, as they are now, and what they were.
    grown: BTreeMap<u64, Grown>,
    gone: BTreeSet<u64>,
    /// How much has been compared.
    compared: usize,
}

impl Merging {
    fn new(load: Load, alike: f64, new: New) -> Self {
        let (made, grown, gone) = Default::default();
        Self { load, alike, made, new, grown, gone, compared: 0 }
    }

    /// None: there is no room this way, as each that is taken up touches another one too.
    fn make_room(
        mut self,
        by_worth: &ByWorth<'_>,
        most: usize,
        quota: Quota,
    ) -> Result<Option<Room>, MemoryError> {
        let (episodes, bytes) = with_slack(quota);
        for &(id, kept) in by_worth {
            let touched = self.gone.len() + self.grown.len();
            if self.load.is_within(episodes, bytes) || touched + 2 > most {
                break;
            }
            // It stands for others now, and was not the least valuable of them.
            if self.grown.contains_key(&id) {
                continue;
            }
            match self.most_alike(id, kept, by_worth) {
                Some(into) => self.merge((id, kept), into)?,
                None => self.made.forgotten.push(id),
            }
            self.gone.insert(id);
            self.load.episodes -= 1;
            self.load.bytes -= kept.bytes();
        }
        let has_room = self.load.is_within(quota.episodes.into(), quota.bytes);
        let Self { new, grown, made, .. } = self;
        Ok(has_room.then(|| Room { new, grown: grown.into_values().collect(), made }))
    }

    /// Who is most alike of those that stay and the new one, and alike enough; of several the most valuable.
    fn most_alike<'a>(&mut self, id: u64, kept: &Kept, by_worth: &ByWorth<'a>) -> Option<Taker<'a>> {
        let mut best: Option<(f64, Taker<'a>)> = None;
        let stay = by_worth.iter().filter(|(other, _)| *other != id && !self.gone.contains(other));
        let stay = stay.map(|&(other, candidate)| (other, Some(candidate)));
        for (other, candidate) in stay.chain([(self.new.id, None)]) {
            let trace = match candidate {
                None => &self.new.trace,
                Some(kept) => self.grown.get(&other).map_or(&kept.trace, |grown| &grown.trace),
            };
            self.compared += kept.trace.size() + trace.size();
            if self.compared > COMPARED_MAX {
                break;
            }
            let likeness = likeness(&kept.trace, trace);
            if likeness >= self.alike && best.is_none_or(|(most, _)| likeness >= most) {
                best = Some((likeness, (other, candidate)));
            }
        }
        best.map(|(_, into)| into)
    }

    /// Lets one episode take up another.
    fn merge(&mut self, (id, kept): (u64, &Kept), (into, other): Taker<'_>) -> Result<(), MemoryError> {
        let before = match (other, self.grown.get(&into)) {
            (None, _) => (&self.new.value, &self.new.trace),
            (Some(_), Some(grown)) => (&grown.value, &grown.trace),
            (Some(other), None) => (&other.value, &other.trace),
        };
        let (value, trace) = both(before, (&kept.value, &kept.trace))?;
        self.load.bytes = self.load.bytes + value.len() as u64 - before.0.len() as u64;
        self.made.merged.push(Merge { id, into });
        match other {
            None => (self.new.value, self.new.trace) = (value, trace),
            Some(other) => {
                let before = other.value.clone();
                self.grown.insert(into, Grown { id: into, before, value, trace });
            }
        }
        Ok(())
    }
}

/// Who takes another one up: its name, and what it was; none: it is the new one.
type Taker<'a> = (u64, Option<&'a Kept>);

/// Two episodes in one. The first keeps its text and its place among meanings, and is as fresh as the fresher.
fn both(stays: (&Bytes, &Trace), goes: (&Bytes, &Trace)) -> Result<(Bytes, Trace), MemoryError> {
    let (mut said, span) = records::read(stays.0)?;
    let (gone, when) = records::read(goes.0)?;
    said.importance = said.importance.max(gone.importance);
    if said.embedding.is_empty() {
        said.embedding = gone.embedding;
    }
    for tag in gone.tags {
        if said.tags.len() < TAGS_MAX && !said.tags.contains(&tag) {
            said.tags.push(tag);
        }
    }
    let span = span.and(when);
    let mut both = trace(&said, span);
    both.fresh_at_ms = both.fresh_at_ms.max(stays.1.fresh_at_ms).max(goes.1.fresh_at_ms);
    Ok((records::write(&said, span), both))
}
