//! A Soul's memory, where the Soul lives: its index, and every change of it.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::index::{Change, Index};
use super::records::{self, Key};
use super::score::Query;
use super::{
    Cue, Extent, Impression, MadeRoom, MemoryError, Quota, RECOLLECTIONS_MAX, Recollection, Remembered, Span,
    TURN_MAX, Weights, invalid,
};
use crate::ids::SoulName;
use crate::kv::{Condition, Consistency, Expect, Kv, KvError, Mutation, Txn, TxnOutcome};

/// Keys that are read at once.
const PAGE: usize = 1_000;
/// Keys that say when episodes were recalled, written at once.
const MARKS: usize = 200;

/// Where a memory is kept.
#[derive(Debug, Clone)]
pub struct Place {
    kv: Kv,
    bucket: String,
    fence: Condition,
}

impl Place {
    /// That of a Soul, to be written as long as `fence` holds.
    pub fn new(kv: Kv, soul: &SoulName, fence: Condition) -> Self {
        Self { kv, bucket: records::bucket(soul), fence }
    }

    async fn read(&self) -> Result<Index, MemoryError> {
        let (mut index, mut start) = (Index::default(), Bytes::new());
        loop {
            let page = self.kv.range(&self.bucket, &start, None, PAGE, Consistency::Linearizable).await?;
            for (key, entry) in page.entries {
                index.read(&key, entry.value)?;
            }
            match page.next {
                Some(next) => start = next,
                None => return Ok(index),
            }
        }
    }

    fn mutations(&self, changes: &[Change]) -> Result<Vec<Mutation>, KvError> {
        let path = |key: Key| key.path(&self.kv, &self.bucket);
        let mut mutations = Vec::new();
        for change in changes {
            for (id, marked) in &change.gone {
                mutations.push(Mutation::Delete { path: path(Key::Episode(*id))? });
                if *marked {
                    mutations.push(Mutation::Delete { path: path(Key::Recalled(*id))? });
                }
            }
            let grown = change.grown.iter().map(|grown| (grown.id, &grown.value));
            for (id, value) in grown.chain(change.new.iter().map(|new| (new.id, &new.value))) {
                let (path, value) = (path(Key::Episode(id))?, value.clone());
                mutations.push(Mutation::Put { path, value, lease: None });
            }
        }
        if let Some(new) = changes.iter().rev().find_map(|change| change.new.as_ref()) {
            let value = records::number(new.id + 1);
            mutations.push(Mutation::Put { path: path(Key::Next)?, value, lease: None });
        }
        Ok(mutations)
    }

    /// That no other episode was given a name since the KV had `head`: one that was given up, and came late, would have
    /// the same.
    fn unchanged(&self, head: Option<u64>) -> Result<Condition, KvError> {
        let expect = head.map_or(Expect::Absent, |head| Expect::Value(records::number(head)));
        Ok(Condition { path: Key::Next.path(&self.kv, &self.bucket)?, expect })
    }

    /// That episodes which take others up are what they were, so that none comes back that was forgotten meanwhile.
    fn as_before(&self, changes: &[Change]) -> Result<Vec<Condition>, KvError> {
        // What these changes themselves have made or changed is not in the KV yet.
        let mut known: BTreeSet<u64> = changes.iter().flat_map(|it| &it.new).map(|new| new.id).collect();
        let grown = changes.iter().flat_map(|change| &change.grown);
        grown
            .filter(|grown| known.insert(grown.id))
            .map(|grown| {
                let path = Key::Episode(grown.id).path(&self.kv, &self.bucket)?;
                Ok(Condition { path, expect: Expect::Value(grown.before.clone()) })
            })
            .collect()
    }
}

/// When what changes is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Before the change returns.
    AtOnce,
    /// With the turn: [`Memory::take_held`].
    WithTurn,
    /// Never: the Soul's code is only tried.
    Never,
}

/// What a turn changes.
#[derive(Debug, Default)]
pub struct Changes {
    /// What must be so.
    pub require: Vec<Condition>,
    /// What is written.
    pub then: Vec<Mutation>,
    /// What became of episodes for want of room.
    pub room: MadeRoom,
}

/// Changes that wait for their turn to be kept.
#[derive(Debug, Default)]
struct Held {
    changes: Vec<Change>,
    /// What the KV had before the first of them.
    head: Option<u64>,
}

/// The memory of one Soul. Whatever fails, or is given up halfway, has the index read anew.
#[derive(Debug)]
pub struct Memory {
    place: Place,
    quota: Quota,
    weights: Weights,
    /// None: it has to be read.
    index: Option<Index>,
    /// When what changes is kept.
    pub keeping: Keeping,
    held: Held,
}

impl Memory {
    /// A memory of which nothing is read yet.
    pub fn new(place: Place, quota: Quota, weights: Weights) -> Self {
        Self { place, quota, weights, index: None, keeping: Keeping::AtOnce, held: Held::default() }
    }

    async fn index(&mut self) -> Result<&mut Index, MemoryError> {
        let index = match self.index.take() {
            Some(index) => index,
            None => {
                let mut index = self.place.read().await?;
                self.held.changes.iter().for_each(|change| index.apply(change));
                index
            }
        };
        Ok(self.index.insert(index))
    }

    /// Remembers something at `now_ms`, in milliseconds since the Unix epoch, instead of these episodes.
    ///
    /// # Errors
    /// `Invalid`, `Elsewhere`, `Damaged`; `Kv`, after which it may be remembered all the same.
    pub async fn remember(
        &mut self,
        impression: &Impression,
        now_ms: u64,
        instead_of: &[u64],
    ) -> Result<Remembered, MemoryError> {
        self.remember_of(impression, (Span::once(now_ms), now_ms), instead_of).await
    }

    /// The same at `now_ms`, of something that happened then, which is no later.
    ///
    /// # Errors
    /// As [`Memory::remember`].
    pub async fn remember_of(
        &mut self,
        impression: &Impression,
        (span, now_ms): (Span, u64),
        instead_of: &[u64],
    ) -> Result<Remembered, MemoryError> {
        // What was given up before may have come late, and taken the name: then there is another.
        for last in [false, true] {
            let (quota, weights) = (self.quota, self.weights);
            let index = self.index().await?;
            let change = index.remembering(impression, (span, now_ms), instead_of, quota, &weights)?;
            let id = index.next();
            if self.carry_out(&change).await? {
                return Ok(Remembered { id, room: change.room });
            }
            if last {
                break;
            }
        }
        Err(MemoryError::Kv(KvError::Unavailable("others write to this memory at the same time".into())))
    }

    /// Forgets episodes; returns those that there were.
    ///
    /// # Errors
    /// As [`Memory::remember`].
    pub async fn forget(&mut self, ids: &[u64]) -> Result<Vec<u64>, MemoryError> {
        let mut forgotten = Vec::new();
        for ids in ids.chunks(TURN_MAX) {
            let change = self.index().await?.forgetting(ids);
            if !change.gone.is_empty() {
                self.carry_out(&change).await?;
            }
            forgotten.extend(change.gone.iter().map(|(id, _)| *id));
        }
        Ok(forgotten)
    }

    /// The episodes that fit a cue best at `now_ms`, best first. They are fresher from now on, for good once they are
    /// [told](Memory::tell).
    ///
    /// # Errors
    /// `Invalid`, `Damaged`, `Kv`.
    pub async fn recall(
        &mut self,
        cue: &Cue,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<Recollection>, MemoryError> {
        cue.check()?;
        let (query, weights) = (Query::of(cue), self.weights);
        let index = self.index().await?;
        let found = index.best(&query, now_ms, limit.min(RECOLLECTIONS_MAX), &weights);
        index.recalled(found, now_ms)
    }

    /// How much is remembered.
    ///
    /// # Errors
    /// `Damaged`, `Kv`.
    pub async fn usage(&mut self) -> Result<Extent, MemoryError> {
        let quota = self.quota;
        Ok(self.index().await?.extent(quota))
    }

    /// False: another episode has this name by now, and nothing was changed.
    async fn carry_out(&mut self, change: &Change) -> Result<bool, MemoryError> {
        let Some(mut index) = self.index.take() else { return Ok(false) };
        let made = match self.keeping {
            Keeping::Never => true,
            Keeping::WithTurn => {
                let held: usize = self.held.changes.iter().map(Change::touched).sum();
                if held + change.touched() > TURN_MAX {
                    self.index = Some(index);
                    return invalid(format!("one turn changes {TURN_MAX} episodes at most"));
                }
                if self.held.changes.is_empty() {
                    self.held.head = index.head;
                }
                self.held.changes.push(change.clone());
                true
            }
            Keeping::AtOnce => {
                let mut require = vec![self.place.fence.clone()];
                if change.new.is_some() {
                    require.push(self.place.unchanged(index.head)?);
                }
                require.extend(self.place.as_before(std::slice::from_ref(change))?);
                let then = self.place.mutations(std::slice::from_ref(change))?;
                match self.place.kv.batch(Txn { require, then }, None).await?.value {
                    TxnOutcome::Committed => true,
                    TxnOutcome::Refused { condition: 0 } => return Err(MemoryError::Elsewhere),
                    TxnOutcome::Refused { .. } => false,
                }
            }
        };
        if made {
            index.apply(change);
            if change.new.is_some() && self.keeping == Keeping::AtOnce {
                index.head = Some(index.next());
            }
            self.index = Some(index);
        }
        Ok(made)
    }

    /// Whether something waits for the turn to be kept.
    pub fn holds(&self) -> bool {
        !self.held.changes.is_empty()
    }

    /// Takes what waits for the turn to be kept; none: nothing does. If it is not kept, this memory must be dropped.
    ///
    /// # Errors
    /// Those of a path in the KV.
    pub fn take_held(&mut self) -> Result<Option<Changes>, KvError> {
        let Held { changes, head } = std::mem::take(&mut self.held);
        if changes.is_empty() {
            return Ok(None);
        }
        let names = changes.iter().any(|change| change.new.is_some());
        let mut require = if names { vec![self.place.unchanged(head)?] } else { Vec::new() };
        require.extend(self.place.as_before(&changes)?);
        let then = self.place.mutations(&changes)?;
        if let Some(index) = self.index.as_mut().filter(|_| names) {
            index.head = Some(index.next());
        }
        let mut room = MadeRoom::default();
        changes.into_iter().for_each(|change| room.extend(change.room));
        Ok(Some(Changes { require, then, room }))
    }

    /// Tells the KV when episodes were recalled last, where it does not have the last word. What a crash takes of it makes
    /// them look less fresh, and nothing else.
    ///
    /// # Errors
    /// `Elsewhere`, `Kv`.
    pub async fn tell(&mut self) -> Result<(), MemoryError> {
        while let Some(index) = &mut self.index {
            let stale = index.stale(MARKS);
            if stale.is_empty() {
                break;
            }
            let (kv, bucket) = (&self.place.kv, &self.place.bucket);
            let mutation = |(id, at_ms): &(u64, Option<u64>)| {
                let path = Key::Recalled(*id).path(kv, bucket)?;
                Ok::<_, KvError>(match at_ms {
                    Some(at_ms) => Mutation::Put { path, value: records::number(*at_ms), lease: None },
                    None => Mutation::Delete { path },
                })
            };
            let then = stale.iter().map(mutation).collect::<Result<_, _>>()?;
            let require = vec![self.place.fence.clone()];
            if kv.batch(Txn { require, then }, None).await?.value != TxnOutcome::Committed {
                return Err(MemoryError::Elsewhere);
            }
            index.told(&stale);
        }
        Ok(())
    }
}
