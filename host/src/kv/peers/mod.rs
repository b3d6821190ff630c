//! The realm's other nodes, as Raft sees them: a lane of calls (`/matrix/raft/1`, `proto/matrix/wire/v1/raft.proto`)
//! of which [`client`] is the asking end, and [`server`] the answering one, on Raft's own thread.

mod carried;
mod client;
mod convert;
mod parts;
mod roster;
mod server;

pub(super) use client::{AskError, Client, Peers};
pub use roster::Roster;
pub(super) use server::{Desk, Inbox, Server};

use crate::p2p::Lane;

/// The lane.
pub(super) const LANE: Lane = Lane::new("/matrix/raft/1");
