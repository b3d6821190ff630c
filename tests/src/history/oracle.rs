//! Whether a history agrees with the log indexes and revisions that its answers tell.
//!
//! Time is linear in the operations but for sorting. Without the log of what was applied, an operation of unknown
//! outcome counts as applied where an answer proves it, and then has a place between what was last seen without it
//! and what was first seen with it; where several could be meant, the history gets the benefit of the doubt.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::report::{Rule, Violation, Violations};
use super::{Held, History, Outcome, applied, order, walk};

/// What a test found at the end, after all operations were over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The last index applied to the state that was read.
    pub log_index: u64,
    /// All keys that exist.
    pub entries: BTreeMap<u32, Held>,
}

/// One change that was applied, as a watch from the beginning tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The store's revision of the change.
    pub revision: u64,
    /// Index of its log entry, where the test knows it. Elsewhere it follows from the answer with this revision, and
    /// of a change without an answer only that it lies between its neighbours.
    pub log_index: Option<u64>,
    /// The key.
    pub key: u32,
    /// What the change left in the key; `None` where it deleted it.
    pub left: Option<u64>,
}

/// What a test knows beside the history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// What all keys hold at the end.
    pub scan: Option<&'a Scan>,
    /// All changes of the history's keys, each once, from the first to the last, by revision. With it every
    /// operation of unknown outcome is decided.
    pub applied: Option<&'a [Applied]>,
}

/// What was checked, and found right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Operations that were answered.
    pub answered: usize,
    /// Operations that were refused.
    pub refused: usize,
    /// Mutations of unknown outcome.
    pub unknown: usize,
    /// Those of them that have been applied: all with the log, those proven by answers without.
    pub unknown_applied: usize,
}

/// Checks `history` against itself and `evidence`.
///
/// # Errors
/// All violations found. One mistake of the store can show in several.
pub fn check(history: &History, evidence: Evidence<'_>) -> Result<Checked, Violations> {
    let mut found = Vec::new();
    let facts = Facts::new(history, evidence.scan, &mut found);
    gave_up(history, &mut found);
    order::check(&facts, &mut found);
    let seen = facts.seen();
    let unknown_applied = match evidence.applied {
        Some(log) => applied::check(&facts, log, &seen, &mut found),
        None => walk::check(&facts, &seen, &mut found),
    };
    if !found.is_empty() {
        return Err(Violations(found));
    }
    let count = |matches: fn(&super::Operation) -> bool| {
        history.operations().iter().filter(|operation| matches(operation)).count()
    };
    Ok(Checked {
        answered: count(|operation| operation.done().is_some()),
        refused: count(|operation| matches!(operation.outcome, Outcome::Refused { .. })),
        unknown: count(super::Operation::is_open),
        unknown_applied,
    })
}

fn gave_up(history: &History, found: &mut Vec<Violation>) {
    let operations = history.operations().iter().enumerate();
    for (id, _) in operations.filter(|(_, operation)| operation.outcome == Outcome::GaveUp) {
        let why = "the client got no answer within all the tries that it had".to_owned();
        found.push(Violation { rule: Rule::GaveUp, why, operations: vec![history.named(id)] });
    }
}
