//! Histories of the simulated store: right ones are accepted, wrong ones refused.

use proptest::prelude::*;

use super::store::{Fault, Plan, Run, plans, run};
use crate::history::linearize;
use crate::history::oracle::{self, Applied, Evidence};
use crate::history::{Held, History, Kind, Operation, Outcome, Reply};

/// The log without its log indexes, as a watch tells it.
fn watched(run: &Run) -> Vec<Applied> {
    run.log.iter().map(|change| Applied { log_index: None, ..*change }).collect()
}

fn accepts(history: &History, evidence: Evidence<'_>) -> Result<(), TestCaseError> {
    oracle::check(history, evidence)
        .map(drop)
        .map_err(|violations| TestCaseError::fail(violations.to_string()))
}

/// What both checkers say of the history alone, and the oracle with the log.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    by_search: bool,
    by_oracle: bool,
    by_oracle_with_scan: bool,
    by_oracle_with_log: bool,
}

fn refused(run: &Run) -> Refused {
    let history = run.history();
    let oracle = |evidence| oracle::check(&history, evidence).is_err();
    Refused {
        by_search: matches!(linearize::check(&history), Err(linearize::Failure::NotLinearizable(_))),
        by_oracle: oracle(Evidence::default()),
        by_oracle_with_scan: oracle(Evidence { scan: Some(&run.scan), applied: None }),
        by_oracle_with_log: oracle(Evidence { scan: None, applied: Some(&run.log) }),
    }
}

/// A get, and what it would show if it missed the latest put that was answered before its call.
#[derive(Clone)]
struct Stale {
    get: usize,
    put: usize,
    held: Option<Held>,
}

fn stale_reads(run: &Run) -> Vec<Stale> {
    let mut stale = Vec::new();
    for (get, operation) in run.operations.iter().enumerate() {
        if operation.kind != Kind::Get || operation.done().is_none() {
            continue;
        }
        let missed = puts(run).into_iter().filter_map(|id| {
            let put = &run.operations[id];
            let done = put.done().filter(|done| done.returned < operation.invoked)?;
            (put.key == operation.key).then_some((done.log_index, id))
        });
        let Some((latest, put)) = missed.max() else { continue };
        let mut before = run.log.iter().filter(|change| {
            change.key == operation.key && change.log_index.is_some_and(|index| index < latest)
        });
        let held = before
            .next_back()
            .and_then(|change| change.left.map(|value| Held { value, revision: change.revision }));
        stale.push(Stale { get, put, held });
    }
    stale
}

/// Answered puts, by number.
fn puts(run: &Run) -> Vec<usize> {
    let puts = run.operations.iter().enumerate();
    puts.filter(|(_, put)| matches!(put.kind, Kind::Put(_)) && put.done().is_some())
        .map(|(id, _)| id)
        .collect()
}

/// Answered puts that no other mutation of their key overlaps, and after which nothing changes the key before the end.
fn last_puts(run: &Run) -> Vec<usize> {
    let last = |key: u32| {
        let mut changes = run.log.iter().rev();
        let change = changes.find(|change| {
            change.key == key && change.log_index.is_some_and(|index| index <= run.scan.log_index)
        });
        change.and_then(|change| change.left)
    };
    let mut puts = puts(run);
    puts.retain(|&id| last(run.operations[id].key) == run.operations[id].writes() && is_alone(run, id));
    puts
}

/// Whether no other mutation of its key overlaps the operation.
fn is_alone(run: &Run, id: usize) -> bool {
    let operation = &run.operations[id];
    let precedes = |one: &Operation, two: &Operation| one.returned().is_some_and(|at| at < two.invoked);
    run.operations.iter().enumerate().all(|(other, beside)| {
        let apart = precedes(beside, operation) || precedes(operation, beside);
        other == id || beside.key != operation.key || !beside.is_mutation() || apart
    })
}

/// Answered puts followed, after their answer, by the last put of their key.
fn overwritten(run: &Run) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for after in last_puts(run) {
        let second = &run.operations[after];
        let before = |&id: &usize| {
            let first = &run.operations[id];
            first.key == second.key && first.returned().is_some_and(|returned| returned < second.invoked)
        };
        pairs.extend(puts(run).into_iter().filter(before).map(|first| (first, after)));
    }
    pairs
}

/// One of `items`, or the case is left out.
fn pick<T: Clone>(items: &[T], at: prop::sample::Index) -> Result<T, TestCaseError> {
    if items.is_empty() {
        return Err(TestCaseError::reject("nothing to change"));
    }
    Ok(items[at.index(items.len())].clone())
}

/// Plans with operations of unknown outcome, and without.
fn some_unknown() -> impl Strategy<Value = Vec<Plan>> {
    (1u32..9, 1u32..4, 0u32..30)
        .prop_flat_map(|(clients, keys, unheard)| plans((clients, keys), unheard, 1..150))
}

fn all_known() -> impl Strategy<Value = Vec<Plan>> {
    (1u32..9, 1u32..4).prop_flat_map(|(clients, keys)| plans((clients, keys), 0, 10..100))
}

proptest! {
    #![proptest_config(ProptestConfig {
        max_global_rejects: 100_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_right_store_is_accepted(plans in some_unknown()) {
        let run = run(&plans, Fault::Nothing);
        let history = run.history();
        let watched = watched(&run);
        accepts(&history, Evidence::default())?;
        accepts(&history, Evidence { scan: Some(&run.scan), applied: None })?;
        accepts(&history, Evidence { scan: Some(&run.scan), applied: Some(&run.log) })?;
        accepts(&history, Evidence { scan: Some(&run.scan), applied: Some(&watched) })?;
        if let Err(failure) = linearize::check(&history) {
            return Err(TestCaseError::fail(failure.to_string()));
        }
    }

    #[test]
    fn with_the_log_every_unknown_outcome_is_decided(plans in some_unknown()) {
        let run = run(&plans, Fault::Nothing);
        let evidence = Evidence { scan: None, applied: Some(&run.log) };
        let checked = oracle::check(&run.history(), evidence).unwrap();
        let answered = run.operations.iter().filter(|operation| operation.change().is_some()).count();
        prop_assert_eq!(checked.unknown_applied, run.log.len() - answered);
    }

    /// With the log the oracle refuses it in any case; without, both checkers where the value shown can only have
    /// been written before: its write was answered, and for the search also before the put missed was called.
    #[test]
    fn a_stale_read_is_refused(plans in some_unknown(), at in any::<prop::sample::Index>()) {
        let mut run = run(&plans, Fault::Nothing);
        let Stale { get, put, held } = pick(&stale_reads(&run), at)?;
        let Outcome::Done(done) = &mut run.operations[get].outcome else { unreachable!("it was answered") };
        prop_assume!(done.result != Reply::Read(held));
        done.result = Reply::Read(held);
        let writer = held.and_then(|held| {
            run.operations.iter().find(|operation| operation.writes() == Some(held.value))
        });
        let answered = writer.and_then(Operation::returned);
        let before = answered.is_some_and(|returned| returned < run.operations[put].invoked);
        let refused = refused(&run);
        prop_assert!(refused.by_oracle_with_log);
        prop_assert!(refused.by_oracle || answered.is_none());
        prop_assert!(refused.by_search || !before);
    }

    /// Everybody refuses it, because each key is read at the end.
    #[test]
    fn a_lost_write_is_refused(plans in all_known(), at in any::<prop::sample::Index>()) {
        let id = pick(&last_puts(&run(&plans, Fault::Nothing)), at)?;
        let refused = refused(&run(&plans, Fault::Loses(id)));
        let all = Refused { by_search: true, by_oracle: true, by_oracle_with_scan: true, by_oracle_with_log: true };
        prop_assert_eq!(refused, all);
    }

    /// The log shows any lost write, also one that nobody looked at.
    #[test]
    fn any_lost_write_is_refused_with_the_log(plans in some_unknown(), at in any::<prop::sample::Index>()) {
        let id = pick(&puts(&run(&plans, Fault::Nothing)), at)?;
        prop_assert!(refused(&run(&plans, Fault::Loses(id))).by_oracle_with_log);
    }

    /// Everybody refuses it, because each key is read at the end.
    #[test]
    fn a_write_applied_twice_is_refused(plans in all_known(), at in any::<prop::sample::Index>()) {
        let (first, after) = pick(&overwritten(&run(&plans, Fault::Nothing)), at)?;
        let refused = refused(&run(&plans, Fault::Repeats(first, after)));
        let all = Refused { by_search: true, by_oracle: true, by_oracle_with_scan: true, by_oracle_with_log: true };
        prop_assert_eq!(refused, all);
    }

    /// The log shows any second application, also one that nobody looked at.
    #[test]
    fn any_second_application_is_refused_with_the_log(
        plans in some_unknown(),
        first in any::<prop::sample::Index>(),
        after in any::<prop::sample::Index>(),
    ) {
        let right = run(&plans, Fault::Nothing);
        let first = pick(&puts(&right), first)?;
        let after = first + after.index(right.operations.len() - first);
        let run = run(&plans, Fault::Repeats(first, after));
        prop_assume!(run.log.iter().filter(|change| change.left == right.operations[first].writes()).count() == 2);
        prop_assert!(refused(&run).by_oracle_with_log);
    }
}
