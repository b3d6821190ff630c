//! New code for a Soul that lives: its state goes over, its mailbox stays, and whoever writes to it notices a pause.
//!
//! The new code is born beside the old, which goes on ([`candidate`]). Between two turns it takes up a copy of the
//! state and proves that it can save it again; one commit then makes it the Soul's code, with the state in its layout,
//! and keeps the old code's state for a rollback ([`versions`]). Only then does it take the old one's place
//! ([`taking`]). Whatever fails before that leaves the old code as it was. [`order`] is the way in; [`trial`] tells
//! what would differ, and does nothing.

mod candidate;
pub(super) mod fleet;
mod learnt;
mod order;
mod recording;
mod rollout;
mod taking;
mod text;
mod trial;
mod versions;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub(crate) use self::candidate::Candidate;
pub use self::learnt::Learnt;
pub(crate) use self::learnt::{Adoption, Base, Hold};
pub(crate) use self::recording::Recording;
pub use self::rollout::Renewal;
pub(crate) use self::trial::Recalled;
pub use self::trial::{Difference, Side, Trial};
pub(super) use self::versions::descended;
pub use self::versions::{Ancestor, Cause, VERSIONS_MAX, Version, Versions};
pub(crate) use self::versions::{KEPT_BUCKET, forget, kept_by};
use super::checkpoint::{Checkpoint, CheckpointError};
use super::life::StartError;
use crate::ids::Digest;
use crate::kv::KvError;

/// How long a turn under way may take before what it waits for is given up, where nothing else is asked for.
pub const TURN_DEFAULT: Duration = Duration::from_secs(5);
/// The most that may be asked for.
pub const TURN_MAX: Duration = Duration::from_secs(300);

/// Why the old code goes on.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// The new code did not come to life, or did not take up the state.
    #[error("the new code {0}")]
    New(#[from] StartError),
    /// The exchange could not be made durable.
    #[error("the exchange could not be saved: {0}")]
    Save(#[from] CheckpointError),
    /// The node is to end, and whether the exchange was made shows when the Soul comes back.
    #[error(
        "whether the new code was taken up is not known: {0}; `matrix souls history` tells, once the node is back"
    )]
    Open(KvError),
    /// The node does not hold its lease: the Soul may be taken up elsewhere.
    #[error(
        "its node does not hold its lease at the moment: try again once `matrix status` says that it is ready"
    )]
    NoLease,
    /// What is kept of the Soul's turns cannot be read now.
    #[error(
        "what is kept of its turns cannot be read now: try again once `matrix status` says that the node is ready"
    )]
    Unread,
    /// A turn did not end, though nothing was left to wait for.
    #[error("its turn did not end within {0:?}: raise the time, or stop the Soul")]
    Busy(Duration),
    /// Nothing was swapped before.
    #[error("there is no earlier code to go back to: it was never swapped")]
    NoEarlier,
    /// The Soul's actor ended meanwhile.
    #[error("the Soul ended meanwhile: try again")]
    Gone,
}

/// What became of a swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swapped {
    /// False: it had this code already, and nothing was done.
    pub changed: bool,
    /// The code before.
    pub before: Digest,
    /// The version that runs now.
    pub version: Version,
    /// Why the state is that of the last checkpoint, and not the last one; empty: it is the last one.
    pub fallback: String,
    /// How long the Soul was held up, in microseconds; 0: it was not in memory, or nothing was done.
    pub pause_us: u64,
}

/// Which state the new code is given.
#[derive(Debug)]
pub(crate) enum Given {
    /// The Soul's, as it is.
    Present,
    /// One that was kept when its code was swapped; none: it had none then, and is born anew.
    Kept(Option<Box<Checkpoint>>),
}

/// What an actor is given to swap its code.
pub(crate) struct Order {
    pub(super) candidate: Candidate,
    pub(super) given: Given,
    pub(super) cause: Cause,
    /// What the Soul has had so far: nobody else changes it meanwhile.
    pub(super) versions: Versions,
    /// Told when the turn before has ended. Whoever waits for that no longer gets no swap either.
    pub(super) begun: oneshot::Sender<()>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("cause", &self.cause).finish_non_exhaustive()
    }
}
