//! What the node where a Soul lives holds of its episodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::records::{self, Key};
use super::room::Room;
use super::score::{Document, Query, Trace, scores};
use super::{
    Episode, Extent, Impression, MadeRoom, MemoryError, OVERHEAD_BYTES, Quota, REPLACED_MAX, Recollection,
    Span, Weights, at_most, invalid,
};

/// An episode of the index. Its text is the KV's own bytes.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) trace: Trace,
    pub(super) value: Bytes,
    /// The KV has a key that says when it was recalled last.
    marked: bool,
    /// What that key says is not the last word.
    stale: bool,
}

impl Kept {
    pub(super) fn bytes(&self) -> u64 {
        self.value.len() as u64 + OVERHEAD_BYTES
    }
}

/// Ids are below this.
const ID_MAX: u64 = 1 << 53;

/// Whether a Soul with this quota may have remembered these: the keys of its bucket, and their values.
///
/// # Errors
/// `Invalid`, `Damaged`.
pub(crate) fn check_kept<'a>(
    kept: impl Iterator<Item = (&'a Bytes, &'a Bytes)>,
    quota: Quota,
) -> Result<(), MemoryError> {
    let mut index = Index::default();
    for (key, value) in kept {
        match Key::read(key) {
            Some(Key::Episode(id)) if id < ID_MAX => records::read(value)?.0.check()?,
            Some(Key::Recalled(id)) if id < ID_MAX => {}
            Some(Key::Next) if records::read_number(value)? < ID_MAX => {}
            _ => return invalid("a key is none that a memory has".into()),
        }
        index.read(key, value.clone())?;
    }
    let Extent { episodes, bytes, .. } = index.extent(quota);
    if episodes > quota.episodes || bytes > quota.bytes {
        return invalid(format!(
            "{episodes} episodes of {bytes} bytes are more than its limits have room for: {} of {}",
            quota.episodes, quota.bytes
        ));
    }
    Ok(())
}

/// A new episode.
#[derive(Debug, Clone)]
pub(super) struct New {
    pub(super) id: u64,
    pub(super) value: Bytes,
    pub(super) trace: Trace,
}

/// An episode that took others up.
#[derive(Debug, Clone)]
pub(super) struct Grown {
    pub(super) id: u64,
    /// What it was.
    pub(super) before: Bytes,
    /// What it is.
    pub(super) value: Bytes,
    pub(super) trace: Trace,
}

/// What one step changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub(super) new: Option<Arc<New>>,
    /// Episodes that go, and whether a key says when they were recalled.
    pub(super) gone: Vec<(u64, bool)>,
    /// Those that took some of them up.
    pub(super) grown: Vec<Grown>,
    /// Why they go, if for want of room.
    pub(super) room: MadeRoom,
}

impl Change {
    /// How many episodes it touches.
    pub(super) fn touched(&self) -> usize {
        self.gone.len() + self.grown.len() + usize::from(self.new.is_some())
    }
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) episodes: BTreeMap<u64, Kept>,
    pub(super) bytes: u64,
    /// The id of the next episode, as the KV has it; none: it has none yet.
    pub(super) head: Option<u64>,
    next: u64,
    /// Keys that tell of episodes which are gone.
    orphans: Vec<u64>,
}

impl Index {
    /// Takes in what the KV holds, key by key, in their order.
    pub(super) fn read(&mut self, key: &[u8], value: Bytes) -> Result<(), MemoryError> {
        match Key::read(key) {
            Some(Key::Episode(id)) => {
                let (impression, span) = records::read(&value)?;
                self.insert(id, trace(&impression, span), value);
            }
            Some(Key::Next) => {
                let next = records::read_number(&value)?;
                (self.head, self.next) = (Some(next), self.next.max(next));
            }
            Some(Key::Recalled(id)) => match self.episodes.get_mut(&id) {
                Some(kept) => {
                    kept.marked = true;
                    kept.trace.fresh_at_ms = kept.trace.fresh_at_ms.max(records::read_number(&value)?);
                }
                None => self.orphans.push(id),
            },
            None => return Err(MemoryError::Damaged("a key of the memory is none that it has".into())),
        }
        Ok(())
    }

    fn insert(&mut self, id: u64, trace: Trace, value: Bytes) {
        let kept = Kept { trace, value, marked: false, stale: false };
        self.bytes += kept.bytes();
        self.next = self.next.max(id + 1);
        if let Some(before) = self.episodes.insert(id, kept) {
            self.bytes -= before.bytes();
        }
    }

    /// The id of the next episode, from 1.
    pub(super) fn next(&self) -> u64 {
        self.next.max(1)
    }

    /// How much is remembered.
    pub(super) fn extent(&self, quota: Quota) -> Extent {
        let episodes = u32::try_from(self.episodes.len()).unwrap_or(u32::MAX);
        Extent { episodes, bytes: self.bytes, quota }
    }

    /// What remembering at `now_ms` something that happened then changes: the episodes of `instead_of` go, and the least
    /// valuable where there is no room.
    ///
    /// # Errors
    /// `Invalid`.
    pub(super) fn remembering(
        &self,
        impression: &Impression,
        (span, now_ms): (Span, u64),
        instead_of: &[u64],
        quota: Quota,
        weights: &Weights,
    ) -> Result<Change, MemoryError> {
        impression.check()?;
        at_most("instead-of", instead_of.len(), REPLACED_MAX, "episodes")?;
        let value = records::write(impression, span);
        let bytes = value.len() as u64 + OVERHEAD_BYTES;
        if bytes > quota.bytes {
            let most = quota.bytes;
            return invalid(format!(
                "the episode takes {bytes} bytes, and all may take {most}: raise `limits.episodes_bytes`"
            ));
        }
        let replaced: BTreeSet<u64> = instead_of.iter().copied().collect();
        let mut gone: Vec<_> = replaced.into_iter().filter(|id| self.episodes.contains_key(id)).collect();
        let new = New { id: self.next(), value, trace: trace(impression, span) };
        let Room { new, grown, made: room } = self.room_for(new, &gone, now_ms, quota, weights)?;
        gone.extend(room.forgotten.iter().chain(room.merged.iter().map(|merge| &merge.id)));
        Ok(Change { new: Some(Arc::new(new)), gone: self.marked(&gone), grown, room })
    }

    /// What forgetting these changes; those that there are.
    pub(super) fn forgetting(&self, ids: &[u64]) -> Change {
        let ids: BTreeSet<u64> = ids.iter().copied().filter(|id| self.episodes.contains_key(id)).collect();
        Change { gone: self.marked(&ids.into_iter().collect::<Vec<_>>()), ..Change::default() }
    }

    fn marked(&self, ids: &[u64]) -> Vec<(u64, bool)> {
        ids.iter().map(|id| (*id, self.episodes.get(id).is_some_and(|kept| kept.marked))).collect()
    }

    /// Makes a change, which the KV has made or will make.
    pub(super) fn apply(&mut self, change: &Change) {
        for (id, _) in &change.gone {
            if let Some(kept) = self.episodes.remove(id) {
                self.bytes -= kept.bytes();
            }
        }
        for Grown { id, value, trace, .. } in &change.grown {
            if let Some(kept) = self.episodes.get_mut(id) {
                // Whom it took up may have been recalled later than it was itself, which no key says yet.
                kept.stale |= trace.fresh_at_ms > kept.trace.fresh_at_ms;
                self.bytes -= kept.bytes();
                (kept.value, kept.trace) = (value.clone(), trace.clone());
                self.bytes += kept.bytes();
            }
        }
        if let Some(new) = &change.new {
            self.insert(new.id, new.trace.clone(), new.value.clone());
            // One that it took up may have been recalled since it happened, which no key says yet.
            let recalled = !change.room.merged.is_empty();
            if let Some(kept) = self.episodes.get_mut(&new.id) {
                kept.stale = recalled;
            }
        }
    }

    /// The episodes that fit a query best, best first, and of those alike the newest: at most `limit`.
    pub(super) fn best(
        &self,
        query: &Query,
        now_ms: u64,
        limit: usize,
        weights: &Weights,
    ) -> Vec<(u64, f32)> {
        let traces: Vec<_> = self.episodes.values().map(|kept| &kept.trace).collect();
        let scores = scores(&traces, Some(query), now_ms, weights);
        let mut found: Vec<_> = self.episodes.keys().copied().zip(scores).collect();
        found.sort_by(|(older, one), (newer, other)| other.total_cmp(one).then(newer.cmp(older)));
        found.truncate(limit);
        found
    }

    /// What was found, as it is remembered; it is fresh from now on.
    pub(super) fn recalled(
        &mut self,
        found: Vec<(u64, f32)>,
        now_ms: u64,
    ) -> Result<Vec<Recollection>, MemoryError> {
        let mut recalled = Vec::with_capacity(found.len());
        for (id, score) in found {
            let Some(kept) = self.episodes.get_mut(&id) else { continue };
            let (impression, span) = records::read(&kept.value)?;
            let recalled_at_ms = kept.trace.fresh_at_ms;
            recalled.push(Recollection { episode: Episode { id, span, recalled_at_ms, impression }, score });
            if now_ms > recalled_at_ms {
                kept.trace.fresh_at_ms = now_ms;
                kept.stale = true;
            }
        }
        Ok(recalled)
    }

    /// At most `limit` keys of which the KV does not have the last word, with it; none: the key is to go.
    pub(super) fn stale(&self, limit: usize) -> Vec<(u64, Option<u64>)> {
        let stale = self.episodes.iter().filter(|(_, kept)| kept.stale);
        let stale = stale.map(|(id, kept)| (*id, Some(kept.trace.fresh_at_ms)));
        self.orphans.iter().map(|id| (*id, None)).chain(stale).take(limit).collect()
    }

    /// The KV has these.
    pub(super) fn told(&mut self, told: &[(u64, Option<u64>)]) {
        for (id, at_ms) in told {
            match (at_ms, self.episodes.get_mut(id)) {
                (Some(_), Some(kept)) => (kept.marked, kept.stale) = (true, false),
                (Some(_), None) => self.orphans.push(*id),
                (None, _) => self.orphans.retain(|orphan| orphan != id),
            }
        }
    }
}

pub(super) fn trace(impression: &Impression, span: Span) -> Trace {
    let texts = [impression.text.as_str()].into_iter().chain(impression.tags.iter().map(String::as_str));
    Trace {
        fresh_at_ms: span.last_at_ms,
        importance: impression.importance,
        document: Document::of(texts),
        embedding: impression.embedding.clone().into(),
    }
}
