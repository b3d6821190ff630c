//! What a realm of three nodes promises under faults: real processes, each on a host of its own, and clients whose
//! histories are checked.
//!
//! Not here: a wall clock that jumps. No process can be given one of its own without a library that is loaded into it.
//! `tests/tidy` sees to it that what decides over leases, votes and connections cannot read it.

mod births;
mod damage;
mod disks;
mod files;
mod folders;
mod kills;
mod links;
mod members;
mod memory;
mod partitions;
mod pauses;
mod schedules;
mod snapshots;
mod soak;
mod states;
mod strangers;
mod swaps;
mod syncs;
mod turns;

use std::time::Duration;

use matrix_tests::net::{Net, Unavailable};
use matrix_tests::realm::TestRealm;

/// Within what time a realm that has lost its leader has another.
const NEW_LEADER: Duration = Duration::from_secs(4);
/// Within what time every client is answered again, once a fault is over.
const HEALED: Duration = Duration::from_secs(10);

/// The network, where there is one; otherwise says what is left out.
fn network<'a>(realm: &'a TestRealm, what: &str) -> Option<&'a Net> {
    realm.net().inspect_err(|why: &&Unavailable| why.report(what)).ok()
}

/// The places of all but one of the nodes.
fn others(realm: &TestRealm, one: usize) -> Vec<usize> {
    (0..realm.len()).filter(|node| *node != one).collect()
}
