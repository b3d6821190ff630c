//! A realm in one file: what its KV holds at one index of the log, its components' bytes, and the run logs of Matrices
//! that this node has. [`take`] writes it, [`restore`] makes a new realm from it; its format is
//! `matrix_proto::backup`.
//!
//! A realm that is made from a backup is another realm: the old nodes may still run, or come back, and two that take
//! each other for one would write over each other. So everything that tells of nodes is left behind: their records,
//! invitations, leases, votes. Souls live on the first node of the new realm, in a generation of their own.

mod restore;
mod take;
#[cfg(test)]
mod tests;

pub use restore::{Place, RestoreError, Restored, restore};
pub use take::{Backups, Pieces, TakeError};
