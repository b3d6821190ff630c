//! The oracle with the log of what was applied: every change has its place, and every operation is decided.

mod lines;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::facts::{Facts, Origin, Seen, Witness};
use super::oracle::Applied;
use super::report::{self, Rule, Violation};
use super::{Expect, Kind, order};
use lines::Lines;

/// A change in the log, and what is known of its log index.
pub(super) struct Entry {
    pub(super) change: Applied,
    /// Bounds of its log index; equal where it is known.
    pub(super) least: u64,
    pub(super) most: u64,
    /// The operation that did it.
    pub(super) by: Option<usize>,
}

/// Checks the log against the answers, and what is seen against the log; returns how many operations of unknown
/// outcome have been applied.
pub(super) fn check(facts: &Facts<'_>, log: &[Applied], seen: &[Seen], found: &mut Vec<Violation>) -> usize {
    for pair in log.windows(2) {
        if pair[0].revision >= pair[1].revision {
            let why = format!("revision {} comes before revision {}", pair[0].revision, pair[1].revision);
            found.push(facts.violation(Rule::LogOrder, why, &[]));
            return 0;
        }
    }
    let mut entries = acknowledged(facts, log, found);
    bound(facts, &mut entries, found);
    puts(facts, &mut entries, found);
    let mut decide = Decide::new(facts, found);
    entries.iter_mut().for_each(|entry| decide.entry(entry));
    indexes(facts, &entries, found);
    Lines::new(facts, &entries).check(seen, found);
    entries.iter().filter_map(|entry| entry.by).filter(|&id| facts.operation(id).is_open()).count()
}

/// Gives the acknowledged changes their places; reports those that have none.
fn acknowledged(facts: &Facts<'_>, log: &[Applied], found: &mut Vec<Violation>) -> Vec<Entry> {
    let operations = facts.history.operations();
    let mut answers: HashMap<u64, usize> = HashMap::new();
    let mut entries = Vec::with_capacity(log.len());
    for (id, operation) in operations.iter().enumerate() {
        if let Some((_, revision)) = operation.change() {
            answers.insert(revision, id);
        }
    }
    let mut placed = HashSet::new();
    for change in log {
        let by = answers.get(&change.revision).copied().filter(|&id| {
            let operation = &operations[id];
            operation.key == change.key
                && operation.change().is_some_and(|(left, _)| left == change.left)
                && change
                    .log_index
                    .is_none_or(|index| operation.done().is_some_and(|done| done.log_index == index))
        });
        placed.extend(by);
        let told = by.and_then(|id| operations[id].done()).map(|done| done.log_index);
        let index = change.log_index.or(told);
        let (least, most) = (index.unwrap_or(0), index.unwrap_or(u64::MAX));
        entries.push(Entry { change: *change, least, most, by });
    }
    let places: HashMap<u64, &Applied> =
        log.iter().filter_map(|change| change.left.map(|value| (value, change))).collect();
    for (id, operation) in operations.iter().enumerate() {
        let Some((left, revision)) = operation.change().filter(|_| !placed.contains(&id)) else { continue };
        let elsewhere = left.and_then(|value| places.get(&value)).map_or_else(String::new, |change| {
            format!("; its value was applied to key {} at revision {}", change.key, change.revision)
        });
        let why = format!("#{id} was acknowledged at revision {revision} and not applied there{elsewhere}");
        found.push(facts.violation(Rule::AcknowledgedMissing, why, &[Some(Witness::Answer(id))]));
    }
    entries
}

/// Bounds the log indexes that are not known by those of the neighbours.
fn bound(facts: &Facts<'_>, entries: &mut [Entry], found: &mut Vec<Violation>) {
    let mut least = 1;
    for entry in entries.iter_mut() {
        if entry.least < least && entry.least == entry.most {
            let Applied { revision, key, left, .. } = entry.change;
            let why = format!(
                "revision {revision} ({} in key {key}) is at log index {}, and a change before it at {} or later",
                report::state(left),
                entry.least,
                least - 1
            );
            found.push(facts.violation(Rule::LogOrder, why, &[entry.by.map(Witness::Answer)]));
        }
        entry.least = entry.least.max(least);
        entry.most = entry.most.max(entry.least);
        least = entry.least.saturating_add(1);
    }
    let mut most = u64::MAX;
    for entry in entries.iter_mut().rev() {
        entry.most = entry.most.min(most).max(entry.least);
        most = entry.most.saturating_sub(1);
    }
}

/// Finds whose each value is; reports values applied twice, or by nobody, or by an operation that was not to.
fn puts(facts: &Facts<'_>, entries: &mut [Entry], found: &mut Vec<Violation>) {
    let mut first: HashMap<u64, u64> = HashMap::new();
    for entry in entries {
        let Applied { revision, key, left: Some(value), .. } = entry.change else { continue };
        let origin = facts.origin(value, key);
        if let Some(before) = first.get(&value) {
            let why = format!("value {value} was applied at revision {before} and at revision {revision}");
            let by = match origin {
                Origin::Nobody => None,
                Origin::OtherKey(id) | Origin::NotApplied(id) | Origin::Written(id, _) | Origin::Open(id) => {
                    Some(Witness::Answer(id))
                }
            };
            found.push(facts.violation(Rule::AppliedTwice, why, &[by]));
            continue;
        }
        first.insert(value, revision);
        let log = format!("the log has value {value} in key {key} at revision {revision}");
        match origin {
            Origin::Written(..) => {}
            Origin::Open(id) => {
                entry.by = Some(id);
                if let Some(told) = facts.revision_of(value).filter(|told| *told != revision) {
                    let why = format!("{log}, and it was read at revision {told}");
                    found.push(facts.violation(Rule::AppliedTwice, why, &[Some(Witness::Answer(id))]));
                }
            }
            Origin::Nobody => {
                found.push(facts.violation(Rule::Phantom, format!("{log}, and nobody wrote it"), &[]));
            }
            Origin::OtherKey(id) => {
                let why = format!("{log}, and #{id} wrote it to another key");
                found.push(facts.violation(Rule::Phantom, why, &[Some(Witness::Answer(id))]));
            }
            Origin::NotApplied(id) => {
                let why = format!("{log}, and #{id} was not to be carried out");
                found.push(facts.violation(Rule::RefusedApplied, why, &[Some(Witness::Answer(id))]));
            }
        }
    }
}

/// No log index is that of a change and of an answer to another operation.
fn indexes(facts: &Facts<'_>, entries: &[Entry], found: &mut Vec<Violation>) {
    let answers: HashMap<u64, usize> = order::mutations(facts.history).into_iter().collect();
    for entry in entries {
        let Some(index) = entry.change.log_index else { continue };
        if let Some(&id) = answers.get(&index).filter(|&&id| entry.by != Some(id)) {
            let why = format!(
                "log index {index} is that of revision {} of key {}, and was told to #{id}",
                entry.change.revision, entry.change.key
            );
            let by = [Some(Witness::Answer(id)), entry.by.map(Witness::Answer)];
            found.push(facts.violation(Rule::OneIndex, why, &by));
        }
    }
}

/// Decides, along the log, what operations of unknown outcome did.
struct Decide<'a, 'b> {
    facts: &'a Facts<'a>,
    found: &'b mut Vec<Violation>,
    /// What each key holds, and since which revision.
    held: HashMap<u32, (u64, u64)>,
    /// Deletes of unknown outcome, by key, what can have come early first, and how many have their place.
    deletes: BTreeMap<u32, (Vec<(u64, usize)>, usize)>,
    /// Swaps of unknown outcome for nothing, by key.
    clears: BTreeMap<(u32, Expect), Vec<usize>>,
}

impl<'a, 'b> Decide<'a, 'b> {
    fn new(facts: &'a Facts<'a>, found: &'b mut Vec<Violation>) -> Decide<'a, 'b> {
        let mut deletes: BTreeMap<u32, (Vec<(u64, usize)>, usize)> = BTreeMap::new();
        let mut clears: BTreeMap<(u32, Expect), Vec<usize>> = BTreeMap::new();
        for (id, operation) in facts.open() {
            match operation.kind {
                Kind::Delete => deletes.entry(operation.key).or_default().0.push((facts.floor(id), id)),
                Kind::Cas { expect, new: None } => {
                    clears.entry((operation.key, expect)).or_default().push(id);
                }
                Kind::Cas { .. } | Kind::Put(_) | Kind::Get => {}
            }
        }
        deletes.values_mut().for_each(|(queue, _)| queue.sort_unstable());
        Decide { facts, found, held: HashMap::new(), deletes, clears }
    }

    fn entry(&mut self, entry: &mut Entry) {
        let Applied { revision, key, left, .. } = entry.change;
        let before = self.held.get(&key).copied();
        match left {
            Some(value) => {
                self.held.insert(key, (value, revision));
                self.expectation(entry, before);
            }
            None => {
                self.held.remove(&key);
                if entry.by.is_none() || before.is_none() {
                    self.deletion(entry, before);
                }
            }
        }
        self.real_time(entry);
    }

    /// A swap of unknown outcome that was applied must have found what it expects.
    fn expectation(&mut self, entry: &Entry, before: Option<(u64, u64)>) {
        let Some(id) = entry.by.filter(|&id| self.facts.operation(id).is_open()) else { return };
        let Kind::Cas { expect, .. } = self.facts.operation(id).kind else { return };
        let holds = match expect {
            Expect::Absent => before.is_none(),
            Expect::Value(value) => before.is_some_and(|(held, _)| held == value),
            Expect::Revision(revision) => before.is_some_and(|(_, since)| since == revision),
        };
        if !holds {
            let why = format!(
                "#{id} was applied at revision {}, where the key held {}",
                entry.change.revision,
                report::state(before.map(|(value, _)| value))
            );
            self.found.push(self.facts.violation(Rule::WrongSwap, why, &[Some(Witness::Answer(id))]));
        }
    }

    /// Finds whose a deletion is that nobody's answer tells.
    fn deletion(&mut self, entry: &mut Entry, before: Option<(u64, u64)>) {
        let Applied { revision, key, .. } = entry.change;
        let Some((value, since)) = before else {
            let why = format!("revision {revision} deletes key {key}, which did not exist");
            let by = [entry.by.map(Witness::Answer)];
            self.found.push(self.facts.violation(Rule::PhantomDelete, why, &by));
            return;
        };
        // A swap can have deleted this value only, so it goes first; a delete any that was there later.
        let (facts, most) = (self.facts, entry.most);
        for expect in [Expect::Value(value), Expect::Revision(since)] {
            let queue = self.clears.get_mut(&(key, expect));
            let mut possible = queue.iter().flat_map(|queue| queue.iter());
            if let Some(&id) = possible.find(|&&id| facts.floor(id) < most) {
                entry.by = Some(id);
                return;
            }
        }
        if let Some((queue, taken)) = self.deletes.get_mut(&key)
            && let Some((_, id)) = queue.get(*taken).filter(|(floor, _)| *floor < most)
        {
            *taken += 1;
            entry.by = Some(*id);
            return;
        }
        let why = format!(
            "revision {revision} deletes value {value} of key {key}, and no operation is left for it"
        );
        self.found.push(self.facts.violation(Rule::PhantomDelete, why, &[]));
    }

    /// What was called after an answer stands behind it.
    fn real_time(&mut self, entry: &Entry) {
        let Some(id) = entry.by.filter(|&id| self.facts.operation(id).is_open()) else { return };
        let floor = self.facts.floor(id);
        if entry.most <= floor {
            let why = format!(
                "#{id} was applied at log index {} at the latest, and called after {floor} had been told",
                entry.most
            );
            let by = [Some(Witness::Answer(id)), self.facts.floor_by(id)];
            self.found.push(self.facts.violation(Rule::RealTime, why, &by));
        }
    }
}
