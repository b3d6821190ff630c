//! Living Souls.
//!
//! [`Souls`] is the registry: it holds one handle a Soul, and keeps what should run in the KV
//! ([`records`]). Behind a handle an [`actor`] owns the Soul's instance ([`life`]), drains its mailbox,
//! saves its state ([`checkpoint`]) and restarts it when it crashes ([`restart`]).

pub mod actor;
mod batching;
mod birth;
pub mod capture;
mod census;
pub mod checkpoint;
mod committing;
mod crashing;
pub mod dead;
mod entering;
mod erase;
mod error;
mod fleet;
mod follow;
mod handle;
pub mod host;
pub mod jobs;
pub mod life;
pub mod manifest;
mod moving;
pub mod pieces;
pub mod placed;
mod placing;
pub mod plant;
pub mod pupil;
pub mod records;
mod registry;
pub mod remembering;
pub mod restart;
mod saving;
pub mod status;
mod suspects;
pub mod swap;
pub mod taught;
pub mod training;
mod turns;
mod wire;

pub use census::Census;
pub use erase::erase;
pub use error::SoulError;
pub use fleet::Fleet;
pub use handle::{SoulUsage, SoulView};
pub use registry::Souls;

use crate::ids::Digest;

/// A state that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Layout of the state; empty: the component keeps none.
    pub schema: String,
    /// Length of the state, in bytes.
    pub size: u64,
    /// Digest of the state.
    pub digest: Digest,
    /// Milliseconds since the Unix epoch at which it was written.
    pub at_ms: u64,
}
