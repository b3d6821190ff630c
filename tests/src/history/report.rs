//! What the checkers say, in words.

use std::fmt;

use super::{Done, Expect, Held, Kind, Operation, Outcome, Reply};

/// Violations that a list of them shows; the rest is counted.
const SHOWN_MAX: usize = 20;
/// Nanoseconds of a microsecond, the unit in which times are shown.
const MICROSECOND: u64 = 1_000;

/// An operation and its place in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its place in [`super::History::operations`].
    pub id: usize,
    /// The operation itself.
    pub operation: Operation,
}

/// What must hold of a history, and did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// What is read has been written by somebody, to that key.
    Phantom,
    /// What was refused has not been applied.
    RefusedApplied,
    /// An operation is applied at one place only.
    AppliedTwice,
    /// What was acknowledged has been applied where the answer says.
    AcknowledgedMissing,
    /// A log entry is one operation's, and every operation that was applied has one.
    OneIndex,
    /// Reads of one key at one log index agree.
    Disagree,
    /// Revisions and log indexes tell the same order, and each change has a revision of its own.
    RevisionOrder,
    /// What began after another had returned stands behind it in the log.
    RealTime,
    /// A read shows the latest write up to its log index.
    StaleRead,
    /// A read shows nothing that is written only after its log index.
    FutureRead,
    /// A value goes away only by being overwritten or deleted.
    LostValue,
    /// A swap succeeds only where its expectation holds.
    WrongSwap,
    /// A swap conflicts only where its expectation does not hold, and then tells what the key holds.
    WrongConflict,
    /// A delete knows whether the key was there.
    WrongDelete,
    /// The final scan shows what the history leads to.
    FinalScan,
    /// Every deletion is somebody's.
    PhantomDelete,
    /// The log of what was applied has one order.
    LogOrder,
    /// A client that goes on trying gets an answer.
    GaveUp,
}

/// One rule broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// By what, in words.
    pub why: String,
    /// The operations concerned; the one that showed it first.
    pub operations: Vec<Named>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.why)?;
        self.operations.iter().try_for_each(|named| write!(f, "\n    {named}"))
    }
}

/// All rules broken; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations(pub Vec<Violation>);

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "violations: {}", self.0.len())?;
        self.0.iter().take(SHOWN_MAX).try_for_each(|violation| write!(f, "\n- {violation}"))?;
        let more = self.0.len().saturating_sub(SHOWN_MAX);
        if more > 0 { write!(f, "\n- and {more} more") } else { Ok(()) }
    }
}

impl std::error::Error for Violations {}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Phantom => "phantom value",
            Rule::RefusedApplied => "applied though refused",
            Rule::AppliedTwice => "applied twice",
            Rule::AcknowledgedMissing => "acknowledged and missing",
            Rule::OneIndex => "one log index, one operation",
            Rule::Disagree => "reads at one log index disagree",
            Rule::RevisionOrder => "revisions out of order",
            Rule::RealTime => "log order against real time",
            Rule::StaleRead => "stale read",
            Rule::FutureRead => "read from the future",
            Rule::LostValue => "lost value",
            Rule::WrongSwap => "swap without its expectation",
            Rule::WrongConflict => "wrong conflict",
            Rule::WrongDelete => "wrong answer to a delete",
            Rule::FinalScan => "final scan",
            Rule::PhantomDelete => "deleted by nobody",
            Rule::LogOrder => "applied log out of order",
            Rule::GaveUp => "gave up",
        })
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = &self.operation;
        write!(f, "#{} client {}, key {}: {}", self.id, operation.client, operation.key, operation.kind)?;
        let invoked = Microseconds(operation.invoked);
        match operation.outcome {
            Outcome::Done(Done { returned, log_index, result }) => {
                write!(
                    f,
                    " -> {result} at log index {log_index} [{invoked} to {} us]",
                    Microseconds(returned)
                )
            }
            Outcome::Refused { returned } => {
                write!(f, " -> refused [{invoked} to {} us]", Microseconds(returned))
            }
            Outcome::Unknown => write!(f, " -> unknown [from {invoked} us]"),
            Outcome::GaveUp => write!(f, " -> gave up [from {invoked} us]"),
        }
    }
}

/// A time in ns, shown in microseconds.
struct Microseconds(u64);

impl fmt::Display for Microseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / MICROSECOND, self.0 % MICROSECOND)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Put(value) => write!(f, "put value {value}"),
            Kind::Get => f.write_str("get"),
            Kind::Cas { expect, new: Some(value) } => write!(f, "swap {expect} for value {value}"),
            Kind::Cas { expect, new: None } => write!(f, "swap {expect} for nothing"),
            Kind::Delete => f.write_str("delete"),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Absent => f.write_str("nothing"),
            Expect::Value(value) => write!(f, "value {value}"),
            Expect::Revision(revision) => write!(f, "revision {revision}"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Wrote { revision } => write!(f, "wrote revision {revision}"),
            Reply::Read(held) => write!(f, "read {}", Shown(*held)),
            Reply::Swapped { revision } => write!(f, "swapped, revision {revision}"),
            Reply::Conflict { current, .. } => write!(f, "conflict with {}", Shown(*current)),
            Reply::Deleted { existed: true, revision } => write!(f, "deleted, revision {revision}"),
            Reply::Deleted { existed: false, .. } => f.write_str("was not there"),
        }
    }
}

/// What a key holds, or nothing.
struct Shown(Option<Held>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Held { value, revision }) => write!(f, "value {value} of revision {revision}"),
            None => f.write_str("nothing"),
        }
    }
}

/// A state of a key, in words.
pub(super) fn state(value: Option<u64>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| format!("value {value}"))
}
