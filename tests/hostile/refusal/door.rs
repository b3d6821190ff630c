//! The operator's door.

use std::fs;
use std::ops::ControlFlow;

use matrix_proto::pipeline::OPERATIONS_MAX;
use matrix_proto::v1;
use matrix_tests::node::{PATIENCE, TestNode};
use matrix_tests::realm::reason;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tonic::Code;

/// The smallest file of an audit log that may be set.
const AUDIT_FILE_BYTES: u64 = 64 << 10;
/// More than any line of it has.
const AUDIT_LINE_BYTES: u64 = 16 << 10;

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

pub(crate) async fn pipeline_operations() {
    let node = TestNode::start().await;
    let door = node.door();
    let get = v1::KvGetRequest { bucket: "notes".to_owned(), key: "key".into(), local: true };
    let one = v1::KvOperation { id: 1, operation: Some(v1::kv_operation::Operation::Get(get)) };
    for (count, fits) in [(OPERATIONS_MAX, true), (OPERATIONS_MAX + 1, false)] {
        let asked = v1::KvPipelineRequest { operations: vec![one.clone(); count] };
        let request = door.request(futures::stream::iter([asked]));
        let mut answers = door.kv().pipeline(request).await.expect("there is a place").into_inner();
        let mut answered = 0;
        let ended = loop {
            match answers.message().await {
                Ok(Some(answer)) => answered += answer.outcomes.len(),
                Ok(None) => break None,
                Err(refused) => break Some(refused.code()),
            }
        };
        let expected = if fits { (count, None) } else { (0, Some(Code::InvalidArgument)) };
        assert_eq!((answered, ended), expected);
    }
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

/// Makes changes on a node whose audit log has two small files at most, until `enough` of the files, the oldest first, each
/// with the number of its first line and its bytes.
async fn change_until(enough: impl Fn(&[(u64, u64)]) -> ControlFlow<()>) {
    let node = TestNode::start_with(|config| {
        config.admin.audit.file_bytes = AUDIT_FILE_BYTES;
        config.admin.audit.files = 2;
    })
    .await;
    let (door, folder) = (node.door(), node.socket().with_file_name("audit"));
    let files = || {
        let files = fs::read_dir(&folder).expect("the log is there").map(|file| {
            let file = file.expect("it is read");
            let name = file.file_name().into_string().expect("text");
            let first = name.trim_end_matches(".jsonl").parse().expect("a number");
            (first, file.metadata().expect("it is there").len())
        });
        let mut files: Vec<_> = files.collect();
        files.sort_unstable();
        files
    };
    while enough(&files()).is_continue() {
        let delete = v1::KvDeleteRequest {
            bucket: "notes".to_owned(),
            key: "key".into(),
            ..v1::KvDeleteRequest::default()
        };
        door.kv().delete(door.request(delete)).await.expect("a change");
    }
    drop(door);
    node.end().await;
}

pub(crate) async fn audit_file_bytes() {
    change_until(|files| {
        let over = files.iter().find(|(_, bytes)| *bytes >= AUDIT_FILE_BYTES + AUDIT_LINE_BYTES);
        assert_eq!(over, None, "the next file is begun");
        if files.len() < 2 {
            return ControlFlow::Continue(());
        }
        assert!(files[0].1 >= AUDIT_FILE_BYTES, "only a full file is ended: {files:?}");
        ControlFlow::Break(())
    })
    .await;
}

pub(crate) async fn audit_files() {
    change_until(|files| {
        assert!(files.len() <= 2, "the oldest file is removed: {files:?}");
        if files[0].0 <= 1 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .await;
}
