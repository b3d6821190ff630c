//! What of etcd's gRPC interface the comparison needs (`api/etcdserverpb/rpc.proto` in etcd's sources): the
//! numbers of the fields are the protocol's.

use bytes::Bytes;
use tonic::Status;

use crate::caller::Caller;

/// `PutRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct Put {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `PutResponse`, of which nothing is wanted.
#[derive(Clone, PartialEq, prost::Message)]
struct PutDone {}

/// `RangeRequest`: linearizable, unless `serializable` (7) is set.
#[derive(Clone, PartialEq, prost::Message)]
struct Range {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

/// `RangeResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Found {
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
}

/// `KeyValue`.
#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

/// Gives a key a value.
pub(crate) async fn put(etcd: &Caller, key: Bytes, value: Bytes) -> Result<(), Status> {
    etcd.call::<_, PutDone>("/etcdserverpb.KV/Put", &Put { key, value }).await.map(drop)
}

/// The value of a key, as of now.
pub(crate) async fn get(etcd: &Caller, key: Bytes) -> Result<Option<Bytes>, Status> {
    let found: Found = etcd.call("/etcdserverpb.KV/Range", &Range { key }).await?;
    Ok(found.entries.into_iter().next().map(|entry| entry.value))
}
