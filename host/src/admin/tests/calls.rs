//! Calls with one answer.

use bytes::Bytes;
use matrix_proto::v1;
use matrix_proto::v1::compare_and_swap_request::Expected;
use matrix_proto::v1::components_client::ComponentsClient;
use matrix_proto::v1::kv_client::KvClient;
use matrix_proto::v1::matrices_client::MatricesClient;
use matrix_proto::v1::souls_client::SoulsClient;
use matrix_proto::v1::upload_request::Part;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::rooms::{Known, Rooms, config};
use crate::ids::Digest;
use crate::runtime::inspect::bombs::soul;

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

fn put(key: &'static str, value: &'static str, request_id: &str) -> v1::KvPutRequest {
    let (key, value) = (key.into(), value.into());
    let (bucket, request_id) = ("notes".to_owned(), request_id.to_owned());
    v1::KvPutRequest { bucket, key, value, lease: 0, request_id }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kv_is_read_and_written() {
    let rooms = Rooms::open(config()).await;
    let mut kv = KvClient::new(rooms.known().await);
    let first = kv.put(put("a", "1", "r1")).await.expect("written").into_inner();
    let again = kv.put(put("a", "2", "r1")).await.expect("repeated").into_inner();
    assert_eq!(first, again, "the same request id repeats the answer");
    let get = v1::KvGetRequest { bucket: "notes".into(), key: "a".into(), local: false };
    let entry = kv.get(get).await.expect("read").into_inner().entry.expect("it is there");
    assert_eq!((&entry.value[..], entry.version, entry.revision), (&b"1"[..], 1, first.revision));
    let mut swap = v1::CompareAndSwapRequest {
        bucket: "notes".into(),
        key: "a".into(),
        expected: Some(Expected::Revision(first.revision)),
        new_value: Some("3".into()),
        request_id: String::new(),
    };
    let swapped = kv.compare_and_swap(swap.clone()).await.expect("tried").into_inner();
    assert_eq!((swapped.swapped, swapped.current.map(|now| now.value)), (true, Some(Bytes::from("3"))));
    let stale = kv.compare_and_swap(swap.clone()).await.expect("tried").into_inner();
    assert_eq!((stale.swapped, stale.current.map(|now| now.value)), (false, Some(Bytes::from("3"))));
    swap.expected = None;
    let error = kv.compare_and_swap(swap).await.expect_err("nothing is expected");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    for key in ["b1", "b2", "b3", "c"] {
        kv.put(put(key, "x", "")).await.expect("written");
    }
    let mut range =
        v1::KvRangeRequest { bucket: "notes".into(), prefix: "b".into(), page_size: 2, ..Default::default() };
    let mut keys = Vec::new();
    loop {
        let page = kv.range(range.clone()).await.expect("read").into_inner();
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        if page.next_page_token.is_empty() {
            break;
        }
        range.page_token = page.next_page_token;
    }
    assert_eq!(keys, ["b1", "b2", "b3"]);
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_own_buckets_are_readable_only() {
    let rooms = Rooms::open(config()).await;
    let mut kv = KvClient::new(rooms.known().await);
    let mut request = put("neo", "{}", "");
    request.bucket = "sys/souls".to_owned();
    let error = kv.put(request).await.expect_err("the node's own");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::PermissionDenied, "BUCKET_RESERVED"));
    let request = v1::KvRangeRequest { bucket: "sys/souls".into(), ..Default::default() };
    assert!(kv.range(request).await.expect("readable").into_inner().entries.is_empty());
    let long = v1::GrantLeaseRequest { ttl_ms: 1_000, request_id: "x".repeat(65) };
    let error = kv.grant_lease(long).await.expect_err("the request id is too long");
    assert_eq!(error.code(), Code::InvalidArgument);
    let grant = v1::GrantLeaseRequest { ttl_ms: 60_000, request_id: "l".into() };
    let lease = kv.grant_lease(grant).await.expect("granted").into_inner().lease;
    let kept = kv.keep_alive(v1::KeepAliveRequest { lease }).await.expect("kept").into_inner();
    assert_eq!(kept.ttl_ms, 60_000);
    let revoke = v1::RevokeLeaseRequest { lease, request_id: "m".into() };
    kv.revoke_lease(revoke.clone()).await.expect("ended");
    kv.revoke_lease(revoke).await.expect("the same request again is no error");
    let again = v1::RevokeLeaseRequest { lease, request_id: "n".into() };
    assert_eq!(kv.revoke_lease(again).await.expect_err("it is gone").code(), Code::NotFound);
    rooms.close().await;
}

async fn upload(
    client: &mut ComponentsClient<Known>,
    header: Option<v1::UploadHeader>,
    bytes: &[u8],
) -> Result<v1::UploadResponse, Status> {
    let mut parts: Vec<_> = header.map(Part::Header).into_iter().collect();
    parts.extend(bytes.chunks(100).map(|chunk| Part::Chunk(Bytes::copy_from_slice(chunk))));
    let parts = parts.into_iter().map(|part| v1::UploadRequest { part: Some(part) });
    client.upload(tokio_stream::iter(parts.collect::<Vec<_>>())).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_is_not_kept() {
    let rooms = Rooms::open(config()).await;
    let mut client = ComponentsClient::new(rooms.known().await);
    let header = |size: usize, digest: &str| {
        Some(v1::UploadHeader {
            name: "try".into(),
            size: size as u64,
            digest: digest.into(),
            request_id: String::new(),
            signature: None,
        })
    };
    let module = b"\0asm\x01\0\0\0";
    // What `soul` exports has the right names and the wrong signatures: it is compiled, and then refused.
    let wrong = soul();
    let other = Digest::of(b"other").to_string();
    let table: [(_, &[u8], _); 7] = [
        (None, module, "FIELD_INVALID"),
        (header(8, "sha256:x"), module, "FIELD_INVALID"),
        (header(8, &other), module, "DIGEST_MISMATCH"),
        (header(7, ""), module, "SIZE_MISMATCH"),
        (header(9, ""), module, "SIZE_MISMATCH"),
        (header(8, ""), module, "COMPONENT_REFUSED"),
        (header(wrong.len(), ""), &wrong, "COMPONENT_REFUSED"),
    ];
    for (header, bytes, expected) in table {
        let error = upload(&mut client, header.clone(), bytes).await.expect_err(expected);
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::InvalidArgument, expected),
            "{header:?}: {error}"
        );
    }
    let list = client.list(v1::ListComponentsRequest::default()).await.expect("a page").into_inner();
    assert!(list.components.is_empty() && list.next_page_token.is_empty());
    assert!(rooms.host.catalog.components().store().list().is_empty(), "nothing stays on disk");
    let unknown = v1::GetComponentRequest { reference: "nobody".to_owned() };
    let error = client.get(unknown).await.expect_err("no such component");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::NotFound, "COMPONENT_UNKNOWN"));
    rooms.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nobody_has_are_not_found() {
    let rooms = Rooms::open(config()).await;
    let mut souls = SoulsClient::new(rooms.known().await);
    let mut matrices = MatricesClient::new(rooms.known().await);
    let name = || "nobody".to_owned();
    let get = souls.get(v1::GetSoulRequest { name: name() }).await.expect_err("unknown");
    let delete = v1::DeleteSoulRequest { name: name(), request_id: "d".to_owned() };
    let delete = souls.delete(delete).await.expect_err("unknown");
    assert_eq!((reason(&get).as_str(), delete.code()), ("SOUL_UNKNOWN", Code::NotFound));
    let to = Some(v1::Address { to: Some(v1::address::To::Soul(name())) });
    let content = Some(v1::Content::default());
    let ask = v1::AskRequest { recipient: to, content, timeout_ms: 0, request_id: String::new() };
    let error = souls.ask(ask.clone()).await.expect_err("unknown");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::NotFound, "RECIPIENT_UNKNOWN"));
    let forever = v1::AskRequest { timeout_ms: 300_001, ..ask };
    assert_eq!(souls.ask(forever).await.expect_err("too long").code(), Code::InvalidArgument);
    let page = v1::ListSoulsRequest::default();
    assert!(souls.list(page).await.expect("a page").into_inner().souls.is_empty());
    let error = matrices.view(v1::ViewMatrixRequest { name: name() }).await.expect_err("unknown");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::NotFound, "MATRIX_UNKNOWN"));
    let manifest = Some(v1::MatrixManifest { name: name(), rules: name(), ..Default::default() });
    let create = v1::CreateMatrixRequest { manifest, request_id: String::new(), start: true };
    let error = matrices.create(create).await.expect_err("no such rules");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::NotFound, "COMPONENT_UNKNOWN"));
    rooms.close().await;
}
