//! What instances may have that no manifest changes.

use matrix_tests::by_hand::ByHand;
use matrix_tests::node::{TestNode, manifest, matrix, name};
use matrixd::souls::status::State;

use super::{names, rogue};
use crate::memory::aliases;

/// Asks a Soul made by hand something that it does not survive; the error.
async fn falls(by_hand: &ByHand) -> String {
    let node = TestNode::start().await;
    let digest = node.upload(&by_hand.build()).await.expect("it is well-formed");
    node.spawn(manifest("by-hand", digest, &[])).await.expect("it behaves until told");
    let error = node.ask("by-hand", "go").await.expect_err("it cannot survive this").to_string();
    node.end().await;
    error
}

pub(crate) async fn table_elements() {
    let by_hand = ByHand {
        fields: "(table $t 1 funcref)".into(),
        receive: "(if (i32.lt_s (table.grow $t (ref.null func) (i32.const 1000000)) (i32.const 0))
                      (then (unreachable)))"
            .into(),
        ..ByHand::default()
    };
    names(falls(&by_hand).await, "a table of 1000001 elements: the most is 20000");
}

pub(crate) async fn stack_bytes() {
    let node = TestNode::start_with(|config| config.engine.stack_bytes = 64 << 10).await;
    rogue(&node, "", |_| {}).await;
    names(node.ask("rogue", "recurse").await.expect_err("it never returns"), "stack");
    node.end().await;
}

pub(crate) async fn lifted_bytes() {
    names(falls(&aliases()).await, "more bytes in one call than the host copies");
}

pub(crate) async fn snapshot_bytes() {
    let node = TestNode::start().await;
    let mut rules = matrix("hoard", node.program("misrule").await, "\"snapshot later\"");
    rules.memory_bytes = 64 << 20;
    let name = rules.name.clone();
    node.node().matrices().create(rules, false, None).await.expect("it behaves at first");
    // How the steps end is told by the Matrix itself.
    let _ = node.node().matrices().step(&name, 5).await;
    let view = node.node().matrices().get(&name).expect("it is known");
    names(view.reason, "more bytes in one call than the host copies");
    node.end().await;
}

pub(crate) async fn state_bytes() {
    let node = TestNode::start_with(|config| config.souls.state_bytes_max = 900 << 10).await;
    node.run("hoarder", "stages", &[("snapshot", "large")]).await;
    node.ask("hoarder", "seen").await.expect("it is answered");
    let saved = node.node().souls().checkpoint(&name("hoarder")).await;
    names(
        saved.expect_err("a megabyte of state"),
        "1048576 bytes, and 921600 are allowed (`souls.state_bytes_max`)",
    );
    node.end().await;
}

pub(crate) async fn actions_bytes() {
    let node = TestNode::start().await;
    node.run("player", "stages", &[("act", "large")]).await;
    let acted = node.act("player", crate::stages::request(0, 1)).await;
    names(acted.expect_err("64 KiB of actions"), "16384");
    node.end().await;
}

pub(crate) async fn handles() {
    let node = TestNode::start().await;
    node.run("caller", "caller", &[]).await;
    let error = node.ask("caller", "handles").await.expect_err("it opens buckets without end");
    names(error, "table has no free keys");
    node.end().await;
}

pub(crate) async fn crashes() {
    let node = TestNode::start_with(|config| config.souls.restart.crashes_max = 1).await;
    rogue(&node, "", |_| {}).await;
    let mut watch = node.watch("rogue");
    for _ in 0..2 {
        node.ask("rogue", "trap").await.expect_err("it crashes");
    }
    watch.failure().await;
    assert_eq!(node.view("rogue").state, State::Failed);
    node.end().await;
}
