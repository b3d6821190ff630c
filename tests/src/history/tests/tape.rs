//! Histories written by hand. All is on key 1 unless said otherwise; value `v` is written at revision `v`.

use crate::history::linearize::{self, Failure};
use crate::history::oracle::{self, Applied, Evidence, Scan};
use crate::history::{Done, Expect, Held, History, Kind, Operation, Outcome, Reply, Rule};

/// Operations of which each is called after the one before was answered, unless a time is given.
#[derive(Default)]
pub(super) struct Tape {
    pub(super) operations: Vec<Operation>,
    now: u64,
}

pub(super) fn held(value: u64) -> Option<Held> {
    Some(Held { value, revision: value })
}

impl Tape {
    /// Adds an operation by a client of its own; returns its number.
    pub(super) fn add(&mut self, kind: Kind, outcome: impl FnOnce(u64) -> Outcome) -> usize {
        let invoked = self.now + 1;
        self.now += 10;
        let client = self.operations.len() as u32 % 10;
        self.operations.push(Operation { client, key: 1, kind, invoked, outcome: outcome(self.now) });
        self.operations.len() - 1
    }

    pub(super) fn done(&mut self, kind: Kind, log_index: u64, result: Reply) -> usize {
        self.add(kind, |returned| Outcome::Done(Done { returned, log_index, result }))
    }

    pub(super) fn put(&mut self, value: u64, log_index: u64) -> usize {
        self.done(Kind::Put(value), log_index, Reply::Wrote { revision: value })
    }

    pub(super) fn get(&mut self, value: Option<u64>, log_index: u64) -> usize {
        self.done(Kind::Get, log_index, Reply::Read(value.and_then(held)))
    }

    pub(super) fn delete(&mut self, existed: bool, revision: u64, log_index: u64) -> usize {
        self.done(Kind::Delete, log_index, Reply::Deleted { existed, revision })
    }

    pub(super) fn swap(&mut self, expect: Expect, new: u64, log_index: u64) -> usize {
        self.done(Kind::Cas { expect, new: Some(new) }, log_index, Reply::Swapped { revision: new })
    }

    pub(super) fn conflict(&mut self, (expect, new): (Expect, u64), current: Option<u64>, at: u64) -> usize {
        let current = current.and_then(held);
        // The store's revision is that of the last change of all.
        let changes = self.operations.iter().filter_map(Operation::change);
        let revision = changes.map(|(_, revision)| revision).max().unwrap_or(0);
        self.done(Kind::Cas { expect, new: Some(new) }, at, Reply::Conflict { current, revision })
    }

    pub(super) fn unknown(&mut self, kind: Kind) -> usize {
        self.add(kind, |_| Outcome::Unknown)
    }

    pub(super) fn refused(&mut self, kind: Kind) -> usize {
        self.add(kind, |returned| Outcome::Refused { returned })
    }

    /// Lets the operation take place between these times.
    pub(super) fn during(&mut self, id: usize, from: u64, to: u64) -> &mut Tape {
        let operation = &mut self.operations[id];
        operation.invoked = from;
        if let Outcome::Done(done) = &mut operation.outcome {
            done.returned = to;
        }
        self
    }

    pub(super) fn history(&self) -> History {
        History::new(self.operations.clone()).unwrap()
    }

    /// The rules broken, without the log.
    pub(super) fn broken(&self) -> Vec<Rule> {
        broken(&self.history(), Evidence::default())
    }

    /// The rules broken, with a final scan of key 1 at `log_index`.
    pub(super) fn broken_scan(&self, value: Option<u64>, log_index: u64) -> Vec<Rule> {
        let entries = value.and_then(held).map(|held| (1, held)).into_iter().collect();
        let scan = Scan { log_index, entries };
        broken(&self.history(), Evidence { scan: Some(&scan), applied: None })
    }

    /// The rules broken, with a log of changes of key 1: log index, revision, what was left.
    pub(super) fn broken_log(&self, log: &[(u64, u64, Option<u64>)]) -> Vec<Rule> {
        let log: Vec<Applied> = log
            .iter()
            .map(|&(index, revision, left)| Applied { revision, log_index: Some(index), key: 1, left })
            .collect();
        broken(&self.history(), Evidence { scan: None, applied: Some(&log) })
    }

    pub(super) fn is_linearizable(&self) -> bool {
        match linearize::check(&self.history()) {
            Ok(_) => true,
            Err(Failure::NotLinearizable(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }
}

/// The rules broken, each once.
pub(super) fn broken(history: &History, evidence: Evidence<'_>) -> Vec<Rule> {
    let Err(violations) = oracle::check(history, evidence) else { return Vec::new() };
    let mut rules: Vec<Rule> = violations.0.iter().map(|violation| violation.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}
