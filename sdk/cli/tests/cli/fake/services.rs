//! Cluster, Components and Kv.

use std::pin::Pin;

use bytes::Bytes;
use matrix_proto::backup::Writer;
use matrix_proto::v1::cluster_server::Cluster;
use matrix_proto::v1::compare_and_swap_request::Expected;
use matrix_proto::v1::components_server::Components;
use matrix_proto::v1::kv_server::Kv;
use matrix_proto::v1::upload_request::Part;
use matrix_proto::v1::*;
use matrix_proto::wire::BackupHeader;
use sha2::{Digest as _, Sha256};
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::Services;

/// A stream of answers.
pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A stream of these answers.
pub(super) fn answers<T: Send + 'static>(all: Vec<T>) -> Result<Response<Answers<T>>, Status> {
    Ok(Response::new(Box::pin(tokio_stream::iter(all.into_iter().map(Ok)))))
}

#[tonic::async_trait]
impl Cluster for Services {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        drop(self.enter("Status", request.get_ref())?);
        Ok(Response::new(StatusResponse {
            node_id: "n1".to_owned(),
            version: "0.1.0".to_owned(),
            uptime_ms: 93_600_000,
            ready: true,
            souls: Some(SoulCounts { running: 2, failed: 1, ..SoulCounts::default() }),
            event_sequence: 4,
            resident_bytes: 64 << 20,
            ..StatusResponse::default()
        }))
    }

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        drop(self.enter("ListNodes", request.get_ref())?);
        let nodes = vec![listed(1, "leader", true), listed(2, "learner", false)];
        Ok(Response::new(ListNodesResponse { nodes, next_page_token: String::new() }))
    }

    async fn invite(&self, request: Request<InviteRequest>) -> Result<Response<InviteResponse>, Status> {
        drop(self.enter("Invite", request.get_ref())?);
        Ok(Response::new(InviteResponse { token: "matrix1abc".to_owned(), expires_at_ms: 7 }))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<Node>, Status> {
        drop(self.enter("Drain", request.get_ref())?);
        let node = listed(request.get_ref().node, "follower", true);
        Ok(Response::new(Node { state: "draining".to_owned(), ..node }))
    }

    async fn resume(&self, request: Request<ResumeRequest>) -> Result<Response<Node>, Status> {
        drop(self.enter("Resume", request.get_ref())?);
        Ok(Response::new(listed(request.get_ref().node, "follower", true)))
    }

    async fn remove(&self, request: Request<RemoveRequest>) -> Result<Response<Node>, Status> {
        drop(self.enter("Remove", request.get_ref())?);
        Err(Status::not_found(format!("there is no node {}", request.get_ref().node)))
    }

    type BackupStream = Answers<BackupResponse>;

    async fn backup(&self, request: Request<BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let cut = self.enter("Backup", request.get_ref())?.backup_is_cut;
        let (mut writer, first) =
            Writer::new(BackupHeader { index: 300, node: 1, ..BackupHeader::default() });
        let mut pieces = vec![first, writer.kv(Bytes::from_static(b"state"))];
        if !cut {
            pieces.push(writer.end(vec!["the run log of matrix town".to_owned()]));
        }
        answers(pieces.into_iter().map(|data| BackupResponse { data }).collect())
    }
}

fn listed(number: u64, role: &str, alive: bool) -> Node {
    Node {
        number,
        state: "member".to_owned(),
        role: role.to_owned(),
        alive,
        connected: alive,
        lag: alive.then_some(3),
        version: "0.1.0".to_owned(),
        peer: "12D3KooW".to_owned(),
        ..Node::default()
    }
}

fn find(services: &Services, reference: &str) -> Result<(Component, Bytes), Status> {
    let state = services.state();
    let mut all = state.components.values();
    all.find(|(component, _)| component.digest == reference || component.name == reference)
        .cloned()
        .ok_or_else(|| Status::not_found(format!("there is no component `{reference}`")))
}

#[tonic::async_trait]
impl Components for Services {
    type RolloutStream = Answers<RolloutProgress>;

    async fn rollout(
        &self,
        request: Request<RolloutRequest>,
    ) -> Result<Response<Self::RolloutStream>, Status> {
        drop(self.enter("Rollout", request.get_ref())?);
        use matrix_proto::v1::rollout_progress::Event;
        let step =
            |swapped, event| RolloutProgress { total: 9, swapped, event, ..RolloutProgress::default() };
        if request.get_ref().component == "good" {
            return answers(vec![step(1, None), step(9, Some(Event::Ended(true)))]);
        }
        let failure = RolloutFailure { user: "neo".to_owned(), reason: "it trapped".to_owned() };
        let back = Event::TakingBack("1 Souls failed, and 0 may".to_owned());
        let events = [Event::Failure(failure), back, Event::Ended(false)];
        answers(events.into_iter().map(|event| step(1, Some(event))).collect())
    }

    async fn upload(
        &self,
        request: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<UploadResponse>, Status> {
        let mut parts = request.into_inner();
        let Some(UploadRequest { part: Some(Part::Header(header)) }) = parts.message().await? else {
            return Err(Status::invalid_argument("the header is missing"));
        };
        let (mut bytes, mut chunks) = (Vec::new(), 0);
        while let Some(UploadRequest { part: Some(Part::Chunk(chunk)) }) = parts.message().await? {
            bytes.extend_from_slice(&chunk);
            chunks += 1;
        }
        let mut state = self.enter("Upload", &(&header, chunks))?;
        if bytes.starts_with(b"bad") {
            let mut details = ErrorDetails::new();
            details.add_bad_request_violation("chunk", "build it for wasm32-wasip2");
            details.set_error_info("NOT_A_COMPONENT", "matrix.v1", [("offset".to_owned(), "0".to_owned())]);
            let message = "these bytes are no component";
            return Err(Status::with_error_details(Code::InvalidArgument, message, details));
        }
        let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = format!("sha256:{hex}");
        if header.digest != digest || header.size != bytes.len() as u64 {
            return Err(Status::invalid_argument("digest or size are wrong"));
        }
        let component = Component {
            digest: digest.clone(),
            name: header.name,
            size: header.size,
            kind: ComponentKind::Soul.into(),
            uploaded_at_ms: 1_709_251_199_999,
            ..Component::default()
        };
        let older = state.components.insert(digest, (component.clone(), bytes.into()));
        let answer =
            UploadResponse { component: Some(component), existed: older.is_some(), compile_us: 5000 };
        Ok(Response::new(answer))
    }

    async fn get(&self, request: Request<GetComponentRequest>) -> Result<Response<Component>, Status> {
        drop(self.enter("GetComponent", request.get_ref())?);
        let found = find(self, &request.get_ref().reference)?;
        Ok(Response::new(found.0))
    }

    async fn list(
        &self,
        request: Request<ListComponentsRequest>,
    ) -> Result<Response<ListComponentsResponse>, Status> {
        // One a page, so that the pages have to be followed.
        let state = self.enter("ListComponents", request.get_ref())?;
        let page = request.into_inner().page.unwrap_or_default();
        let at: usize = page.page_token.parse().unwrap_or(0);
        let components: Vec<_> = state.components.values().map(|(component, _)| component.clone()).collect();
        let next = if at + 1 < components.len() { (at + 1).to_string() } else { String::new() };
        let components = components.into_iter().skip(at).take(1).collect();
        Ok(Response::new(ListComponentsResponse { components, next_page_token: next }))
    }

    async fn delete(
        &self,
        request: Request<DeleteComponentRequest>,
    ) -> Result<Response<DeleteComponentResponse>, Status> {
        drop(self.enter("DeleteComponent", request.get_ref())?);
        let digest = find(self, &request.get_ref().reference)?.0.digest;
        self.state().components.remove(&digest);
        Ok(Response::new(DeleteComponentResponse {}))
    }

    type DownloadStream = Answers<DownloadResponse>;

    async fn download(
        &self,
        request: Request<DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let bytes = find(self, &request.get_ref().reference)?.1;
        answers(bytes.chunks(1000).map(|chunk| DownloadResponse { chunk: chunk.to_vec().into() }).collect())
    }
}

#[tonic::async_trait]
impl Kv for Services {
    async fn get(&self, request: Request<KvGetRequest>) -> Result<Response<KvGetResponse>, Status> {
        let state = self.enter("KvGet", request.get_ref())?;
        let entry = state.kv.get(&request.get_ref().key).cloned();
        Ok(Response::new(KvGetResponse { entry, log_index: 1 }))
    }

    async fn put(&self, request: Request<KvPutRequest>) -> Result<Response<KvPutResponse>, Status> {
        let mut state = self.enter("KvPut", request.get_ref())?;
        state.revision += 1;
        let revision = state.revision;
        let KvPutRequest { key, value, .. } = request.into_inner();
        let entry = KvEntry { key: key.clone(), value, revision, version: 1, ..KvEntry::default() };
        state.kv.insert(key, entry);
        Ok(Response::new(KvPutResponse { revision, log_index: 1 }))
    }

    async fn delete(&self, request: Request<KvDeleteRequest>) -> Result<Response<KvDeleteResponse>, Status> {
        let mut state = self.enter("KvDelete", request.get_ref())?;
        let existed = state.kv.remove(&request.get_ref().key).is_some();
        Ok(Response::new(KvDeleteResponse { existed, revision: state.revision, log_index: 1 }))
    }

    async fn compare_and_swap(
        &self,
        request: Request<CompareAndSwapRequest>,
    ) -> Result<Response<CompareAndSwapResponse>, Status> {
        let mut state = self.enter("Cas", request.get_ref())?;
        let CompareAndSwapRequest { key, expected, new_value, .. } = request.into_inner();
        let now = state.kv.get(&key).cloned();
        let swapped = match expected {
            Some(Expected::Absent(_)) | None => now.is_none(),
            Some(Expected::Revision(revision)) => {
                now.as_ref().is_some_and(|entry| entry.revision == revision)
            }
            Some(Expected::Value(value)) => now.as_ref().is_some_and(|entry| entry.value == value),
        };
        if swapped {
            state.revision += 1;
            let revision = state.revision;
            state.kv.remove(&key);
            if let Some(value) = new_value {
                let entry = KvEntry { key: key.clone(), value, revision, ..KvEntry::default() };
                state.kv.insert(key.clone(), entry);
            }
        }
        let current = state.kv.get(&key).cloned();
        Ok(Response::new(CompareAndSwapResponse { swapped, current, log_index: 1, revision: state.revision }))
    }

    async fn range(&self, request: Request<KvRangeRequest>) -> Result<Response<KvRangeResponse>, Status> {
        // Two a page, so that the pages have to be followed.
        let state = self.enter("Range", request.get_ref())?;
        let KvRangeRequest { prefix, page_token, page_size, .. } = request.into_inner();
        let all = state.kv.values().filter(|entry| entry.key.starts_with(&prefix) && entry.key > page_token);
        let entries: Vec<_> = all.take(2.min(page_size as usize)).cloned().collect();
        let next_page_token = entries.last().map(|entry| entry.key.clone()).unwrap_or_default();
        Ok(Response::new(KvRangeResponse { entries, next_page_token, revision: 1, log_index: 1 }))
    }

    type WatchStream = Answers<KvWatchResponse>;

    async fn watch(&self, request: Request<KvWatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        drop(self.enter("Watch", request.get_ref())?);
        let entry =
            |value: &'static str| KvEntry { key: "k".into(), value: value.into(), ..KvEntry::default() };
        answers(vec![
            KvWatchResponse { revision: 1, entry: Some(entry("v")), deleted: false },
            KvWatchResponse { revision: 2, entry: Some(entry("")), deleted: true },
        ])
    }

    type PipelineStream = Answers<KvPipelineResponse>;

    async fn pipeline(
        &self,
        _: Request<Streaming<KvPipelineRequest>>,
    ) -> Result<Response<Self::PipelineStream>, Status> {
        Err(Status::unimplemented("the command has no use for pipelines"))
    }

    async fn grant_lease(
        &self,
        _: Request<GrantLeaseRequest>,
    ) -> Result<Response<GrantLeaseResponse>, Status> {
        Err(Status::unimplemented("the command has no use for leases"))
    }

    async fn keep_alive(&self, _: Request<KeepAliveRequest>) -> Result<Response<KeepAliveResponse>, Status> {
        Err(Status::unimplemented("the command has no use for leases"))
    }

    async fn revoke_lease(
        &self,
        _: Request<RevokeLeaseRequest>,
    ) -> Result<Response<RevokeLeaseResponse>, Status> {
        Err(Status::unimplemented("the command has no use for leases"))
    }
}
