//! What of etcd's gRPC interface the comparison needs (`api/etcdserverpb/rpc.proto` in etcd's sources): the
//! numbers of the fields are the protocol's.

use bytes::Bytes;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

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
pub(crate) async fn put(channel: Channel, key: Bytes, value: Bytes) -> Result<(), Status> {
    let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
    call::<_, PutDone>(channel, path, Put { key, value }).await.map(drop)
}

/// The value of a key, as of now.
pub(crate) async fn get(channel: Channel, key: Bytes) -> Result<Option<Bytes>, Status> {
    let path = PathAndQuery::from_static("/etcdserverpb.KV/Range");
    let found: Found = call(channel, path, Range { key }).await?;
    Ok(found.entries.into_iter().next().map(|entry| entry.value))
}

pub(crate) async fn call<Q, A>(channel: Channel, path: PathAndQuery, request: Q) -> Result<A, Status>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<Q, A>::default();
    grpc.unary(Request::new(request), path, codec).await.map(tonic::Response::into_inner)
}
