//! What an actor is asked for besides messages.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Saved;
use super::checkpoint::CheckpointError;
use super::life::StartError;
use super::pupil::LearnError;
use super::remembering::{Edit, Edited};
use super::swap::{Adoption, Hold, Learnt, Order, Recalled, SwapError, Swapped};
use crate::ids::MatrixName;
use crate::memory::MemoryError;
use crate::runtime::guest::Crash;
use crate::runtime::soul::Turn;
use crate::transport::mailbox::Inbox;

/// One tick's turns for one Soul.
#[derive(Debug, Clone)]
pub struct ActRequest {
    /// The run: a Matrix that was created anew under an old name is another run.
    pub run: Arc<str>,
    /// The Matrix.
    pub matrix: MatrixName,
    /// The tick, from 0.
    pub tick: u64,
    /// The tick of this player's turn before, in this run.
    pub previous: Option<u64>,
    /// What the Soul's seats see.
    pub turns: Arc<Vec<Turn>>,
    /// The time that the Soul sees, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// When its answer is of no use any more; none: it is waited for.
    pub deadline: Option<tokio::time::Instant>,
}

/// Why a Soul did not act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// There is no such Soul here, or it is stopped.
    #[error("the Soul is not there, or stopped")]
    Gone,
    /// It crashed over it.
    #[error(transparent)]
    Crashed(#[from] Crash),
    /// It crashed over it, on another node.
    #[error("{0}")]
    CrashedAway(String),
    /// Its node does not answer.
    #[error("the Soul's node does not answer")]
    Away,
    /// It did not answer in time.
    #[error("the Soul did not answer in time")]
    Late,
    /// It cannot be started.
    #[error("the Soul cannot be started: {0}")]
    NotStarted(String),
    /// It refused.
    #[error("the Soul refused: {0}")]
    Refused(String),
    /// It came back from an older state: the ticks after `last` have to be played to it again.
    #[error("the Soul has played this run only up to tick {last:?}")]
    Behind {
        /// The last tick that it has played in this run.
        last: Option<u64>,
    },
}

/// What an actor does besides handling messages.
#[derive(Debug)]
pub(crate) enum Job {
    /// Decide turns. Boxed, because every Soul has a queue with room for some jobs.
    Act(Box<ActRequest>, oneshot::Sender<Result<Vec<Vec<u8>>, ActError>>),
    /// Forget what was answered in a run that is over.
    Forget(Arc<str>),
    /// Come to life, and tell how that went.
    Wake(oneshot::Sender<Result<(), StartError>>),
    /// Save the state, and tell its schema, length and digest.
    Save(oneshot::Sender<Result<Saved, String>>),
    /// Swap the code. No answer: whoever wanted it had given up before it began.
    Swap(Box<Order>, oneshot::Sender<Result<Swapped, SwapError>>),
    /// Give a copy of the state, and what was handled last.
    Recall(oneshot::Sender<Result<Recalled, CheckpointError>>),
    /// Wait for what a copy learns.
    Hold(Box<Hold>),
    /// Take up what a copy has learnt.
    TakeUp(Box<Adoption>, oneshot::Sender<Result<Learnt, LearnError>>),
    /// Change the memory for somebody.
    Remember(Box<Edit>, oneshot::Sender<Result<Edited, MemoryError>>),
    /// Save the state if it is due; leave memory if idle for long.
    Tend,
    /// End, the state saved if this says so, and give the mailbox back with all that waits in it.
    Leave(bool, oneshot::Sender<(Inbox, Result<(), String>)>),
    /// Save the state and end; the error says why what came after the last checkpoint is lost.
    Stop(oneshot::Sender<Result<(), String>>),
}
