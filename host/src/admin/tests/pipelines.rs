//! Many operations over one stream.

use bytes::Bytes;
use futures::future::join_all;
use matrix_proto::pipeline::{OPERATIONS_MAX, Pipeline};
use matrix_proto::v1;
use matrix_proto::v1::access_client::AccessClient;
use matrix_proto::v1::compare_and_swap_request::Expected;
use matrix_proto::v1::kv_client::KvClient;
use matrix_proto::v1::kv_operation::Operation;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::rooms::{Rooms, config};

fn put(key: &str, value: &str) -> v1::KvPutRequest {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
    v1::KvPutRequest { bucket: "notes".into(), key, value, ..v1::KvPutRequest::default() }
}

fn get(key: &str) -> v1::KvGetRequest {
    v1::KvGetRequest { bucket: "notes".into(), key: Bytes::copy_from_slice(key.as_bytes()), local: false }
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_share_a_pipeline_get_each_their_own_answer() {
    let rooms = Rooms::open(config()).await;
    let (pipeline, driver) = Pipeline::open(&mut KvClient::new(rooms.known().await)).await.expect("open");
    let work = async move {
        let many = (0..3 * OPERATIONS_MAX).map(|number| {
            let (pipeline, key) = (pipeline.clone(), format!("key-{number}"));
            async move {
                let done = pipeline.put(put(&key, &key)).await.expect("written");
                let found = pipeline.get(get(&key)).await.expect("read");
                let entry = found.entry.expect("it is there");
                assert_eq!((entry.value, entry.revision), (Bytes::from(key), done.revision));
                assert!(found.log_index >= done.log_index);
                done.revision
            }
        });
        let mut revisions = join_all(many).await;
        revisions.sort_unstable();
        revisions.dedup();
        assert_eq!(revisions.len(), 3 * OPERATIONS_MAX, "each was a change of its own");

        let again = v1::KvPutRequest { request_id: "r1".into(), ..put("again", "1") };
        let (first, second) = (pipeline.put(again.clone()).await, pipeline.put(again).await);
        assert_eq!(first.expect("written").revision, second.expect("known").revision, "it was done once");

        let swap = |expected| v1::CompareAndSwapRequest {
            bucket: "notes".into(),
            key: "key-1".into(),
            expected: Some(expected),
            new_value: Some("new".into()),
            ..v1::CompareAndSwapRequest::default()
        };
        let done = pipeline.compare_and_swap(swap(Expected::Value("key-1".into()))).await.expect("asked");
        assert!(done.swapped && done.current.is_some_and(|entry| entry.value == "new"));
        assert!(!pipeline.compare_and_swap(swap(Expected::Absent(true))).await.expect("asked").swapped);
        let delete =
            v1::KvDeleteRequest { bucket: "notes".into(), key: "key-2".into(), ..Default::default() };
        assert!(pipeline.delete(delete).await.expect("asked").existed);
        assert!(pipeline.get(get("key-2")).await.expect("read").entry.is_none());
    };
    let ((), ended) = tokio::join!(work, driver);
    ended.expect("it ends with its last caller");
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_a_pipeline_fails_alone_and_says_why_as_a_call_would() {
    let rooms = Rooms::open(config()).await;
    let mut kv = KvClient::new(rooms.known().await);
    let (pipeline, driver) = Pipeline::open(&mut kv).await.expect("open");
    let own = v1::KvPutRequest { bucket: "sys/souls".into(), ..put("a", "1") };
    let odd = v1::KvPutRequest { bucket: "No Bucket".into(), ..put("a", "1") };
    let alone =
        [kv.put(own.clone()).await.expect_err("the node's"), kv.put(odd.clone()).await.expect_err("odd")];
    let work = async move {
        let together = tokio::join!(pipeline.put(own), pipeline.put(put("a", "1")), pipeline.put(odd));
        together.1.expect("the others' faults are not its own");
        for (error, alone) in
            [together.0, together.2].map(|done| done.expect_err("refused")).iter().zip(&alone)
        {
            assert_eq!((error.code(), error.message()), (alone.code(), alone.message()));
            assert_eq!(reason(error), reason(alone));
            assert!(!reason(error).is_empty());
        }
    };
    tokio::join!(work, driver).1.expect("it goes on");
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_write_of_a_pipeline_is_in_the_audit_log_and_takes_its_role() {
    let rooms = Rooms::open(config()).await;
    let (pipeline, driver) = Pipeline::open(&mut KvClient::new(rooms.known().await)).await.expect("open");
    let work = async move {
        let named = v1::KvPutRequest { request_id: "r1".into(), ..put("a", "1") };
        let (written, read) = tokio::join!(pipeline.put(named), pipeline.get(get("b")));
        written.expect("written");
        read.expect("read");
        pipeline
            .put(v1::KvPutRequest { bucket: "sys/x".into(), ..put("a", "1") })
            .await
            .expect_err("refused");
    };
    tokio::join!(work, driver).1.expect("it ends well");
    let mut access = AccessClient::new(rooms.known().await);
    let mut lines = access.audit(v1::AuditRequest::default()).await.expect("open").into_inner();
    let (mut shown, mut chain) = (Vec::new(), matrix_proto::audit::Chain::default());
    while let Some(line) = lines.message().await.expect("open") {
        chain.follow(&line.line).expect("the chain holds");
        shown.push([line.method, line.target, line.request_id, line.outcome]);
    }
    let expected = [
        ["Kv/Put", "notes/a", "r1", ""],
        ["Kv/Put", "", "", "OK"],
        ["Kv/Put", "sys/x/a", "", ""],
        ["Kv/Put", "", "", "PERMISSION_DENIED"],
    ];
    assert_eq!(shown, expected);
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_ends_where_too_much_is_asked_at_once_and_when_the_node_stops() {
    let rooms = Rooms::open(config()).await;
    let mut kv = KvClient::new(rooms.known().await);
    let one = v1::KvOperation { id: 1, operation: Some(Operation::Get(get("a"))) };
    let most = v1::KvPipelineRequest { operations: vec![one.clone(); OPERATIONS_MAX] };
    let more = v1::KvPipelineRequest { operations: vec![one.clone(); OPERATIONS_MAX + 1] };
    let mut answers = kv.pipeline(tokio_stream::iter([most, more])).await.expect("open").into_inner();
    let refused = loop {
        match answers.message().await {
            Ok(answer) => assert!(answer.is_some(), "it does not end well"),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("at most 1024"), "{refused}");
    let nothing = v1::KvPipelineRequest { operations: vec![v1::KvOperation { id: 7, operation: None }] };
    let mut answers = kv.pipeline(tokio_stream::once(nothing)).await.expect("open").into_inner();
    let answer = answers.message().await.expect("open").expect("an answer");
    let [v1::KvOutcome { id: 7, outcome: Some(v1::kv_outcome::Outcome::Failed(failure)) }] =
        &answer.outcomes[..]
    else {
        panic!("{answer:?}")
    };
    assert_eq!(Code::from(failure.code), Code::InvalidArgument);
    assert!(answers.message().await.expect("it ends well").is_none());

    let (pipeline, driver) = Pipeline::open(&mut kv).await.expect("open");
    let (closed, ended) = tokio::join!(rooms.close(), driver);
    assert!(closed, "an open pipeline does not keep the door open");
    assert_eq!(ended.expect_err("the node stops").code(), Code::Unavailable);
    assert_eq!(pipeline.get(get("a")).await.expect_err("it has ended").code(), Code::Unavailable);
}
