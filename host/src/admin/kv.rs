//! `matrix.v1.Kv`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use matrix_proto::v1;
use matrix_proto::v1::kv_server::Kv;
use prost::Message as _;
use tonic::{Request, Response, Status, Streaming};

use super::auth::Caller;
use super::convert;
use super::desk::{Answers, Desk, open};
use super::paging::{PAGE_BYTES, page_size};
use super::pipeline;
use super::replay::Key;
use crate::ids::ClientName;
use crate::kv::{Consistency, LeaseId, RequestId, Swap};

/// Buckets whose names begin so are the node's own: callers may read them.
const OWN: &str = "sys/";

/// The service.
#[derive(Debug)]
pub(super) struct KvService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Kv for KvService {
    async fn get(&self, request: Request<v1::KvGetRequest>) -> Result<Response<v1::KvGetResponse>, Status> {
        get(&self.0, request.into_inner()).await.map(Response::new)
    }

    async fn put(&self, request: Request<v1::KvPutRequest>) -> Result<Response<v1::KvPutResponse>, Status> {
        let (caller, request) = open(request)?;
        put(&self.0, &caller, request).await.map(Response::new)
    }

    async fn delete(
        &self,
        request: Request<v1::KvDeleteRequest>,
    ) -> Result<Response<v1::KvDeleteResponse>, Status> {
        let (caller, request) = open(request)?;
        delete(&self.0, &caller, request).await.map(Response::new)
    }

    async fn compare_and_swap(
        &self,
        request: Request<v1::CompareAndSwapRequest>,
    ) -> Result<Response<v1::CompareAndSwapResponse>, Status> {
        let (caller, request) = open(request)?;
        compare_and_swap(&self.0, &caller, request).await.map(Response::new)
    }

    type PipelineStream = Answers<v1::KvPipelineResponse>;

    async fn pipeline(
        &self,
        request: Request<Streaming<v1::KvPipelineRequest>>,
    ) -> Result<Response<Self::PipelineStream>, Status> {
        let (caller, asked) = open(request)?;
        let place = self.0.stream()?;
        Ok(self.0.answers(place, pipeline::answers(self.0.clone(), caller, asked)))
    }

    async fn range(
        &self,
        request: Request<v1::KvRangeRequest>,
    ) -> Result<Response<v1::KvRangeResponse>, Status> {
        let v1::KvRangeRequest { bucket, prefix, page_size: size, page_token, local } = request.into_inner();
        if !page_token.is_empty() && !page_token.starts_with(&prefix) {
            return Err(convert::bad_field("page_token", "is not of this list: leave it out"));
        }
        let start = if page_token.is_empty() { &prefix } else { &page_token };
        let end = after_prefix(&prefix);
        let kv = &self.0.host.kv;
        let size = page_size(size)?;
        let page = kv.range(&bucket, start, end.as_deref(), size, consistency(local)).await?;
        let mut response = v1::KvRangeResponse {
            entries: Vec::with_capacity(page.entries.len()),
            next_page_token: page.next.unwrap_or_default(),
            revision: page.revision,
            log_index: page.log_index,
        };
        let mut bytes = 0;
        for (key, entry) in page.entries {
            if bytes >= PAGE_BYTES {
                response.next_page_token = key;
                break;
            }
            let entry = convert::entry(key, &entry);
            bytes += entry.encoded_len();
            response.entries.push(entry);
        }
        Ok(Response::new(response))
    }

    type WatchStream = Answers<v1::KvWatchResponse>;

    async fn watch(
        &self,
        request: Request<v1::KvWatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let v1::KvWatchRequest { bucket, prefix, from_revision } = request.into_inner();
        let place = self.0.stream()?;
        let watch = self.0.host.kv.watch(&bucket, &prefix, from_revision)?;
        let changes = watch.map(|change| change.map(|change| convert::change(&change)).map_err(Status::from));
        Ok(self.0.answers(place, changes))
    }

    async fn grant_lease(
        &self,
        request: Request<v1::GrantLeaseRequest>,
    ) -> Result<Response<v1::GrantLeaseResponse>, Status> {
        let (caller, request) = open(request)?;
        let id = Key::new(&caller, "Kv/GrantLease", &request.request_id)?.map(|key| key.kv_request());
        let done = self.0.host.kv.grant_lease(Duration::from_millis(request.ttl_ms), id).await?;
        Ok(Response::new(v1::GrantLeaseResponse { lease: done.value.0 }))
    }

    async fn keep_alive(
        &self,
        request: Request<v1::KeepAliveRequest>,
    ) -> Result<Response<v1::KeepAliveResponse>, Status> {
        let ttl = self.0.host.kv.keep_alive(LeaseId(request.into_inner().lease)).await?;
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Ok(Response::new(v1::KeepAliveResponse { ttl_ms }))
    }

    async fn revoke_lease(
        &self,
        request: Request<v1::RevokeLeaseRequest>,
    ) -> Result<Response<v1::RevokeLeaseResponse>, Status> {
        let (caller, request) = open(request)?;
        let key = Key::new(&caller, "Kv/RevokeLease", &request.request_id)?;
        let (kv, lease) = (self.0.host.kv.clone(), LeaseId(request.lease));
        let revoked = async move {
            kv.revoke_lease(lease).await?;
            Ok(v1::RevokeLeaseResponse {})
        };
        self.0.mutate(key, revoked).await.map(Response::new)
    }
}

pub(super) async fn get(desk: &Desk, request: v1::KvGetRequest) -> Result<v1::KvGetResponse, Status> {
    let v1::KvGetRequest { bucket, key, local } = request;
    let found = desk.host.kv.look(&bucket, &key, consistency(local)).await?;
    let entry = found.entry.map(|entry| convert::entry(key, &entry));
    Ok(v1::KvGetResponse { entry, log_index: found.log_index })
}

pub(super) async fn put(
    desk: &Desk,
    caller: &Caller,
    request: v1::KvPutRequest,
) -> Result<v1::KvPutResponse, Status> {
    let v1::KvPutRequest { bucket, key, value, lease, request_id } = request;
    let id = mutation(caller, "Kv/Put", &request_id, &bucket)?;
    let lease = (lease != 0).then_some(LeaseId(lease));
    let done = desk.host.kv.put(&bucket, &key, value, lease, id).await?;
    Ok(v1::KvPutResponse { revision: done.revision, log_index: done.log_index })
}

pub(super) async fn delete(
    desk: &Desk,
    caller: &Caller,
    request: v1::KvDeleteRequest,
) -> Result<v1::KvDeleteResponse, Status> {
    let v1::KvDeleteRequest { bucket, key, request_id } = request;
    let id = mutation(caller, "Kv/Delete", &request_id, &bucket)?;
    let done = desk.host.kv.delete(&bucket, &key, id).await?;
    Ok(v1::KvDeleteResponse { existed: done.value, revision: done.revision, log_index: done.log_index })
}

pub(super) async fn compare_and_swap(
    desk: &Desk,
    caller: &Caller,
    request: v1::CompareAndSwapRequest,
) -> Result<v1::CompareAndSwapResponse, Status> {
    let v1::CompareAndSwapRequest { bucket, key, expected, new_value, request_id } = request;
    let id = mutation(caller, "Kv/CompareAndSwap", &request_id, &bucket)?;
    let expect = convert::swap_expectation(expected)?;
    let kv = &desk.host.kv;
    let done = kv.compare_and_swap(&bucket, &key, expect, new_value, id).await?;
    let (swapped, current) = match done.value {
        // What the swap made of the key, its version and lease among it; or what came right after. Where another
        // node leads, this one may not have applied it yet.
        Swap::Swapped => {
            kv.wait_for(done.log_index).await?;
            (true, kv.get(&bucket, &key, Consistency::Local).await?)
        }
        Swap::Conflict { current } => (false, current),
    };
    let current = current.map(|entry| convert::entry(key, &entry));
    Ok(v1::CompareAndSwapResponse { swapped, current, log_index: done.log_index, revision: done.revision })
}

const fn consistency(local: bool) -> Consistency {
    if local { Consistency::Local } else { Consistency::Linearizable }
}

/// The name of a write in the KV, if it may be retried, for a bucket that callers may write to.
fn mutation(
    caller: &ClientName,
    method: &'static str,
    request_id: &str,
    bucket: &str,
) -> Result<Option<RequestId>, Status> {
    if bucket.starts_with(OWN) {
        return Err(convert::own_bucket(bucket));
    }
    Ok(Key::new(caller, method, request_id)?.map(|key| key.kv_request()))
}

/// The first byte string after all that begin with `prefix`; none: they go on to the bucket's end.
fn after_prefix(prefix: &[u8]) -> Option<Bytes> {
    let kept = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=kept].to_vec();
    end[kept] += 1;
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

    #[test]
    fn the_nodes_own_buckets_are_not_written_to() {
        let local = "local".parse().expect("a name");
        let write = |bucket| mutation(&local, "Kv/Put", "a", bucket).map_err(|status| status.code());
        assert_eq!(write("sys/souls"), Err(Code::PermissionDenied));
        assert!(write("system").is_ok_and(|id| id.is_some()));
    }

    proptest! {
        #[test]
        fn a_prefix_ends_where_nothing_more_begins_with_it(
            prefix in proptest::collection::vec(prop_oneof![Just(0u8), Just(254), Just(255)], 0..4),
            key in proptest::collection::vec(prop_oneof![Just(0u8), Just(254), Just(255)], 0..6),
        ) {
            let before_end = after_prefix(&prefix).is_none_or(|end| key[..] < end[..]);
            prop_assert_eq!(key.starts_with(&prefix), key >= prefix && before_end);
        }
    }
}
