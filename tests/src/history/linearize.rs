//! Whether an order exists that explains a history: each operation at one moment between its call and its answer,
//! and every answer as a store with one copy of the data would have given it.
//!
//! The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with Lowe's memory of
//! configurations seen ("Testing for linearizability", 2017), and goes key by key, which decides the whole, because
//! linearizability is local (Horn and Kroening, "Faster linearizability checking via P-compositionality", 2015).
//! Before it searches, it looks for two values that a key would have to hold at the same time, as Gibbons and Korach
//! do ("Testing Shared Memories", 1997): most mistakes show there at once, and with the operations to blame.
//!
//! It uses no log index. Revisions count only in what a swap expects: they name the value that it must find. Where
//! answers contradict each other about that, which the oracle reports, a revision names the first value that is told
//! with it.

use std::collections::BTreeMap;
use std::fmt;

use super::report::{self, Named};
use super::search::{Found, Problem};
use super::{History, Operation};

/// Most clients that may have used a key.
pub const CLIENTS_MAX: usize = 10;
/// Most operations on a key.
pub const OPERATIONS_MAX: usize = 2_000;
/// Most steps that the search of one key may take; each remembers one configuration of some hundred bytes.
pub const STEPS_MAX: u64 = 1_000_000;
/// Most operations that a failure names of one sort.
const NAMED_MAX: usize = 5;

/// What was checked, and found linearizable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Keys.
    pub keys: usize,
    /// Operations that were answered, all of which have their place in the order.
    pub answered: usize,
    /// Operations of unknown outcome that the order needs.
    pub assumed: usize,
    /// Steps of the search, over all keys.
    pub steps: u64,
}

/// Why a history was not found linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is not: no order explains it.
    NotLinearizable(Box<Why>),
    /// More clients on one key than [`CLIENTS_MAX`]: not checked.
    TooManyClients {
        /// The key.
        key: u32,
        /// Its clients.
        clients: usize,
    },
    /// More operations on one key than [`OPERATIONS_MAX`]: not checked.
    TooManyOperations {
        /// The key.
        key: u32,
        /// Operations on it.
        operations: usize,
    },
    /// The search took all the steps that it may, and decided nothing.
    StepsExceeded {
        /// The key.
        key: u32,
        /// The bound.
        steps: u64,
    },
}

/// Why no order explains a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A key would have to hold two things at a time.
    Clash(Clash),
    /// Every order ends too early.
    Stuck(Stuck),
}

/// A value that one key must hold for a time, and what cannot be meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The key.
    pub key: u32,
    /// The value, which the key holds from the answer to the first of `held` to the call of the second.
    pub value: u64,
    /// Two operations that write the value, find it or show it.
    pub held: [Named; 2],
    /// One or two operations that lie between, and need the key to be otherwise.
    pub against: Vec<Named>,
}

/// Where the longest order ends that the search found for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The key.
    pub key: u32,
    /// Operations on it that were answered.
    pub answered: usize,
    /// How many of them the order explains.
    pub explained: usize,
    /// What the key holds after them.
    pub holds: Option<u64>,
    /// The last five of the order, the very last one last; operations of unknown outcome stand where they must be assumed.
    pub last: Vec<Named>,
    /// Those one of which must come next, and none can.
    pub next: Vec<Named>,
    /// The first five of those that must still find what the key holds, so that nothing may overwrite it.
    pub waiting: Vec<Named>,
}

/// Checks every key of `history`.
///
/// # Errors
/// [`Failure`], for the first key with one.
pub fn check(history: &History) -> Result<Checked, Failure> {
    check_within(history, STEPS_MAX)
}

/// As [`check`], with at most `steps_max` steps a key.
///
/// # Errors
/// As [`check`].
pub fn check_within(history: &History, steps_max: u64) -> Result<Checked, Failure> {
    let mut keys: BTreeMap<u32, Vec<(usize, &Operation)>> = BTreeMap::new();
    for (id, operation) in history.operations().iter().enumerate() {
        keys.entry(operation.key).or_default().push((id, operation));
    }
    let mut checked = Checked::default();
    for (key, operations) in keys {
        check_size(key, &operations)?;
        let problem = Problem::new(&operations);
        let named = |ids: &[usize]| ids.iter().map(|&id| history.named(id)).collect();
        if let Some(clash) = problem.clash() {
            let held = clash.held.map(|id| history.named(id));
            let clash = Clash { key, value: clash.value, held, against: named(&clash.against) };
            return Err(Failure::NotLinearizable(Box::new(Why::Clash(clash))));
        }
        let (found, steps) = problem.solve(steps_max);
        checked.keys += 1;
        checked.answered += problem.answered();
        checked.steps += steps;
        match found {
            Found::Order { assumed } => checked.assumed += assumed,
            Found::Nothing(end) => {
                return Err(Failure::NotLinearizable(Box::new(Why::Stuck(Stuck {
                    key,
                    answered: problem.answered(),
                    explained: end.explained,
                    holds: end.holds,
                    last: named(&end.order[end.order.len().saturating_sub(NAMED_MAX)..]),
                    next: named(&end.next),
                    waiting: named(&end.waiting[..end.waiting.len().min(NAMED_MAX)]),
                }))));
            }
            Found::OutOfSteps => return Err(Failure::StepsExceeded { key, steps: steps_max }),
        }
    }
    Ok(checked)
}

fn check_size(key: u32, operations: &[(usize, &Operation)]) -> Result<(), Failure> {
    if operations.len() > OPERATIONS_MAX {
        return Err(Failure::TooManyOperations { key, operations: operations.len() });
    }
    let mut clients: Vec<u32> = operations.iter().map(|(_, operation)| operation.client).collect();
    clients.sort_unstable();
    clients.dedup();
    if clients.len() > CLIENTS_MAX {
        return Err(Failure::TooManyClients { key, clients: clients.len() });
    }
    Ok(())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotLinearizable(why) => match &**why {
                Why::Clash(clash) => clash.fmt(f),
                Why::Stuck(stuck) => stuck.fmt(f),
            },
            Failure::TooManyClients { key, clients } => {
                write!(f, "key {key} has {clients} clients, and at most {CLIENTS_MAX} are checked")
            }
            Failure::TooManyOperations { key, operations } => {
                write!(f, "key {key} has {operations} operations, and at most {OPERATIONS_MAX} are checked")
            }
            Failure::StepsExceeded { key, steps } => {
                write!(f, "key {key} is not decided after {steps} steps")
            }
        }
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Clash { key, value, held: [first, last], against } = self;
        write!(f, "key {key} is not linearizable: it holds value {value} from the answer to #{}", first.id)?;
        write!(f, " to the call of #{}\n    {first}\n    {last}\n  and cannot meanwhile be as", last.id)?;
        write!(f, " {} it to be", if against.len() == 1 { "this needs" } else { "these need" })?;
        against.iter().try_for_each(|named| write!(f, "\n    {named}"))
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stuck { key, answered, explained, .. } = self;
        write!(f, "key {key} is not linearizable: no order explains its {answered} answers")?;
        write!(f, "\n  the longest order found explains {explained}, and ends with")?;
        self.last.iter().try_for_each(|named| write!(f, "\n    {named}"))?;
        write!(f, "\n  the key then holds {}, and none of these can come next", report::state(self.holds))?;
        self.next.iter().try_for_each(|named| write!(f, "\n    {named}"))?;
        if !self.waiting.is_empty() {
            write!(f, "\n  because these must still find what the key holds")?;
        }
        self.waiting.iter().try_for_each(|named| write!(f, "\n    {named}"))
    }
}

impl std::error::Error for Failure {}
