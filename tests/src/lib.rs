//! Shared by the tests of the whole: a node in this process ([`node`]), what it tells ([`watch`]), how long
//! its neighbour takes to answer ([`neighbour`]), and components written by hand ([`by_hand`]), for what no
//! compiler would ever make.
//!
//! The programs that the tests load are built by `tests/programs/build.sh`.

pub mod by_hand;
pub mod neighbour;
pub mod node;
pub mod watch;
