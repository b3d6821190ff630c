//! The chain of interceptors.

use matrix_tests::node::{TestNode, manifest};
use matrixd::runtime::interceptors::InterceptorsConfig;

use super::names;
use crate::chains::{set, wanted};

/// Has an interceptor judge a message that says what it is to do; the error of whoever sends it.
async fn judged(word: &str, change: impl FnOnce(&mut InterceptorsConfig)) -> String {
    let node = TestNode::start_with(|config| change(&mut config.interceptors)).await;
    let echo = node.guest("echo").await;
    node.spawn(manifest("bob", echo, &[])).await.expect("it starts");
    let judge = node.program("judge").await;
    set(&node, vec![wanted(judge, &[])]).await;
    let error = node.ask("bob", word).await.expect_err("it is not judged").to_string();
    node.end().await;
    error
}

pub(crate) async fn interceptors() {
    let node = TestNode::start().await;
    let judge = node.program("judge").await;
    let refused = node.node().interceptors().set(vec![wanted(judge, &[]); 9]).await;
    names(refused.expect_err("nine are too many"), "at most 8 interceptors");
    node.end().await;
}

pub(crate) async fn interceptor_ms() {
    let error = judged("loop", |config| (config.call_ms, config.call_fuel) = (20, 1 << 40)).await;
    names(error, "`limits.call_ms`, 20 ms");
}

pub(crate) async fn interceptor_fuel() {
    let error = judged("loop", |config| (config.call_ms, config.call_fuel) = (10_000, 5_000_000)).await;
    names(error, "`limits.call_fuel`, 5000000");
}

pub(crate) async fn interceptor_memory_bytes() {
    let slow = |config: &mut InterceptorsConfig| {
        (config.call_ms, config.call_fuel, config.memory_bytes) = (10_000, 1 << 40, 4 << 20);
    };
    names(judged("hoard", slow).await, "`limits.memory_bytes` is 4194304");
}
