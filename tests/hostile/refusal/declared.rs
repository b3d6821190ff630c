//! What manifests declare.

use matrix_tests::node::{NEIGHBOUR, TestNode, manifest};
use matrixd::runtime::limits::{Limits, LimitsConfig};

use super::{count, names, rogue};

/// A manifest that asks for more than the node allows is refused, by the name of the field.
pub(crate) async fn beyond_the_most(name: &str, ask: impl Fn(&mut Limits, &LimitsConfig)) {
    let node = TestNode::start().await;
    let mut greedy = manifest("greedy", node.program("rogue").await, &[]);
    ask(&mut greedy.limits, &LimitsConfig::default());
    names(node.spawn(greedy).await.expect_err("more than the node allows"), &format!("`limits.{name}`"));
    node.end().await;
}

pub(crate) async fn memory_bytes() {
    const LIMIT: u64 = 2 << 20;
    let node = TestNode::start().await;
    rogue(&node, "", |limits| limits.memory_bytes = LIMIT).await;
    let got = count(&node.ask("rogue", "grow").await.expect("it survives"));
    assert!((got as u64) < LIMIT, "it got {got} bytes");
    names(node.ask("rogue", "hoard").await.expect_err("it cannot go on"), "limits.memory_bytes");
    node.end().await;
}

pub(crate) async fn call_ms() {
    let node = TestNode::start().await;
    rogue(&node, "", |limits| limits.call_ms = 50).await;
    names(node.ask("rogue", "loop").await.expect_err("it never returns"), "limits.call_ms");
    node.end().await;
}

pub(crate) async fn call_fuel() {
    let node = TestNode::start().await;
    rogue(&node, "", |limits| limits.call_fuel = 1_000_000).await;
    names(node.ask("rogue", "loop").await.expect_err("it never returns"), "limits.call_fuel");
    node.end().await;
}

pub(crate) async fn mailbox_messages() {
    let node = TestNode::start().await;
    rogue(&node, "rogue", |limits| limits.mailbox_messages = 10).await;
    assert_eq!(node.ask("rogue", "send 20").await.as_deref(), Ok("10 mailbox-full"));
    node.end().await;
}

pub(crate) async fn body_bytes() {
    let node = TestNode::start().await;
    rogue(&node, "rogue", |limits| limits.body_bytes = 1_000).await;
    assert_eq!(node.ask("rogue", "send-large 1").await.as_deref(), Ok("0 too-large"));
    node.end().await;
}

pub(crate) async fn messages_per_second() {
    let node = TestNode::start().await;
    node.neighbour().await;
    rogue(&node, NEIGHBOUR, |limits| limits.messages_per_second = 10).await;
    let said = node.ask("rogue", "send 1000").await.expect("it is answered");
    assert!(said.ends_with("quota-exceeded") && count(&said) < 100, "{said}");
    node.end().await;
}

pub(crate) async fn kv_per_second() {
    let node = TestNode::start().await;
    let mut caller = manifest("caller", node.program("caller").await, &[]);
    caller.limits.kv_per_second = 5;
    node.spawn(caller).await.expect("it behaves until told");
    let said = node.ask("caller", "kv-spin 1000").await.expect("it is answered");
    assert!(count(&said) < 100, "{said}");
    names(said, "limits.kv_per_second");
    node.end().await;
}

pub(crate) async fn log_lines_per_second() {
    let node = TestNode::start().await;
    rogue(&node, "", |limits| limits.log_lines_per_second = 10).await;
    node.ask("rogue", "log 1000").await.expect("it is answered");
    let lines = node.lines("rogue").await.len();
    assert!((10..500).contains(&lines), "{lines} lines");
    node.end().await;
}

pub(crate) async fn events_per_second() {
    let node = TestNode::start().await;
    rogue(&node, "", |limits| limits.events_per_second = 10).await;
    let before = node.node().bus().fill().latest;
    node.ask("rogue", "event 1000").await.expect("it is answered");
    let events = node.node().bus().fill().latest - before;
    assert!((10..500).contains(&events), "{events} events");
    names(node.lines("rogue").await.join("\n"), "limits.events_per_second");
    node.end().await;
}
