//! Small histories with false answers, decided by trying everything, and the checkers' verdicts on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::store::{Fault, plans, run};
use crate::history::linearize::{self, Failure};
use crate::history::oracle::{self, Applied, Evidence};
use crate::history::search::{Found, Problem};
use crate::history::{Expect, Held, History, Kind, Operation, Outcome, Reply, Rule, Violation};

/// A change of one answer, picked by numbers that mean something else in every history.
#[derive(Clone, Debug)]
struct Lie {
    id: prop::sample::Index,
    held: prop::sample::Index,
    log_index: Option<u64>,
}

fn lie() -> impl Strategy<Value = Lie> {
    let picks = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (picks, prop::option::weighted(0.2, 1u64..8)).prop_map(|((id, held), log_index)| Lie {
        id,
        held,
        log_index,
    })
}

/// Tells a lie about one operation, if it was answered.
fn tell(operations: &mut [Operation], lie: &Lie) {
    let mut all: Vec<Option<Held>> = vec![None];
    for operation in operations.iter() {
        if let Some(value) = operation.writes() {
            let revision = operation.change().map_or(value, |(_, revision)| revision);
            all.push(Some(Held { value, revision }));
        }
    }
    let (held, id) = (all[lie.held.index(all.len())], lie.id.index(operations.len()));
    let Operation { outcome: Outcome::Done(done), .. } = &mut operations[id] else { return };
    if let Some(index) = lie.log_index {
        done.log_index = index;
        return;
    }
    done.result = match done.result {
        Reply::Read(_) => Reply::Read(held),
        Reply::Conflict { revision, .. } if held.is_some() => Reply::Swapped { revision },
        Reply::Conflict { revision, .. } => Reply::Conflict { current: None, revision },
        Reply::Swapped { revision } => Reply::Conflict { current: held, revision },
        Reply::Deleted { existed, revision } => Reply::Deleted { existed: !existed, revision },
        Reply::Wrote { revision } => Reply::Wrote { revision },
    };
}

/// The value and its revision that an answer tells.
fn told(operation: &Operation) -> Option<Held> {
    match operation.done()?.result {
        Reply::Read(held) | Reply::Conflict { current: held, .. } => held,
        _ => operation.change().and_then(|(left, revision)| left.map(|value| Held { value, revision })),
    }
}

/// Whether no answers give one revision to two values, or two to one.
fn revisions_name_values(history: &History) -> bool {
    let (mut values, mut revisions) = (HashMap::new(), HashMap::new());
    history.operations().iter().filter_map(told).all(|held| {
        *values.entry(held.revision).or_insert(held.value) == held.value
            && *revisions.entry(held.value).or_insert(held.revision) == held.revision
    })
}

/// What all possibilities are tried for: a history, and the log if it is to agree with one.
struct Trial<'a> {
    history: &'a History,
    log: Option<&'a [Applied]>,
}

impl Trial<'_> {
    fn operation(&self, id: usize) -> &Operation {
        &self.history.operations()[id]
    }

    fn numbers(&self) -> std::ops::Range<usize> {
        0..self.history.operations().len()
    }

    /// The revision that the log or answers give to a value.
    fn revision_of(&self, value: u64) -> Option<u64> {
        let logged = self.log.unwrap_or_default().iter().find(|change| change.left == Some(value));
        let told = |operation: &Operation| told(operation).filter(|held| held.value == value);
        let told = self.history.operations().iter().find_map(told).map(|held| held.revision);
        logged.map(|change| change.revision).or(told)
    }

    fn holds(&self, expect: Expect, held: Option<u64>) -> bool {
        match expect {
            Expect::Absent => held.is_none(),
            Expect::Value(value) => held == Some(value),
            Expect::Revision(revision) => {
                let values = self.history.operations().iter().filter_map(Operation::writes);
                let told = self.log.is_some()
                    || values.into_iter().any(|value| self.revision_of(value) == Some(revision));
                held.is_some_and(|value| match self.revision_of(value) {
                    Some(known) => known == revision,
                    None => !told,
                })
            }
        }
    }

    /// What the key holds after the operation, if its answer fits; any result fits where there is no answer.
    fn next(&self, operation: &Operation, held: Option<u64>) -> Option<Option<u64>> {
        let value = |held: Option<Held>| held.map(|held| held.value);
        let swap = |expect| self.holds(expect, held);
        let result = operation.done().map(|done| done.result);
        let (fits, left) = match (operation.kind, result) {
            (Kind::Get, Some(Reply::Read(read))) => (value(read) == held, held),
            (Kind::Put(value), _) => (true, Some(value)),
            (Kind::Delete, Some(Reply::Deleted { existed, .. })) => (existed == held.is_some(), None),
            (Kind::Delete, _) => (true, None),
            (Kind::Cas { expect, .. }, Some(Reply::Conflict { current, .. })) => {
                let contradicts = match expect {
                    Expect::Revision(revision) => current.is_some_and(|held| held.revision == revision),
                    expect => swap(expect),
                };
                (value(current) == held && !contradicts, held)
            }
            (Kind::Cas { expect, new }, Some(_)) => (swap(expect), new),
            (Kind::Cas { expect, new }, None) => (true, if swap(expect) { new } else { held }),
            (Kind::Get, _) => (true, held),
        };
        fits.then_some(left)
    }

    /// Whether some order explains what is left of one key.
    fn any_order(&self, left: &[usize], held: Option<u64>) -> bool {
        if left.iter().all(|&id| self.operation(id).is_open()) {
            return true;
        }
        left.iter().enumerate().any(|(place, &id)| {
            let invoked = self.operation(id).invoked;
            let first =
                |&other: &usize| self.operation(other).done().is_none_or(|done| done.returned >= invoked);
            let mut rest = left.to_vec();
            rest.remove(place);
            let after = self.next(self.operation(id), held);
            rest.iter().all(first) && after.is_some_and(|held| self.any_order(&rest, held))
        })
    }

    fn is_linearizable(&self) -> bool {
        let keys: BTreeSet<u32> = self.history.operations().iter().map(|operation| operation.key).collect();
        keys.into_iter().all(|key| {
            let counts = |&id: &usize| {
                let operation = self.operation(id);
                operation.key == key && (operation.done().is_some() || operation.is_open())
            };
            self.any_order(&self.numbers().filter(counts).collect::<Vec<usize>>(), None)
        })
    }

    /// Whether some choice of log indexes for operations of unknown outcome explains all answers, and leads to the
    /// log. Of revisions, only those that swaps expect are looked at.
    fn indexes_explain(&self) -> bool {
        let index = |id: usize| self.operation(id).done().map(|done| (done.log_index, id));
        let mut placed: Vec<(u64, usize)> = self.numbers().filter_map(index).collect();
        let answered = placed.iter().map(|(index, _)| *index).max().unwrap_or(0);
        let logged = self.log.and_then(|log| log.last()).and_then(|change| change.log_index).unwrap_or(0);
        let open: Vec<usize> = self.numbers().filter(|&id| self.operation(id).is_open()).collect();
        self.any_places(&open, &mut placed, answered.max(logged))
    }

    fn any_places(&self, open: &[usize], placed: &mut Vec<(u64, usize)>, last: u64) -> bool {
        let Some((&id, rest)) = open.split_first() else { return self.replays(placed) };
        if self.any_places(rest, placed, last) {
            return true;
        }
        (1..=last).any(|index| {
            placed.push((index, id));
            let explains = self.any_places(rest, placed, last);
            placed.pop();
            explains
        })
    }

    /// Whether all answers are right when the operations are applied in the order of their log indexes, no
    /// operation called after an answer stands before it, and no two share an entry.
    fn replays(&self, placed: &[(u64, usize)]) -> bool {
        let mut order = placed.to_vec();
        order.sort_unstable_by_key(|&(index, id)| (index, !self.operation(id).is_mutation(), id));
        let mut keys = HashMap::new();
        let mut changes = Vec::new();
        for (place, &(index, id)) in order.iter().enumerate() {
            let operation = self.operation(id);
            let held = keys.get(&operation.key).copied().flatten();
            let Some(left) = self.next(operation, held) else { return false };
            if left != held {
                changes.push((Some(index), operation.key, left));
            }
            keys.insert(operation.key, left);
            let wrong = order[place + 1..].iter().any(|&(other, by)| {
                let by = self.operation(by);
                let shared = other == index && operation.is_mutation() && by.is_mutation();
                let told = by.returned().is_some_and(|returned| returned < operation.invoked);
                shared || (told && (other > index || operation.is_mutation()))
            });
            if wrong {
                return false;
            }
        }
        let logged = |log: &[Applied]| {
            log.iter().map(|change| (change.log_index, change.key, change.left)).eq(changes.iter().copied())
        };
        self.log.is_none_or(logged)
    }
}

/// What the search finds without the look at zones before it, which leaves it little to refuse.
fn search_finds(history: &History) -> bool {
    let mut keys: BTreeMap<u32, Vec<(usize, &Operation)>> = BTreeMap::new();
    for (id, operation) in history.operations().iter().enumerate() {
        keys.entry(operation.key).or_default().push((id, operation));
    }
    keys.values().all(|operations| match Problem::new(operations).solve(linearize::STEPS_MAX) {
        (Found::Order { .. }, _) => true,
        (Found::Nothing(_), _) => false,
        (Found::OutOfSteps, steps) => panic!("not decided after {steps} steps"),
    })
}

/// Whether the oracle refuses for more than a revision, which trying does not look at.
fn refuses(history: &History, log: Option<&[Applied]>) -> Result<bool, TestCaseError> {
    let Err(violations) = oracle::check(history, Evidence { scan: None, applied: log }) else {
        return Ok(false);
    };
    let revision = |found: &Violation| [Rule::AppliedTwice, Rule::RevisionOrder].contains(&found.rule);
    prop_assume!(!violations.0.iter().any(revision));
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The search finds an order exactly where there is one.
    #[test]
    fn the_search_decides_as_trying_all_orders_does(
        plans in (1u32..5, 1u32..3).prop_flat_map(|size| plans(size, 30, 1..7)),
        lies in prop::collection::vec(lie(), 0..3),
    ) {
        let mut operations = run(&plans, Fault::Nothing).operations;
        lies.iter().for_each(|lie| tell(&mut operations, lie));
        let history = History::new(operations).unwrap();
        prop_assume!(revisions_name_values(&history));
        let found = match linearize::check(&history) {
            Ok(_) => true,
            Err(Failure::NotLinearizable(_)) => false,
            Err(other) => panic!("{other}"),
        };
        let expected = Trial { history: &history, log: None }.is_linearizable();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(search_finds(&history), expected);
    }

    /// The oracle refuses nothing that log indexes can explain.
    #[test]
    fn the_oracle_refuses_only_what_no_log_explains(
        plans in (1u32..5, 1u32..3).prop_flat_map(|size| plans(size, 40, 1..6)),
        lies in prop::collection::vec(lie(), 1..3),
    ) {
        let mut operations = run(&plans, Fault::Nothing).operations;
        lies.iter().for_each(|lie| tell(&mut operations, lie));
        let history = History::new(operations).unwrap();
        let refuses = refuses(&history, None)?;
        let trial = Trial { history: &history, log: None };
        prop_assert!(!refuses || !trial.indexes_explain());
    }

    /// With the log, the oracle accepts exactly what leads to it.
    #[test]
    fn with_the_log_the_oracle_decides_as_trying_all_places_does(
        plans in (1u32..5, 1u32..3).prop_flat_map(|size| plans(size, 40, 1..6)),
        lies in prop::collection::vec(lie(), 0..3),
    ) {
        let run = run(&plans, Fault::Nothing);
        let mut operations = run.operations;
        lies.iter().for_each(|lie| tell(&mut operations, lie));
        let history = History::new(operations).unwrap();
        let refuses = refuses(&history, Some(&run.log))?;
        prop_assert_eq!(refuses, !Trial { history: &history, log: Some(&run.log) }.indexes_explain());
    }
}
