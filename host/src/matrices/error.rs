//! Why something could not be done with a Matrix.

use super::runlog::LogError;
use super::status::MatrixState;
use crate::ids::{Digest, MatrixName, SoulName};
use crate::kv::KvError;
use crate::runtime::catalog::ComponentError;
use crate::runtime::guest::Crash;
use crate::runtime::limits::LimitError;

/// The most bytes of a reason that rules give: it is shown to people, and kept.
const REASON_BYTES_MAX: usize = 4096;

/// Everything that an operation on a Matrix may fail with.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// There is no such Matrix.
    #[error("there is no Matrix called {0}")]
    Unknown(MatrixName),
    /// There is one of this name, and it is another.
    #[error("there is another Matrix called {0}: delete it first, or choose another name")]
    Exists(MatrixName),
    /// A field of the manifest is out of its bounds.
    #[error("`{field}` {problem}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A limit is above the node's.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The node has as many Matrices as it takes.
    #[error("this node takes {0} Matrices at most: delete some, or raise `matrices.matrices_max`")]
    TooMany(usize),
    /// A player does not exist.
    #[error("`players` names {0}, and there is no such Soul: spawn it first")]
    MissingPlayer(SoulName),
    /// The rules take another number of players.
    #[error("`players` has {given} names, and these rules take {min} to {max}")]
    Players {
        /// How many the manifest names.
        given: usize,
        /// The fewest that the rules take.
        min: u32,
        /// The most that the rules take.
        max: u32,
    },
    /// The rules' component cannot be had.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The component is of another world.
    #[error("component {digest} is {found}, and not the rules of a Matrix")]
    WrongWorld {
        /// The component.
        digest: Digest,
        /// What it is.
        found: &'static str,
    },
    /// The rules returned an error of their own.
    #[error("the rules refused: {0}")]
    Refused(String),
    /// The rules crashed.
    #[error("the component of the rules {0}")]
    Crashed(#[from] Crash),
    /// The rules returned what cannot be worked with.
    #[error("the rules broke their contract: {0}")]
    Contract(String),
    /// The rules do not give again what the run log says they gave.
    #[error("the rules' state after tick {0} is not what the run log says: the run cannot be gone on with")]
    Differs(u64),
    /// The Matrix is in a state in which this cannot be done.
    #[error("{matrix} is {state}: {advice}")]
    State {
        /// Which Matrix.
        matrix: MatrixName,
        /// What it is doing.
        state: MatrixState,
        /// What could be done instead.
        advice: &'static str,
    },
    /// The run log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// Another node runs it by now.
    #[error("{0} runs on another node since a moment ago: ask again")]
    Moved(MatrixName),
    /// It cannot be moved there.
    #[error("{matrix} cannot go to node {node}: {why}")]
    CannotMove {
        /// Which Matrix.
        matrix: MatrixName,
        /// Where it was to go.
        node: u64,
        /// What is in the way.
        why: &'static str,
    },
    /// Other rules did not take over: those before go on, with their state untouched.
    #[error("the rules of {matrix} stay as they are: {why}")]
    NotSwapped {
        /// Which Matrix.
        matrix: MatrixName,
        /// Why the others cannot take over.
        why: String,
    },
    /// No node that is alive has its run log.
    #[error(
        "node {node}, on which {matrix} ran, is away, and no node that is alive has a copy of its run log"
    )]
    Away {
        /// Which Matrix.
        matrix: MatrixName,
        /// Where it ran.
        node: u64,
    },
    /// The node is about to stop.
    #[error("the node is stopping")]
    Stopping,
}

/// The rules' own reason, shortened.
pub(crate) fn refused(mut reason: String) -> MatrixError {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    MatrixError::Refused(reason)
}
