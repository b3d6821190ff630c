//! What each key held when, by the log, and whether everybody saw that.

use std::collections::HashMap;

use super::Entry;
use crate::history::facts::{Facts, Origin, Seen, Shown, Witness, who};
use crate::history::report::{self, Rule, Violation};

/// The changes of each key, in order.
pub(super) struct Lines<'a> {
    facts: &'a Facts<'a>,
    keys: HashMap<u32, Vec<&'a Entry>>,
    /// For each value, its key and its place among the key's changes, counted from 1.
    places: HashMap<u64, (u32, usize)>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(facts: &'a Facts<'a>, entries: &'a [Entry]) -> Lines<'a> {
        let (mut keys, mut places): (HashMap<u32, Vec<&Entry>>, _) = (HashMap::new(), HashMap::new());
        for entry in entries {
            let line = keys.entry(entry.change.key).or_default();
            line.push(entry);
            if let Some(value) = entry.change.left {
                places.entry(value).or_insert((entry.change.key, line.len()));
            }
        }
        Lines { facts, keys, places }
    }

    /// Reports everybody who shows what no state can be that the key may have had at that log index.
    pub(super) fn check(&self, seen: &[Seen], found: &mut Vec<Violation>) {
        for seen in seen {
            let line = self.keys.get(&seen.key).map(Vec::as_slice).unwrap_or_default();
            // State 0 is before the first change. More than one is possible only where log indexes are not known.
            let first = line.partition_point(|entry| entry.most <= seen.after);
            let last = line.partition_point(|entry| entry.least <= seen.after);
            let state = |place: usize| place.checked_sub(1).and_then(|place| line.get(place));
            let fits = |place: usize| {
                let left = state(place).and_then(|entry| entry.change.left);
                match seen.shown {
                    Shown::Exactly(value) => left == value,
                    Shown::Present => left.is_some(),
                    Shown::AtRevision(revision) => {
                        left.is_some() && state(place).is_some_and(|entry| entry.change.revision == revision)
                    }
                }
            };
            if !(first..=last).any(fits) {
                found.push(self.explain(seen, first, state(first).copied()));
            }
        }
    }

    /// Why `seen` cannot be, where the log has `entry`, the change with which state number `first` began.
    fn explain(&self, seen: &Seen, first: usize, entry: Option<&Entry>) -> Violation {
        let facts = self.facts;
        let left = entry.and_then(|entry| entry.change.left);
        let from = entry.and_then(|entry| entry.by).map(Witness::Answer);
        let at =
            format!("after log index {}, where key {} held {}", seen.after, seen.key, report::state(left));
        let (default, what) = match seen.shown {
            Shown::Exactly(None) => (Rule::LostValue, "nothing".to_owned()),
            Shown::Present => (Rule::WrongDelete, "a value".to_owned()),
            Shown::AtRevision(revision) => (Rule::WrongSwap, format!("revision {revision}")),
            Shown::Exactly(Some(value)) => {
                if let Some(violation) = facts.unfounded(value, seen) {
                    return violation;
                }
                match self.places.get(&value) {
                    Some((key, place)) if *key == seen.key && *place > first => {
                        (Rule::FutureRead, format!("value {value}, which was applied only later,"))
                    }
                    Some(_) => (Rule::StaleRead, format!("value {value}, which had been overwritten,")),
                    None => {
                        let writer = match facts.origin(value, seen.key) {
                            Origin::Written(id, _) | Origin::Open(id) => Some(Witness::Answer(id)),
                            Origin::Nobody | Origin::OtherKey(_) | Origin::NotApplied(_) => None,
                        };
                        let why =
                            format!("{} shows value {value}, which was never applied, {at}", who(seen.by));
                        return facts.violation(Rule::Phantom, why, &[Some(seen.by), writer]);
                    }
                }
            }
        };
        let rule = facts.rule(seen.by, default);
        let why = format!("{} shows {what} {at}", who(seen.by));
        facts.violation(rule, why, &[Some(seen.by), from])
    }
}
