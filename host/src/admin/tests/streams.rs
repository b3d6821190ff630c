//! Calls that go on: subscriptions, tails, watches, and how they end.

use bytes::Bytes;
use matrix_proto::v1;
use matrix_proto::v1::events_client::EventsClient;
use matrix_proto::v1::kv_client::KvClient;
use matrix_proto::v1::logs_client::LogsClient;
use matrix_proto::v1::subscribe_response::Item;
use tonic::Code;

use super::rooms::{Rooms, config};
use crate::admin::AdminConfig;
use crate::telemetry::logs::LogLevel;
use crate::transport::bus::Source;
use crate::transport::testing::content;

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_what_passes_its_filter_until_the_node_stops() {
    let rooms = Rooms::open(config()).await;
    let mut client = EventsClient::new(rooms.known().await);
    let request = v1::SubscribeRequest { from: Some(0), kinds: vec!["soul.".into()], sources: vec![] };
    let mut events = client.subscribe(request).await.expect("open").into_inner();
    rooms.host.bus.publish("matrix.tick", Source::Node, content("no"), 1);
    let sequence = rooms.host.bus.publish("soul.failed", Source::Node, content("yes"), 2);
    let item = events.message().await.expect("open").expect("an event").item;
    let Some(Item::Event(event)) = item else { panic!("{item:?}") };
    assert_eq!(
        (event.sequence, event.kind.as_str(), event.source.as_str()),
        (sequence, "soul.failed", "node")
    );
    assert_eq!(event.content.map(|content| content.body), Some(Bytes::from("yes")));
    let far = v1::SubscribeRequest { from: Some(99), ..v1::SubscribeRequest::default() };
    assert_eq!(client.subscribe(far).await.expect_err("not yet").code(), Code::OutOfRange);
    let (ended, farewell) = tokio::join!(rooms.close(), events.message());
    assert_eq!(farewell.expect_err("the node stops").code(), Code::Unavailable);
    assert!(ended, "an open stream does not keep the door open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_ends_or_follows() {
    let rooms = Rooms::open(config()).await;
    let mut client = LogsClient::new(rooms.known().await);
    for number in 0..5 {
        rooms.host.logs.push(LogLevel::Info, "soul:neo".into(), &number.to_string());
    }
    let mut request = v1::TailRequest { source: "soul:*".into(), lines: 2, ..v1::TailRequest::default() };
    let mut lines = client.tail(request.clone()).await.expect("open").into_inner();
    let mut texts = Vec::new();
    while let Some(line) = lines.message().await.expect("open") {
        texts.push(line.text);
    }
    assert_eq!(texts, ["3", "4"]);
    (request.follow, request.lines) = (true, 0);
    let mut lines = client.tail(request.clone()).await.expect("open").into_inner();
    rooms.host.logs.push(LogLevel::Warn, "soul:neo".into(), "next");
    let line = lines.message().await.expect("open").expect("a line");
    assert_eq!((line.text.as_str(), line.level()), ("next", v1::LogLevel::Warn));
    request.source = "a*b".to_owned();
    assert_eq!(client.tail(request).await.expect_err("no pattern").code(), Code::InvalidArgument);
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_from_a_revision() {
    let rooms = Rooms::open(config()).await;
    let mut client = KvClient::new(rooms.known().await);
    let kv = &rooms.host.kv;
    let first = kv.put("notes", b"a", "1".into(), None, None).await.expect("written").revision;
    kv.delete("notes", b"a", None).await.expect("deleted");
    let request =
        v1::KvWatchRequest { bucket: "notes".into(), prefix: Bytes::new(), from_revision: Some(first) };
    let mut changes = client.watch(request).await.expect("open").into_inner();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let change = changes.message().await.expect("open").expect("a change");
        seen.push((change.revision - first, change.deleted, change.entry.map(|entry| entry.key)));
    }
    let key = Some(Bytes::from("a"));
    assert_eq!(seen, [(0, false, key.clone()), (1, true, key)]);
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_too_many_is_refused_until_another_ends() {
    let rooms = Rooms::open(AdminConfig { streams_max: 1, ..config() }).await;
    let mut client = EventsClient::new(rooms.known().await);
    let request = v1::SubscribeRequest::default;
    let held = client.subscribe(request()).await.expect("open");
    let error = client.subscribe(request()).await.expect_err("full");
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(error.message().contains("admin.streams_max"), "{error}");
    drop(held);
    while rooms.host.bus.subscribers() > 0 {
        tokio::task::yield_now().await;
    }
    client.subscribe(request()).await.expect("room again");
    rooms.close().await;
}
