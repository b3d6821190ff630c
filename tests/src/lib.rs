//! Shared by the tests of the whole: a node in this process ([`node`]), what it tells ([`watch`]), how long
//! its neighbour takes to answer ([`neighbour`]), what is left in it at the end ([`left`]), and components
//! written by hand ([`by_hand`]), for what no compiler would ever make; tables of reference ([`axelrod`]); and for realms, a network that does to
//! packets what it is told ([`net`]), disks that can be filled ([`disk`]) or fail ([`faulty`]), bounds of memory
//! ([`cgroup`]), checkers of what clients of the KV have seen ([`history`]), and nodes as processes with such clients ([`realm`]); what this machine lacks ([`tools`]); what `proto/` and `wit/` promise to others ([`surface`]); and what a realm would cost
//! that no machine can hold ([`scale`]).
//!
//! The programs that the tests load are built by `tests/programs/build.sh`.

pub mod axelrod;
pub mod by_hand;
pub mod cgroup;
pub mod disk;
pub mod faulty;
pub mod history;
pub mod left;
pub mod neighbour;
pub mod net;
pub mod node;
pub mod realm;
pub mod scale;
pub mod service;
pub mod surface;
pub mod tools;
pub mod watch;
pub mod website;

/// A setting of tests that take as much as one likes, from the environment; none: nothing is said.
///
/// # Panics
/// Where it is no number.
pub fn setting(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test's settings have no other place")]
    let given = std::env::var(name).ok()?;
    Some(given.parse().unwrap_or_else(|_| panic!("{name} must be a number, and is {given}")))
}
