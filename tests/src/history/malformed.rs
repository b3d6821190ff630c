//! What no recorder can have recorded.

use std::collections::HashMap;
use std::fmt;

use super::report::Named;
use super::{Done, Kind, Operation, Reply};

/// Why a list of operations is no history: a mistake of the recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The operations concerned.
    pub operations: Vec<Named>,
    /// What is wrong with them.
    pub why: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no history: {}", self.why)?;
        self.operations.iter().try_for_each(|named| write!(f, "\n    {named}"))
    }
}

impl std::error::Error for Malformed {}

pub(super) fn check(operations: &[Operation]) -> Result<(), Malformed> {
    let fail = |ids: &[usize], why| {
        let operations = ids.iter().map(|&id| Named { id, operation: operations[id] }).collect();
        Err(Malformed { operations, why })
    };
    let mut writers = HashMap::new();
    for (id, operation) in operations.iter().enumerate() {
        if operation.returned().is_some_and(|returned| returned < operation.invoked) {
            return fail(&[id], "it was answered before it was called");
        }
        if let Some(done) = operation.done() {
            if !fits(operation.kind, done) {
                return fail(&[id], "the answer is one to another kind of operation");
            }
            if operation.is_mutation() && done.log_index == 0 {
                return fail(&[id], "log index 0 is never a mutation's");
            }
        }
        if let Some(value) = operation.writes()
            && let Some(other) = writers.insert(value, id)
        {
            return fail(&[other, id], "both write the same value");
        }
    }
    let mut order: Vec<usize> = (0..operations.len()).collect();
    order.sort_by_key(|&id| {
        let operation = &operations[id];
        (operation.client, operation.invoked, operation.returned())
    });
    for pair in order.windows(2) {
        let (before, after) = (&operations[pair[0]], &operations[pair[1]]);
        if before.client == after.client && before.returned().is_some_and(|returned| returned > after.invoked)
        {
            return fail(pair, "the client had not yet its answer when it called again");
        }
    }
    Ok(())
}

fn fits(kind: Kind, done: &Done) -> bool {
    matches!(
        (kind, &done.result),
        (Kind::Put(_), Reply::Wrote { .. })
            | (Kind::Get, Reply::Read(_))
            | (Kind::Cas { .. }, Reply::Swapped { .. } | Reply::Conflict { .. })
            | (Kind::Delete, Reply::Deleted { .. })
    )
}
