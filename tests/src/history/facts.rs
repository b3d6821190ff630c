//! What the oracle reads off a history before it judges.

use std::collections::HashMap;

use super::oracle::Scan;
use super::report::{Rule, Violation};
use super::{Expect, Held, History, Kind, Operation, Outcome, Reply, order};

/// Who shows a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witness {
    /// The answer to the operation at this place.
    Answer(usize),
    /// The final scan.
    Scan,
}

/// What somebody shows of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) by: Witness,
    pub(super) key: u32,
    /// The state shown is the one after this log index and before the next.
    pub(super) after: u64,
    pub(super) shown: Shown,
}

/// A state, as far as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Exactly(Option<u64>),
    Present,
    /// Some value, last changed at this revision, which no answer gives to any value.
    AtRevision(u64),
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    Nobody,
    OtherKey(usize),
    /// Its write was refused, or conflicted.
    NotApplied(usize),
    Written(usize, u64),
    /// Its write's outcome is unknown.
    Open(usize),
}

/// The history, and tables of it.
pub(super) struct Facts<'a> {
    pub(super) history: &'a History,
    pub(super) scan: Option<&'a Scan>,
    /// For each operation, the highest log index that was told before it was called, and by whom.
    pub(super) floors: Vec<Option<(u64, usize)>>,
    writers: HashMap<u64, usize>,
    revisions: HashMap<u64, (u64, Witness)>,
    values: HashMap<u64, (u64, Witness)>,
}

impl<'a> Facts<'a> {
    /// Reads the history; reports values and revisions that do not fit together.
    pub(super) fn new(history: &'a History, scan: Option<&'a Scan>, found: &mut Vec<Violation>) -> Facts<'a> {
        let writes = |(id, operation): (usize, &Operation)| operation.writes().map(|value| (value, id));
        let writers = history.operations().iter().enumerate().filter_map(writes).collect();
        let (revisions, values) = (HashMap::new(), HashMap::new());
        let mut facts = Facts { history, scan, floors: order::floors(history), writers, revisions, values };
        // Acknowledgements first: what else is told is measured by them.
        for (id, operation) in history.operations().iter().enumerate() {
            if let Some((Some(value), revision)) = operation.change() {
                facts.learn(Held { value, revision }, Witness::Answer(id), found);
            }
        }
        for (id, operation) in history.operations().iter().enumerate() {
            if let Some(held) = held(operation) {
                facts.learn(held, Witness::Answer(id), found);
            }
        }
        for held in scan.iter().flat_map(|scan| scan.entries.values()) {
            facts.learn(*held, Witness::Scan, found);
        }
        facts
    }

    fn learn(&mut self, held: Held, by: Witness, found: &mut Vec<Violation>) {
        let Held { value, revision } = held;
        let (before, first) = *self.revisions.entry(value).or_insert((revision, by));
        if before != revision {
            let why = format!("value {value} was written at revision {before} and at revision {revision}");
            found.push(self.violation(Rule::AppliedTwice, why, &[Some(by), Some(first)]));
            return;
        }
        let (other, first) = *self.values.entry(revision).or_insert((value, by));
        if other != value {
            let why = format!("revision {revision} is that of value {other} and of value {value}");
            found.push(self.violation(Rule::RevisionOrder, why, &[Some(by), Some(first)]));
        }
    }

    /// The operation at a place.
    pub(super) fn operation(&self, id: usize) -> &'a Operation {
        &self.history.operations()[id]
    }

    /// The revision at which a value was written, where an answer tells it.
    pub(super) fn revision_of(&self, value: u64) -> Option<u64> {
        self.revisions.get(&value).map(|(revision, _)| *revision)
    }

    /// The value that was written at a revision, where an answer tells it.
    pub(super) fn value_at(&self, revision: u64) -> Option<u64> {
        self.values.get(&revision).map(|(value, _)| *value)
    }

    /// The highest log index told before the operation was called; 0 where none was.
    pub(super) fn floor(&self, id: usize) -> u64 {
        self.floors[id].map_or(0, |(index, _)| index)
    }

    /// Who told it.
    pub(super) fn floor_by(&self, id: usize) -> Option<Witness> {
        self.floors[id].map(|(_, by)| Witness::Answer(by))
    }

    /// Where `value`, shown in `key`, comes from.
    pub(super) fn origin(&self, value: u64, key: u32) -> Origin {
        let Some(&id) = self.writers.get(&value) else { return Origin::Nobody };
        let operation = self.operation(id);
        match operation.outcome {
            _ if operation.key != key => Origin::OtherKey(id),
            Outcome::Refused { .. } => Origin::NotApplied(id),
            Outcome::Unknown | Outcome::GaveUp => Origin::Open(id),
            Outcome::Done(done) => match operation.change() {
                Some(_) => Origin::Written(id, done.log_index),
                None => Origin::NotApplied(id),
            },
        }
    }

    /// Operations of unknown outcome that may have changed something, each with its place.
    pub(super) fn open(&self) -> impl Iterator<Item = (usize, &'a Operation)> {
        let operations = self.history.operations().iter().enumerate();
        operations.filter(|(_, operation)| operation.is_open())
    }

    /// All that answers and the final scan show of keys.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let operations = self.history.operations();
        let mut seen: Vec<Seen> =
            operations.iter().enumerate().filter_map(|(id, operation)| self.shown(id, operation)).collect();
        if let Some(scan) = self.scan {
            let mut keys: Vec<u32> = operations.iter().map(|operation| operation.key).collect();
            keys.extend(scan.entries.keys());
            keys.sort_unstable();
            keys.dedup();
            seen.extend(keys.into_iter().map(|key| Seen {
                by: Witness::Scan,
                key,
                after: scan.log_index,
                shown: Shown::Exactly(scan.entries.get(&key).map(|held| held.value)),
            }));
        }
        seen
    }

    fn shown(&self, id: usize, operation: &Operation) -> Option<Seen> {
        let done = operation.done()?;
        let exactly = |held: Option<Held>| Shown::Exactly(held.map(|held| held.value));
        let shown = match (done.result, operation.kind) {
            (Reply::Wrote { .. }, _) => return None,
            (Reply::Read(held), _) => exactly(held),
            (Reply::Conflict { current, .. }, _) => exactly(current),
            (Reply::Deleted { existed: true, .. }, _) => Shown::Present,
            (Reply::Deleted { existed: false, .. }, _) => Shown::Exactly(None),
            (Reply::Swapped { .. }, Kind::Cas { expect: Expect::Value(value), .. }) => {
                Shown::Exactly(Some(value))
            }
            (Reply::Swapped { .. }, Kind::Cas { expect: Expect::Revision(revision), .. }) => self
                .value_at(revision)
                .map_or(Shown::AtRevision(revision), |value| Shown::Exactly(Some(value))),
            (Reply::Swapped { .. }, _) => Shown::Exactly(None),
        };
        // A mutation is decided by the state before its own entry.
        let after = done.log_index - u64::from(operation.is_mutation());
        Some(Seen { by: Witness::Answer(id), key: operation.key, after, shown })
    }

    /// The rule that `by` breaks when it shows what it should not: `read` where it is a get.
    pub(super) fn rule(&self, by: Witness, read: Rule) -> Rule {
        let Witness::Answer(id) = by else { return Rule::FinalScan };
        match self.operation(id).done().map(|done| done.result) {
            Some(Reply::Swapped { .. }) => Rule::WrongSwap,
            Some(Reply::Conflict { .. }) => Rule::WrongConflict,
            Some(Reply::Deleted { .. }) => Rule::WrongDelete,
            _ => read,
        }
    }

    /// A violation with the operations among `by`, each once.
    pub(super) fn violation(&self, rule: Rule, why: String, by: &[Option<Witness>]) -> Violation {
        let mut ids = Vec::new();
        for witness in by.iter().flatten() {
            match witness {
                Witness::Answer(id) if !ids.contains(id) => ids.push(*id),
                Witness::Answer(_) | Witness::Scan => {}
            }
        }
        Violation { rule, why, operations: ids.into_iter().map(|id| self.history.named(id)).collect() }
    }

    /// The violation of somebody who shows a value that was never applied to its key; `None` where it may have been.
    pub(super) fn unfounded(&self, value: u64, seen: &Seen) -> Option<Violation> {
        let (rule, why, writer) = match self.origin(value, seen.key) {
            Origin::Nobody => (Rule::Phantom, format!("nobody wrote value {value}"), None),
            Origin::OtherKey(id) => (
                Rule::Phantom,
                format!("value {value} was written to another key than {}", seen.key),
                Some(id),
            ),
            Origin::NotApplied(id) => {
                (Rule::RefusedApplied, format!("the write of value {value} was not carried out"), Some(id))
            }
            Origin::Written(..) | Origin::Open(_) => return None,
        };
        let why = format!("{why}, and {} shows it in key {}", who(seen.by), seen.key);
        Some(self.violation(rule, why, &[Some(seen.by), writer.map(Witness::Answer)]))
    }
}

/// A witness, in words.
pub(super) fn who(by: Witness) -> String {
    match by {
        Witness::Answer(id) => format!("#{id}"),
        Witness::Scan => "the final scan".to_owned(),
    }
}

/// What an answer tells that the key holds.
pub(super) fn held(operation: &Operation) -> Option<Held> {
    match operation.done()?.result {
        Reply::Read(held) => held,
        Reply::Conflict { current, .. } => current,
        Reply::Wrote { .. } | Reply::Swapped { .. } | Reply::Deleted { .. } => None,
    }
}
