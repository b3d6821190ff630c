//! Shared by the tests of the whole: a node in this process ([`node`]), what it tells ([`watch`]), how long
//! its neighbour takes to answer ([`neighbour`]), what is left in it at the end ([`left`]), and components
//! written by hand ([`by_hand`]), for what no compiler would ever make.
//!
//! The programs that the tests load are built by `tests/programs/build.sh`.

pub mod by_hand;
pub mod left;
pub mod neighbour;
pub mod node;
pub mod watch;
