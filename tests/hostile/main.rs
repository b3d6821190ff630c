//! Hostile guests, each against a whole node: what it does ends as it should, the node and an honest
//! neighbour live on, an event names the guest and the reason, and nothing is left behind.
//!
//! Times and sizes are printed; they are asserted with room for a busy machine.

#[path = "births.rs"]
mod births;
#[path = "bombs.rs"]
mod bombs;
#[path = "chains.rs"]
mod chains;
#[path = "contract.rs"]
mod contract;
#[path = "deadlines.rs"]
mod deadlines;
#[path = "floods.rs"]
mod floods;
#[path = "honest.rs"]
mod honest;
#[path = "interceptors.rs"]
mod interceptors;
#[path = "learning.rs"]
mod learning;
#[path = "limits.rs"]
mod limits;
#[path = "memory.rs"]
mod memory;
#[path = "overload.rs"]
mod overload;
#[path = "personas.rs"]
mod personas;
#[path = "random.rs"]
mod random;
#[path = "refusal.rs"]
mod refusal;
#[path = "remembering.rs"]
mod remembering;
#[path = "rollouts.rs"]
mod rollouts;
#[path = "rules.rs"]
mod rules;
#[path = "services.rs"]
mod services;
#[path = "stages.rs"]
mod stages;
#[path = "stillborn.rs"]
mod stillborn;
#[path = "swaps.rs"]
mod swaps;
#[path = "takeovers.rs"]
mod takeovers;
#[path = "talk.rs"]
mod talk;
#[path = "time.rs"]
mod time;
#[path = "trials.rs"]
mod trials;
#[path = "turns.rs"]
mod turns;
#[path = "uploads.rs"]
mod uploads;
#[path = "usage.rs"]
mod usage;
#[path = "websites.rs"]
mod websites;
#[path = "weights.rs"]
mod weights;

use matrix_tests::node::TestNode;
use matrix_tests::watch::Fall;
use matrixd::transport::envelope::SendError;

/// Tells a Soul a word that it does not survive, and checks that nobody else notices: whoever asked is
/// answered, an event names the Soul with `kind` as the reason, its instance is gone, the neighbour lives and
/// is hardly slower.
async fn falls(node: &TestNode, soul: &str, word: &str, kind: &str) -> Fall {
    let mut watch = node.watch(soul);
    let asked = node.undisturbed(&format!("{soul} {word}"), node.ask(soul, word)).await;
    let error = asked.expect_err("it cannot survive this");
    assert!(matches!(&error, SendError::Failed(reason) if reason.contains(soul)), "{soul} {word}: {error}");
    let fall = watch.crash().await;
    assert_eq!(fall.kind, kind, "{soul} {word}: {}", fall.reason);
    assert!(!fall.reason.is_empty() && fall.next.starts_with("restarts in "), "{soul} {word}: {fall:?}");
    let view = node.view(soul);
    assert_eq!((view.memory_bytes, view.mailbox_depth), (0, 0), "{soul} {word} left something behind");
    node.assert_lives().await;
    fall
}
