//! What Souls call outside the realm.

use matrix_tests::node::{TestNode, manifest};
use matrix_tests::service::Service;
use matrixd::capabilities::grpc::STATUS_BYTES_MAX;
use matrixd::config::Config;

use super::{count, names};
use crate::services::{endpoint, visitor};

/// A node with the endpoint `weather`, where this service is.
async fn node(service: &Service, change: impl FnOnce(&mut Config)) -> TestNode {
    let weather = endpoint(service);
    TestNode::start_with(|config| {
        config.grpc.endpoints.insert("weather".to_owned(), weather);
        change(config);
    })
    .await
}

pub(crate) async fn grpc_per_second() {
    let service = Service::start();
    let node = node(&service, |_| {}).await;
    let mut visitor = manifest("visitor", node.program("visitor").await, &[]);
    visitor.limits.grpc_per_second = 5;
    node.spawn(visitor).await.expect("it behaves until told");
    let said = node.ask("visitor", "flood 1000").await.expect("it is answered");
    assert!(count(&said) < 100 && service.heard().len() == count(&said), "{said}");
    names(said, "limits.grpc_per_second");
    node.end().await;
}

pub(crate) async fn grpc_timeout_ms() {
    let service = Service::start();
    let node = node(&service, |config| config.grpc.timeout_ms = 300).await;
    visitor(&node).await;
    names(node.ask("visitor", "forecast slow").await.expect_err("it never ends"), "no answer within 300 ms");
    names(node.ask("visitor", "within 60000 slow").await.expect_err("it never ends"), "within 300 ms");
    node.end().await;
}

pub(crate) async fn grpc_request_bytes() {
    let service = Service::start();
    let node = node(&service, |config| config.grpc.request_bytes_max = 1_000).await;
    visitor(&node).await;
    names(node.ask("visitor", "large 1001").await.expect_err("it is too large"), "grpc.request_bytes_max");
    assert_eq!(service.heard().len(), 0);
    node.end().await;
}

pub(crate) async fn grpc_response_bytes() {
    let service = Service::start();
    let node = node(&service, |config| config.grpc.response_bytes_max = 1_000).await;
    visitor(&node).await;
    names(
        node.ask("visitor", "forecast long 1000").await.expect_err("it is too large"),
        "grpc.response_bytes_max",
    );
    assert_eq!(node.ask("visitor", "forecast long 990").await.map(|text| text.len()), Ok(990));
    node.end().await;
}

pub(crate) async fn grpc_calls() {
    let service = Service::start();
    let node = node(&service, |config| config.grpc.calls_max = 1).await;
    visitor(&node).await;
    node.run("waits", "visitor", &[]).await;
    node.send("waits", "within 5000 slow".into()).expect("its mailbox is empty");
    service.until(1).await;
    names(node.ask("visitor", "forecast Zion").await.expect_err("one is under way"), "grpc.calls_max");
    // When that one is over, there is room again.
    assert_eq!(node.ask("waits", "turns").await.as_deref(), Ok("2"));
    assert_eq!(node.ask("visitor", "forecast Zion").await.as_deref(), Ok("Zion: rain"));
    node.end().await;
}

pub(crate) async fn grpc_status_bytes() {
    let service = Service::start();
    let node = node(&service, |_| {}).await;
    visitor(&node).await;
    let long = |bytes: usize| format!("status fail-long {bytes}");
    let all = STATUS_BYTES_MAX;
    assert_eq!(node.ask("visitor", &long(all)).await, Ok(all.to_string()));
    assert_eq!(node.ask("visitor", &long(all + 2)).await, Ok(all.to_string()));
    node.end().await;
}
