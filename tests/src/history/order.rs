//! Rules that hold over all keys together: of time, log indexes and revisions.

use super::facts::{Facts, Witness, held};
use super::report::{Rule, Violation};
use super::{Expect, History, Kind, Operation, Reply};

/// For each operation, the highest log index that an answer told before the operation was called, and whose answer.
pub(super) fn floors(history: &History) -> Vec<Option<(u64, usize)>> {
    let operations = history.operations();
    let mut answers: Vec<(u64, u64, usize)> = operations
        .iter()
        .enumerate()
        .filter_map(|(id, operation)| operation.done().map(|done| (done.returned, done.log_index, id)))
        .collect();
    answers.sort_unstable();
    let mut calls: Vec<(u64, usize)> =
        operations.iter().enumerate().map(|(id, operation)| (operation.invoked, id)).collect();
    calls.sort_unstable();
    let mut floors = vec![None; operations.len()];
    let (mut highest, mut next): (Option<(u64, usize)>, usize) = (None, 0);
    for (invoked, id) in calls {
        while let Some(&(returned, index, by)) = answers.get(next)
            && returned < invoked
        {
            if highest.is_none_or(|(before, _)| index > before) {
                highest = Some((index, by));
            }
            next += 1;
        }
        floors[id] = highest;
    }
    floors
}

/// Checks all of them.
pub(super) fn check(facts: &Facts<'_>, found: &mut Vec<Violation>) {
    for (id, operation) in facts.history.operations().iter().enumerate() {
        real_time(facts, id, operation, found);
        contradiction(facts, id, operation, found);
    }
    scan_is_last(facts, found);
    one_index(facts, found);
    revisions(facts, found);
}

fn real_time(facts: &Facts<'_>, id: usize, operation: &Operation, found: &mut Vec<Violation>) {
    let (Some(done), Some((floor, by))) = (operation.done(), facts.floors[id]) else { return };
    // A mutation called later has a later entry; a read may see just what had been told.
    let least = floor + u64::from(operation.is_mutation());
    if done.log_index < least {
        let why = format!(
            "#{id} is at log index {}, and was called after #{by} had been answered at {floor}",
            done.log_index
        );
        found.push(facts.violation(
            Rule::RealTime,
            why,
            &[Some(Witness::Answer(id)), Some(Witness::Answer(by))],
        ));
    }
}

/// A conflict that tells of a key that is as expected.
fn contradiction(facts: &Facts<'_>, id: usize, operation: &Operation, found: &mut Vec<Violation>) {
    let Kind::Cas { expect, .. } = operation.kind else { return };
    let Some(Reply::Conflict { current, .. }) = operation.done().map(|done| done.result) else { return };
    let holds = match expect {
        Expect::Absent => current.is_none(),
        Expect::Value(value) => current.is_some_and(|held| held.value == value),
        Expect::Revision(revision) => current.is_some_and(|held| held.revision == revision),
    };
    if holds {
        let why = format!("#{id} conflicts with the very state that it expects");
        found.push(facts.violation(Rule::WrongConflict, why, &[Some(Witness::Answer(id))]));
    }
}

fn scan_is_last(facts: &Facts<'_>, found: &mut Vec<Violation>) {
    let Some(scan) = facts.scan else { return };
    let answers = facts.history.operations().iter().enumerate();
    let last = answers.filter_map(|(id, operation)| operation.done().map(|done| (done.log_index, id))).max();
    if let Some((index, id)) = last.filter(|(index, _)| *index > scan.log_index) {
        let why =
            format!("the final scan is at log index {}, and #{id} was answered at {index}", scan.log_index);
        found.push(facts.violation(Rule::RealTime, why, &[Some(Witness::Answer(id))]));
    }
}

/// Acknowledged mutations by log index.
pub(super) fn mutations(history: &History) -> Vec<(u64, usize)> {
    let operations = history.operations().iter().enumerate().filter(|(_, operation)| operation.is_mutation());
    let mut mutations: Vec<(u64, usize)> =
        operations.filter_map(|(id, operation)| operation.done().map(|done| (done.log_index, id))).collect();
    mutations.sort_unstable();
    mutations
}

fn one_index(facts: &Facts<'_>, found: &mut Vec<Violation>) {
    for pair in mutations(facts.history).windows(2) {
        let ((index, first), (next, second)) = (pair[0], pair[1]);
        if index == next {
            let why = format!("log index {index} is that of #{first} and of #{second}");
            let by = [Some(Witness::Answer(first)), Some(Witness::Answer(second))];
            found.push(facts.violation(Rule::OneIndex, why, &by));
        }
    }
}

/// What an answer tells of the store's revision.
struct Told {
    log_index: u64,
    /// Mutations come before the reads that show them.
    is_read: bool,
    /// Whether the revision was spent by this very operation.
    spent: bool,
    revision: u64,
    id: usize,
}

fn told(id: usize, operation: &Operation) -> Option<Told> {
    let done = operation.done()?;
    let (is_read, revision) = match done.result {
        Reply::Read(_) => (true, held(operation)?.revision),
        Reply::Wrote { revision }
        | Reply::Swapped { revision }
        | Reply::Conflict { revision, .. }
        | Reply::Deleted { revision, .. } => (false, revision),
    };
    Some(Told { log_index: done.log_index, is_read, spent: operation.change().is_some(), revision, id })
}

/// Revisions never go back along the log, and each change spends a new one.
fn revisions(facts: &Facts<'_>, found: &mut Vec<Violation>) {
    let operations = facts.history.operations().iter().enumerate();
    let mut all: Vec<Told> = operations.filter_map(|(id, operation)| told(id, operation)).collect();
    all.sort_unstable_by_key(|told| (told.log_index, told.is_read, told.id));
    let mut highest: Option<(u64, u64, usize)> = None;
    for told in all {
        // A read tells when a key changed, which may be long ago: it bounds what follows, and is not bounded itself.
        if let Some((revision, log_index, by)) = highest
            && !told.is_read
            && log_index < told.log_index
            && told.revision < revision + u64::from(told.spent)
        {
            let why = format!(
                "#{} is at log index {} with revision {}, and #{by} before it, at {log_index}, tells of revision \
                 {revision}",
                told.id, told.log_index, told.revision
            );
            let by = [Some(Witness::Answer(told.id)), Some(Witness::Answer(by))];
            found.push(facts.violation(Rule::RevisionOrder, why, &by));
        }
        if highest.is_none_or(|(revision, ..)| told.revision > revision) {
            highest = Some((told.revision, told.log_index, told.id));
        }
    }
}
