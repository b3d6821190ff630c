//! The operator's door.

use matrix_proto::v1;
use matrix_tests::node::{PATIENCE, TestNode};
use matrix_tests::realm::reason;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tonic::Code;

pub(crate) async fn connections() {
    let node = TestNode::start_with(|config| config.admin.connections_max = 1).await;
    let socket = node.socket();
    let first = UnixStream::connect(&socket).await.expect("the node listens");
    let mut second = UnixStream::connect(&socket).await.expect("the node listens");
    let read = tokio::time::timeout(PATIENCE, second.read(&mut [0; 64])).await.expect("it is closed at once");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    drop(first);
    node.end().await;
}

pub(crate) async fn streams() {
    let node = TestNode::start_with(|config| config.admin.streams_max = 1).await;
    let door = node.door();
    let subscribe = async || {
        let request = v1::SubscribeRequest { from: None, kinds: Vec::new(), sources: Vec::new() };
        door.events().subscribe(door.request(request)).await
    };
    let first = subscribe().await.expect("there is a place");
    let refused = subscribe().await.expect_err("there is no other");
    assert_eq!((refused.code(), reason(&refused)), (Code::ResourceExhausted, "NODE_BUSY".to_owned()));
    assert!(refused.message().contains("admin.streams_max"), "{refused:?}");
    drop(first);
    drop(door);
    node.end().await;
}

pub(crate) async fn request_bytes() {
    let node = TestNode::start_with(|config| config.admin.message_bytes_max = 2 << 20).await;
    let door = node.door();
    let put = v1::KvPutRequest {
        bucket: "notes".to_owned(),
        key: "key".into(),
        value: vec![0; 3 << 20].into(),
        ..v1::KvPutRequest::default()
    };
    let refused = door.kv().put(door.request(put)).await.expect_err("it is too long");
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    drop(door);
    node.end().await;
}
