//! Recorded histories of the KV, and two checkers of them that share no idea, so that a mistake in one is not a
//! mistake in the other. Both are pure: no clock, no task, no I/O.
//!
//! - [`oracle`] trusts the log index and the revision in every reply, and takes time linear in the operations but
//!   for sorting, over all keys together. It names the rule that was broken. With the log of what was applied it
//!   decides every operation of unknown outcome, and is exact.
//! - [`linearize`] looks at times and results only, one key at a time, and searches for an order that explains them.
//!   It finds what a store would hide that lies about its indexes.
//!
//! A history starts with every key absent, and no two writes in it write the same value.

mod applied;
mod facts;
pub mod linearize;
mod malformed;
pub mod oracle;
mod order;
mod report;
mod search;
mod spans;
#[cfg(test)]
mod tests;
mod walk;

pub use malformed::Malformed;
pub use report::{Named, Rule, Violation, Violations};

/// One operation, from its call to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who called. A client waits for an answer, or gives up, before it calls again.
    pub client: u32,
    /// The key.
    pub key: u32,
    /// What was called for.
    pub kind: Kind,
    /// When it was called: ns of one monotonic clock for all clients.
    pub invoked: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What an operation does. Values are numbers that stand for the bytes written; none is written twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stores a value.
    Put(u64),
    /// Reads linearizably.
    Get,
    /// Stores `new`, or deletes the key where it is `None`, if the key is as expected.
    Cas {
        /// What the key must be.
        expect: Expect,
        /// The value to store.
        new: Option<u64>,
    },
    /// Deletes the key.
    Delete,
}

/// What a compare-and-swap requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expect {
    /// The key does not exist.
    Absent,
    /// The key holds this value.
    Value(u64),
    /// The key was last changed at this revision.
    Revision(u64),
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Done(Done),
    /// It was refused, and has surely not been applied.
    Refused {
        /// When the refusal came, in ns.
        returned: u64,
    },
    /// A timeout or a broken connection: applied at any time after the call, or never.
    Unknown,
    /// The client tried as long as it may and got no answer. As open as `Unknown`, and a failure to make progress.
    GaveUp,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// When it came, in ns.
    pub returned: u64,
    /// Of a mutation, the index of its log entry (at least 1); of a read, the last index applied to what it read.
    pub log_index: u64,
    /// What it said.
    pub result: Reply,
}

/// What an answer says. `revision` is the store's right after the mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To a put.
    Wrote {
        /// The store's revision.
        revision: u64,
    },
    /// To a get: what the key holds.
    Read(Option<Held>),
    /// To a compare-and-swap whose expectation held.
    Swapped {
        /// The store's revision.
        revision: u64,
    },
    /// To a compare-and-swap whose expectation did not hold.
    Conflict {
        /// What the key holds instead.
        current: Option<Held>,
        /// The store's revision.
        revision: u64,
    },
    /// To a delete.
    Deleted {
        /// Whether the key was there.
        existed: bool,
        /// The store's revision.
        revision: u64,
    },
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The value.
    pub value: u64,
    /// The store's revision at the last change of the key.
    pub revision: u64,
}

impl Operation {
    /// The answer, if there was one.
    pub fn done(&self) -> Option<&Done> {
        if let Outcome::Done(done) = &self.outcome { Some(done) } else { None }
    }

    /// When the answer or the refusal came, in ns; `None` where none came.
    pub fn returned(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Done(Done { returned, .. }) | Outcome::Refused { returned } => Some(returned),
            Outcome::Unknown | Outcome::GaveUp => None,
        }
    }

    /// Whether it can change a key at all.
    pub fn is_mutation(&self) -> bool {
        self.kind != Kind::Get
    }

    /// Whether it is a mutation of which nobody knows whether it was applied.
    pub fn is_open(&self) -> bool {
        self.is_mutation() && matches!(self.outcome, Outcome::Unknown | Outcome::GaveUp)
    }

    /// The value that the key holds once the operation has been carried out.
    pub fn writes(&self) -> Option<u64> {
        match self.kind {
            Kind::Put(value) => Some(value),
            Kind::Cas { new, .. } => new,
            Kind::Get | Kind::Delete => None,
        }
    }

    /// What an acknowledged operation left in the key (`Some(None)`: nothing), and the revision of that change;
    /// `None` where it is not acknowledged or changed nothing.
    pub fn change(&self) -> Option<(Option<u64>, u64)> {
        match self.done()?.result {
            // To delete what is known to be absent is no change.
            Reply::Swapped { .. } if self.kind == (Kind::Cas { expect: Expect::Absent, new: None }) => None,
            Reply::Wrote { revision } | Reply::Swapped { revision } => Some((self.writes(), revision)),
            Reply::Deleted { existed: true, revision } => Some((None, revision)),
            Reply::Deleted { existed: false, .. } | Reply::Read(_) | Reply::Conflict { .. } => None,
        }
    }
}

/// Operations that can have been recorded: see [`History::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History(Vec<Operation>);

impl History {
    /// Takes operations in any order; their places are their numbers in what the checkers say.
    ///
    /// # Errors
    /// [`Malformed`] where the recorder, not the store, must be wrong: an answer before its call or of another kind,
    /// a client that called twice at a time, a value that two operations write, a mutation at log index 0.
    pub fn new(operations: Vec<Operation>) -> Result<History, Malformed> {
        malformed::check(&operations)?;
        Ok(History(operations))
    }

    /// The operations, as they were handed in.
    pub fn operations(&self) -> &[Operation] {
        &self.0
    }

    /// An operation with its number, which must be less than the number of operations.
    pub fn named(&self, id: usize) -> Named {
        Named { id, operation: self.0[id] }
    }
}
