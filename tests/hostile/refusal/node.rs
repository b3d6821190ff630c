//! Budgets of the node as a whole.

use matrix_tests::by_hand::ByHand;
use matrix_tests::node::{TestNode, manifest, matrix};

use super::{names, rogue};

pub(crate) async fn guest_memory_bytes() {
    let node = TestNode::start_with(|config| config.engine.guest_memory_bytes_max = 8 << 20).await;
    rogue(&node, "", |_| {}).await;
    let error = node.ask("rogue", "grow").await.expect_err("it wants twice the node's budget");
    names(error, "engine.guest_memory_bytes_max");
    node.end().await;
}

pub(crate) async fn live_instances() {
    const LIVE: u32 = 4;
    let node = TestNode::start_with(|config| config.engine.live_instances_max = LIVE).await;
    let component = node.program("citizen").await;
    for number in 0..LIVE {
        node.spawn(manifest(&format!("soul-{number}"), component, &[])).await.expect("there is room");
    }
    let error = node.spawn(manifest("one-more", component, &[])).await.expect_err("there is no room");
    names(error, "engine.live_instances_max");
    node.end().await;
}

pub(crate) async fn code_bytes() {
    let node = TestNode::start_with(|config| config.components.code_bytes_max = 100).await;
    let error = node.upload(&ByHand::default().build()).await.expect_err("there is no room for its code");
    names(error, "components.code_bytes_max");
    assert_eq!(node.node().catalog().components().code().used(), 0);
    node.end().await;
}

pub(crate) async fn souls() {
    let node = TestNode::start_with(|config| config.souls.souls_max = 1).await;
    rogue(&node, "", |_| {}).await;
    let citizen = manifest("citizen", node.program("citizen").await, &[]);
    names(node.spawn(citizen).await.expect_err("there is one already"), "souls.souls_max");
    node.end().await;
}

pub(crate) async fn matrices() {
    let node = TestNode::start_with(|config| config.matrices.matrices_max = 1).await;
    let rules = node.program("misrule").await;
    let create =
        |name: &str| node.node().matrices().create(matrix(name, rules, "\"gossip later\""), false, None);
    create("one").await.expect("there is room");
    names(create("two").await.expect_err("there is one already"), "matrices.matrices_max");
    node.end().await;
}

pub(crate) async fn run_log_bytes() {
    let node = TestNode::start_with(|config| config.matrices.run_log_bytes_max = 1_000).await;
    let rules = matrix("long", node.program("misrule").await, "\"gossip later\"");
    let name = rules.name.clone();
    node.node().matrices().create(rules, false, None).await.expect("its log begins");
    // How the steps end is told by the Matrix itself.
    let _ = node.node().matrices().step(&name, 100).await;
    let view = node.node().matrices().get(&name).expect("it is known");
    names(view.reason, "matrices.run_log_bytes_max");
    node.end().await;
}
