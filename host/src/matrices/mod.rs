//! Running Matrices.
//!
//! [`Matrices`] is the registry: it holds one handle a Matrix, and keeps what should run in the KV. Behind a
//! handle a task owns the rules: each tick it asks the players, takes a step, and appends to the run log,
//! from which the same run can be brought back, gone on with, or compared.
//!
//! In reading order: what is kept ([`manifest`], `status`, `records`, `runlog`, `checkpoint`, `sweep`), the pure
//! core (`prompts`, `course`), what surrounds a run (`host`, `world`), the run itself (`switches`, `replay`, `asking`,
//! `telling`, `runner`, `launch`), other rules for it (`rehearsal`, `swapping`), and the other nodes (`deed`, [`copies`],
//! `follow`, `moving`).

mod asking;
mod checkpoint;
mod copies;
mod course;
mod deed;
mod disk;
mod error;
mod follow;
mod handle;
mod host;
mod launch;
mod lines;
mod looking;
pub mod manifest;
mod moving;
mod prompts;
mod records;
mod registry;
mod rehearsal;
mod replay;
pub mod restored;
mod runlog;
mod runner;
mod status;
mod swapping;
mod sweep;
mod switches;
mod telling;
#[cfg(test)]
mod testing;
mod world;

pub use error::MatrixError;
pub use host::{MatricesConfig, MatrixHost};
pub use manifest::MatrixManifest;
pub use records::ruled_by;
pub use registry::{Matrices, STEP_TICKS_MAX};
pub use rehearsal::{Difference, REHEARSAL_TICKS_MAX, Rehearsal};
pub use runlog::LogError;
pub use status::{Figures, Home, MatrixState, MatrixView, ReplayProgress};
pub use switches::Switch;
