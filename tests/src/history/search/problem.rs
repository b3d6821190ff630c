//! One key's operations, as the search sees them.

use std::collections::HashMap;

use crate::history::{Expect, Held, Kind, Operation, Outcome, Reply};

/// A value's place in [`Problem::values`].
pub(super) type Slot = usize;

/// What the key must be for an operation to come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Any,
    Absent,
    Value(Slot),
    Present,
    /// A value of which no answer told the revision: a swap expected a revision that no answer told.
    Unrevealed,
    /// The answer contradicts itself.
    Never,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Keep,
    Put(Slot),
    Clear,
}

impl Effect {
    pub(super) fn on(self, value: Option<Slot>) -> Option<Slot> {
        match self {
            Effect::Keep => value,
            Effect::Put(slot) => Some(slot),
            Effect::Clear => None,
        }
    }
}

/// One operation.
pub(super) struct Step {
    /// Its place in the history.
    pub(super) id: usize,
    pub(super) invoked: u64,
    /// `u64::MAX` where no answer came.
    pub(super) returned: u64,
    pub(super) need: Need,
    pub(super) effect: Effect,
}

/// The operations on one key.
pub(in crate::history) struct Problem {
    /// Those that were answered, by call.
    pub(super) required: Vec<Step>,
    /// Mutations of unknown outcome, by call.
    pub(super) optional: Vec<Step>,
    /// All values that occur.
    pub(super) values: Vec<u64>,
    /// For each value, how many answered operations need it.
    pub(super) needed: Vec<u32>,
    /// For each value, the optional operation that writes it.
    pub(super) writer: Vec<Option<usize>>,
    /// For each value, whether an optional operation needs it.
    pub(super) expected: Vec<bool>,
    /// Whether any operation needs a value of which no answer told the revision.
    pub(super) unrevealed: bool,
    /// For each value, whether an answer told its revision.
    revealed: Vec<bool>,
}

impl Problem {
    /// Takes the operations on one key, each with its place in the history.
    pub(in crate::history) fn new(operations: &[(usize, &Operation)]) -> Problem {
        let mut names = Names::default();
        operations.iter().for_each(|(_, operation)| names.learn(operation));
        let (mut required, mut optional) = (Vec::new(), Vec::new());
        for (id, operation) in operations {
            let (need, effect) = names.read(operation);
            let returned = operation.done().map_or(u64::MAX, |done| done.returned);
            let step = Step { id: *id, invoked: operation.invoked, returned, need, effect };
            if operation.done().is_some() {
                required.push(step);
            } else if operation.is_open() && effect != Effect::Keep {
                optional.push(step);
            }
        }
        required.sort_by_key(|step| (step.invoked, step.returned));
        optional.sort_by_key(|step| step.invoked);
        let count = names.values.len();
        let (mut needed, mut writer, mut expected) = (vec![0; count], vec![None; count], vec![false; count]);
        for step in &required {
            if let Need::Value(slot) = step.need {
                needed[slot] += 1;
            }
        }
        for (place, step) in optional.iter().enumerate() {
            if let Effect::Put(slot) = step.effect {
                writer[slot] = Some(place);
            }
            if let Need::Value(slot) = step.need {
                expected[slot] = true;
            }
        }
        let unrevealed = required.iter().chain(&optional).any(|step| step.need == Need::Unrevealed);
        let Names { values, revealed, .. } = names;
        Problem { required, optional, values, needed, writer, expected, unrevealed, revealed }
    }

    /// Operations that were answered.
    pub(in crate::history) fn answered(&self) -> usize {
        self.required.len()
    }

    /// Whether a key that holds `value` is as `need` says.
    pub(super) fn meets(&self, value: Option<Slot>, need: Need) -> bool {
        match need {
            Need::Any => true,
            Need::Absent => value.is_none(),
            Need::Value(slot) => value == Some(slot),
            Need::Present => value.is_some(),
            Need::Unrevealed => value.is_some_and(|slot| !self.revealed[slot]),
            Need::Never => false,
        }
    }
}

/// The values that occur, and what answers tell of their revisions.
#[derive(Default)]
struct Names {
    slots: HashMap<u64, Slot>,
    values: Vec<u64>,
    revealed: Vec<bool>,
    revisions: HashMap<u64, Slot>,
}

impl Names {
    fn slot(&mut self, value: u64) -> Slot {
        *self.slots.entry(value).or_insert_with(|| {
            self.values.push(value);
            self.revealed.push(false);
            self.values.len() - 1
        })
    }

    fn reveal(&mut self, value: u64, revision: u64) {
        let slot = self.slot(value);
        self.revealed[slot] = true;
        self.revisions.entry(revision).or_insert(slot);
    }

    fn learn(&mut self, operation: &Operation) {
        if let Some((Some(value), revision)) = operation.change() {
            self.reveal(value, revision);
        }
        let held = match operation.done().map(|done| done.result) {
            Some(Reply::Read(held)) => held,
            Some(Reply::Conflict { current, .. }) => current,
            _ => None,
        };
        if let Some(Held { value, revision }) = held {
            self.reveal(value, revision);
        }
    }

    /// What an operation needs and does, from its answer if there is one.
    fn read(&mut self, operation: &Operation) -> (Need, Effect) {
        let put = |slot: Option<Slot>| slot.map_or(Effect::Clear, Effect::Put);
        let written = operation.writes().map(|value| self.slot(value));
        let Outcome::Done(done) = operation.outcome else {
            return match operation.kind {
                Kind::Put(_) => (Need::Any, put(written)),
                Kind::Cas { expect: Expect::Absent, new: None } | Kind::Get => (Need::Any, Effect::Keep),
                Kind::Cas { expect, .. } => (self.expectation(expect), put(written)),
                Kind::Delete => (Need::Present, Effect::Clear),
            };
        };
        match (operation.kind, done.result) {
            (_, Reply::Read(held)) => (self.exactly(held), Effect::Keep),
            (Kind::Cas { expect: Expect::Absent, new: None }, Reply::Swapped { .. }) => {
                (Need::Absent, Effect::Keep)
            }
            (Kind::Cas { expect, .. }, Reply::Swapped { .. }) => (self.expectation(expect), put(written)),
            (Kind::Cas { expect, .. }, Reply::Conflict { current, .. }) => {
                let contradicts = match expect {
                    Expect::Absent => current.is_none(),
                    Expect::Value(value) => current.is_some_and(|held| held.value == value),
                    Expect::Revision(revision) => current.is_some_and(|held| held.revision == revision),
                };
                (if contradicts { Need::Never } else { self.exactly(current) }, Effect::Keep)
            }
            (_, Reply::Deleted { existed: true, .. }) => (Need::Present, Effect::Clear),
            (_, Reply::Deleted { existed: false, .. }) => (Need::Absent, Effect::Keep),
            (_, Reply::Wrote { .. } | Reply::Swapped { .. } | Reply::Conflict { .. }) => {
                (Need::Any, put(written))
            }
        }
    }

    fn exactly(&mut self, held: Option<Held>) -> Need {
        held.map_or(Need::Absent, |held| Need::Value(self.slot(held.value)))
    }

    fn expectation(&mut self, expect: Expect) -> Need {
        match expect {
            Expect::Absent => Need::Absent,
            Expect::Value(value) => Need::Value(self.slot(value)),
            Expect::Revision(revision) => {
                self.revisions.get(&revision).map_or(Need::Unrevealed, |slot| Need::Value(*slot))
            }
        }
    }
}
