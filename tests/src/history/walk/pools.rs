//! Operations of unknown outcome on one key, by what they can explain.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::history::facts::{Facts, Seen, Shown};
use crate::history::{Expect, Kind};

/// Sorted by the log index told before each was called: what can have come early stands first.
type Queue = Vec<(u64, usize)>;

/// The operations, each taken at most once.
#[derive(Default)]
pub(super) struct Pools {
    /// Deletes.
    deletes: Queue,
    deletes_taken: usize,
    /// Swaps for nothing, by the value they expect.
    clears: HashMap<u64, Queue>,
    /// The same swaps, with the value they expect where it is known.
    loose: Vec<(u64, usize, Option<u64>)>,
    loose_taken: usize,
    /// Writes of values that nobody shows.
    makers: Queue,
    makers_taken: usize,
}

impl Pools {
    /// The pools of each key that has such operations.
    pub(super) fn of_keys(facts: &Facts<'_>, seen: &[Seen]) -> BTreeMap<u32, Pools> {
        let shown: HashSet<u64> = seen
            .iter()
            .filter_map(|seen| if let Shown::Exactly(value) = seen.shown { value } else { None })
            .collect();
        let mut keys: BTreeMap<u32, Pools> = BTreeMap::new();
        for (id, operation) in facts.open() {
            let pools = keys.entry(operation.key).or_default();
            let floor = facts.floor(id);
            match (operation.kind, operation.writes()) {
                (_, Some(value)) => {
                    if !shown.contains(&value) {
                        pools.makers.push((floor, id));
                    }
                }
                (Kind::Cas { expect, .. }, None) => {
                    let expected = match expect {
                        Expect::Absent => continue,
                        Expect::Value(value) => Some(value),
                        Expect::Revision(revision) => facts.value_at(revision),
                    };
                    if let Some(value) = expected {
                        pools.clears.entry(value).or_default().push((floor, id));
                    }
                    pools.loose.push((floor, id, expected));
                }
                (Kind::Delete, None) => pools.deletes.push((floor, id)),
                (Kind::Put(_) | Kind::Get, None) => {}
            }
        }
        for pools in keys.values_mut() {
            pools.deletes.sort_unstable();
            pools.loose.sort_unstable();
            pools.makers.sort_unstable();
        }
        keys
    }

    /// Takes what can have deleted `value` up to log index `upto`: a swap that could delete nothing else, or a
    /// delete, or a swap whose expectation, as `possible` says of it, may have held unseen.
    pub(super) fn deleter(
        &mut self,
        value: u64,
        upto: u64,
        placed: &HashSet<usize>,
        possible: impl Fn(Option<u64>) -> bool,
    ) -> Option<usize> {
        let fits = |&&(floor, id): &&(u64, usize)| floor < upto && !placed.contains(&id);
        if let Some((_, id)) = self.clears.get(&value).and_then(|queue| queue.iter().find(fits)) {
            return Some(*id);
        }
        if let Some((_, id)) = self.deletes.get(self.deletes_taken).filter(|(floor, _)| *floor < upto) {
            self.deletes_taken += 1;
            return Some(*id);
        }
        // One that is not possible now never will be: its value was seen, and is not there any more.
        while let Some(&(_, id, expected)) =
            self.loose.get(self.loose_taken).filter(|(floor, ..)| *floor < upto)
        {
            self.loose_taken += 1;
            if !placed.contains(&id) && possible(expected) {
                return Some(id);
            }
        }
        None
    }

    /// Takes a write that can have been applied up to log index `upto`, and whose value nobody shows.
    pub(super) fn maker(&mut self, upto: u64) -> Option<usize> {
        let (_, id) = self.makers.get(self.makers_taken).filter(|(floor, _)| *floor < upto)?;
        self.makers_taken += 1;
        Some(*id)
    }
}
