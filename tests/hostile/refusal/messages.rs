//! Messages and events.

use bytes::Bytes;
use matrix_tests::node::{NEIGHBOUR, TestNode};
use matrixd::transport::bus::{Filter, TOO_LARGE_TYPE};
use matrixd::transport::envelope::SendError;
use matrixd::transport::mailbox::MAILBOX_BYTES_MAX;

use super::{count, names, rogue};

pub(crate) async fn message_bytes() {
    let node = TestNode::start_with(|config| config.transport.body_bytes_max = 1_000).await;
    node.neighbour().await;
    assert_eq!(node.send(NEIGHBOUR, Bytes::from(vec![b' '; 1_000])), Ok(()));
    let refused = node.send(NEIGHBOUR, Bytes::from(vec![b' '; 1_001]));
    assert_eq!(refused, Err(SendError::TooLarge { limit: 1_000 }));
    node.end().await;
}

pub(crate) async fn content_type_bytes() {
    let node = TestNode::start().await;
    rogue(&node, "", |_| {}).await;
    assert_eq!(node.ask("rogue", "media-type").await, Err(SendError::TooLarge { limit: 128 }));
    node.end().await;
}

pub(crate) async fn hops() {
    let node = TestNode::start_with(|config| config.transport.hops_max = 1).await;
    node.neighbour().await;
    rogue(&node, NEIGHBOUR, |_| {}).await;
    assert_eq!(node.ask("rogue", "send 1").await.as_deref(), Ok("0 too-many-hops"));
    node.end().await;
}

pub(crate) async fn mailbox_bytes() {
    const BODY_BYTES: usize = 256 * 1024;
    let node = TestNode::start().await;
    rogue(&node, "rogue", |limits| limits.call_ms = 20_000).await;
    let said = node.ask("rogue", "send-large 100").await.expect("it is answered before its own messages");
    assert!(said.ends_with("mailbox-full") && count(&said) * BODY_BYTES <= MAILBOX_BYTES_MAX, "{said}");
    node.end().await;
}

pub(crate) async fn topics() {
    let node = TestNode::start_with(|config| config.transport.topics_max = 1).await;
    node.run("citizen", "citizen", &[]).await;
    assert_eq!(node.ask("citizen", "subscribe one").await.as_deref(), Ok("subscribed"));
    names(node.ask("citizen", "subscribe two").await.expect_err("one too many"), "transport.topics_max");
    node.end().await;
}

pub(crate) async fn topics_per_soul() {
    let node = TestNode::start().await;
    node.run("citizen", "citizen", &[]).await;
    for number in 0..64 {
        node.ask("citizen", &format!("subscribe topic-{number}")).await.expect("there is room");
    }
    names(node.ask("citizen", "subscribe more").await.expect_err("one too many"), "QuotaExceeded");
    node.end().await;
}

pub(crate) async fn event_bytes() {
    let node = TestNode::start_with(|config| config.bus.event_bytes_max = 1_000).await;
    rogue(&node, "", |_| {}).await;
    let mut watch = node.watch("rogue");
    node.ask("rogue", "event-large").await.expect("it is answered");
    let event = watch.event("guest.large").await;
    assert_eq!((&*event.content.content_type, event.content.body.len()), (TOO_LARGE_TYPE, 0));
    node.end().await;
}

pub(crate) async fn subscribers() {
    let node = TestNode::start_with(|config| config.bus.subscribers_max = 1).await;
    let subscribe = || node.node().bus().subscribe(Filter::default(), None);
    let first = subscribe().expect("there is room");
    names(subscribe().expect_err("one too many"), "bus.subscribers_max");
    drop(first);
    node.end().await;
}
