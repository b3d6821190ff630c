//! The proof of each limit, under its name: that what goes beyond it is refused, and how.

#[path = "refusal/declared.rs"]
mod declared;
#[path = "refusal/door.rs"]
mod door;
#[path = "refusal/instances.rs"]
mod instances;
#[path = "refusal/interceptors.rs"]
mod interceptors;
#[path = "refusal/kv.rs"]
mod kv;
#[path = "refusal/learning.rs"]
mod learning;
#[path = "refusal/memory.rs"]
mod memory;
#[path = "refusal/messages.rs"]
mod messages;
#[path = "refusal/node.rs"]
mod node;
#[path = "refusal/services.rs"]
mod services;
#[path = "refusal/uploads.rs"]
mod uploads;
#[path = "refusal/websites.rs"]
mod websites;

pub(crate) use declared::*;
pub(crate) use door::*;
pub(crate) use instances::*;
pub(crate) use interceptors::*;
pub(crate) use kv::*;
pub(crate) use learning::*;
pub(crate) use memory::*;
pub(crate) use messages::*;
pub(crate) use node::*;
pub(crate) use services::*;
pub(crate) use uploads::*;
pub(crate) use websites::*;

use matrix_tests::node::{TestNode, manifest};
use matrixd::runtime::limits::Limits;

/// Checks that an error names what was reached.
#[track_caller]
fn names(error: impl std::fmt::Display, limit: &str) {
    let error = error.to_string();
    println!("{limit}: {error}");
    assert!(error.contains(limit), "`{limit}` is not named: {error}");
}

/// Spawns the Soul `rogue`, with every grant, this peer, and limits of its own.
async fn rogue(node: &TestNode, peer: &str, change: impl FnOnce(&mut Limits)) {
    let mut rogue = manifest("rogue", node.program("rogue").await, &[("peer", peer)]);
    change(&mut rogue.limits);
    node.spawn(rogue).await.expect("it behaves until told");
}

/// The words of the first part of a reply, as a number.
fn count(said: &str) -> usize {
    said.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no number: {said}"))
}
