//! Why something could not be done with a Soul.

use super::checkpoint::CheckpointError;
use super::dead::DeadId;
use super::life::StartError;
use super::manifest::ManifestError;
use super::swap::SwapError;
use crate::ids::{Digest, SoulName};
use crate::kv::KvError;
use crate::memory::MemoryError;
use crate::runtime::catalog::ComponentError;

/// Why something could not be done with a Soul.
#[derive(Debug, thiserror::Error)]
pub enum SoulError {
    /// There is no such Soul.
    #[error("there is no Soul called {0}")]
    Unknown(SoulName),
    /// There is one already.
    #[error("there is a Soul called {0} already: give the new one another name, or delete that one first")]
    Exists(SoulName),
    /// Its manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Its component is wrong.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// Its component is of another world.
    #[error("component {digest} is no Soul: it is {found}")]
    WrongWorld {
        /// The component.
        digest: Digest,
        /// What it is.
        found: &'static str,
    },
    /// It did not come to life.
    #[error("{soul} did not start: {reason}")]
    Start {
        /// Which Soul.
        soul: SoulName,
        /// Why.
        reason: StartError,
    },
    /// Its node does not answer.
    #[error("node {0} does not answer: {1}")]
    Away(u64, String),
    /// Its node refused, for a reason of this kind.
    #[error("{2}")]
    Elsewhere(u64, String, String),
    /// No node may have it.
    #[error("{0}")]
    NoNode(String),
    /// The node has as many Souls as it takes.
    #[error("this node takes {0} Souls at most: delete some, or raise `souls.souls_max`")]
    TooMany(usize),
    /// It came to another node at the same time.
    #[error("{0} came to another node at the same time: try again")]
    Moved(SoulName),
    /// It is stopped or has failed.
    #[error("{0} is stopped: spawn it again first")]
    Stopped(SoulName),
    /// Its state could not be saved.
    #[error("the state of {0} was not saved: {1}")]
    Save(SoulName, String),
    /// There is no such dead letter.
    #[error("{0} has no dead letter {1}: it was sent again, dropped, or made room for later ones")]
    NoDeadLetter(SoulName, DeadId),
    /// Its code was not swapped.
    #[error("the code of {0} was not swapped: {1}")]
    Swap(SoulName, Box<SwapError>),
    /// Its memory cannot be read, or was not changed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A checkpoint failed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl SoulError {
    /// A word for the kind of reason, as other nodes are told it.
    pub fn kind(&self) -> &str {
        match self {
            Self::Unknown(_) => "unknown",
            Self::Exists(_) => "exists",
            Self::Manifest(_) => "manifest",
            Self::Component(_) => "component",
            Self::WrongWorld { .. } => "wrong-world",
            Self::Start { .. } => "start",
            Self::Away(..) => "away",
            Self::Elsewhere(_, kind, _) => kind,
            Self::NoNode(_) => "no-node",
            Self::TooMany(_) => "too-many",
            Self::Moved(_) => "moved",
            Self::Stopped(_) => "stopped",
            Self::Save(..) => "save",
            Self::NoDeadLetter(..) => "no-dead-letter",
            Self::Swap(..) => "swap",
            Self::Memory(MemoryError::Invalid(_)) => "episode",
            Self::Memory(MemoryError::Elsewhere) => "moved",
            Self::Memory(MemoryError::Damaged(_)) => "memory",
            Self::Kv(_) | Self::Memory(MemoryError::Kv(_)) => "kv",
            Self::Checkpoint(_) => "checkpoint",
        }
    }
}
