//! `matrix.v1.Components`.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::components_server::Components;
use matrix_proto::v1::upload_request::Part;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tonic::{Request, Response, Status, Streaming};

use super::convert;
use super::desk::{AdminHost, Answers, Desk, open};
use super::paging::Page;
use super::replay::Key;
use super::rollout;
use crate::ids::{ComponentName, Digest};
use crate::runtime::catalog::{ComponentError, Record};
use crate::runtime::signatures;
use crate::transport::bus::Source;

/// The most bytes in a chunk of an upload, as the interface says.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// The bytes in a chunk of a download.
const DOWNLOAD_CHUNK_BYTES: usize = 256 << 10;
/// How long a client may pause in an upload: it holds one of few places.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The service.
#[derive(Debug)]
pub(super) struct ComponentsService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Components for ComponentsService {
    async fn upload(
        &self,
        request: Request<Streaming<v1::UploadRequest>>,
    ) -> Result<Response<v1::UploadResponse>, Status> {
        let (caller, mut parts) = open(request)?;
        let Some(Part::Header(header)) = next_part(&mut parts).await? else {
            return Err(convert::bad_field("header", "is not the first part: send it before the chunks"));
        };
        let key = Key::new(&caller, "Components/Upload", &header.request_id)?;
        // On this task: whoever stops sending gives the upload up, and nothing stays of it.
        self.0.repeatable(key, self.take_in(header, parts)).await.map(Response::new)
    }

    async fn get(
        &self,
        request: Request<v1::GetComponentRequest>,
    ) -> Result<Response<v1::Component>, Status> {
        let record = find(&self.0.host, &request.into_inner().reference).await?;
        Ok(Response::new(convert::component(&record)))
    }

    async fn list(
        &self,
        request: Request<v1::ListComponentsRequest>,
    ) -> Result<Response<v1::ListComponentsResponse>, Status> {
        let page = Page::<Digest>::parse(request.into_inner().page)?;
        let mut found: Vec<Record> = Vec::new();
        loop {
            // The catalogue's pages may be shorter than those of the interface.
            let after = found.last().map(|record| record.digest).or(page.after);
            let more = self.0.host.catalog.list(after, page.look_up() - found.len()).await?;
            let ended = more.is_empty();
            found.extend(more);
            if ended || found.len() >= page.look_up() {
                break;
            }
        }
        let (components, next_page_token) = page.cut(found, |record| record.digest, convert::component);
        Ok(Response::new(v1::ListComponentsResponse { components, next_page_token }))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteComponentRequest>,
    ) -> Result<Response<v1::DeleteComponentResponse>, Status> {
        let (caller, v1::DeleteComponentRequest { reference, request_id }) = open(request)?;
        let key = Key::new(&caller, "Components/Delete", &request_id)?;
        let host = self.0.host.clone();
        let deleted = async move {
            let digest = find(&host, &reference).await?.digest;
            let (souls, matrices) =
                (host.souls.users_of(digest).await?, host.matrices.users_of(digest).await?);
            if souls + matrices > 0 {
                return Err(convert::in_use(&digest, souls, matrices));
            }
            if host.interceptors.uses(digest).await? {
                return Err(convert::in_chain(&digest));
            }
            host.catalog.remove(digest).await?;
            report(&host, "component.deleted", digest, &json!({}));
            Ok(v1::DeleteComponentResponse {})
        };
        self.0.mutate(key, deleted).await.map(Response::new)
    }

    type RolloutStream = Answers<v1::RolloutProgress>;

    async fn rollout(
        &self,
        request: Request<v1::RolloutRequest>,
    ) -> Result<Response<Self::RolloutStream>, Status> {
        rollout::roll_out(&self.0, request).await
    }

    type DownloadStream = Answers<v1::DownloadResponse>;

    async fn download(
        &self,
        request: Request<v1::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let digest = find(&self.0.host, &request.into_inner().reference).await?.digest;
        let place = self.0.stream()?;
        let store = self.0.host.catalog.components().store();
        let (file, _) = store.open_read(digest).await?;
        let chunks = stream::try_unfold(file, |mut file| async {
            let mut chunk = BytesMut::with_capacity(DOWNLOAD_CHUNK_BYTES);
            let read = file.read_buf(&mut chunk).await.map_err(|error| convert::internal(&error))?;
            Ok((read > 0).then(|| (v1::DownloadResponse { chunk: chunk.freeze() }, file)))
        });
        Ok(self.0.answers(place, chunks))
    }
}

impl ComponentsService {
    /// Stores the bytes that follow a header, and sees whether they can be run.
    async fn take_in(
        &self,
        header: v1::UploadHeader,
        mut parts: Streaming<v1::UploadRequest>,
    ) -> Result<v1::UploadResponse, Status> {
        let name = match header.name.as_str() {
            "" => None,
            name => Some(name.parse().map_err(|error| convert::bad_id("header.name", &error))?),
        };
        let name: Option<ComponentName> = name;
        let digest = match header.digest.as_str() {
            "" => None,
            digest => Some(digest.parse().map_err(|error| convert::bad_id("header.digest", &error))?),
        };
        let signature = header.signature.map(|given| convert::signature(given, &header.name)).transpose()?;
        let host = &self.0.host;
        let mut upload = host.catalog.components().store().begin_upload(Some(header.size), digest).await?;
        while let Some(part) = next_part(&mut parts).await? {
            upload.write(chunk_of(part)?).await?;
        }
        let (digest, _) = upload.finish().await?;
        if let Some(signature) = &signature
            && let Err(wrong) = signatures::holds(digest, signature)
        {
            // What was there before stays: it was taken in without this.
            if host.catalog.record(digest).await?.is_none() {
                host.catalog.components().remove(digest).await.map_err(ComponentError::from)?;
            }
            return Err(ComponentError::from(wrong).into());
        }
        let host = host.clone();
        // To its end, even if nobody waits: bytes that cannot be run must not stay.
        let admitted = async move {
            let existed = host.catalog.record(digest).await?.is_some();
            let (record, compiled_us) = host.catalog.admit(digest, name, signature).await?;
            // What was known had been compiled by an earlier upload.
            let compile_us = if existed { 0 } else { compiled_us };
            if !existed {
                let name = record.name.as_ref().map(ComponentName::as_str);
                let detail = json!({ "name": name, "kind": record.info.kind, "size": record.info.bytes });
                report(&host, "component.uploaded", digest, &detail);
            }
            Ok(v1::UploadResponse { component: Some(convert::component(&record)), existed, compile_us })
        };
        self.0.mutate(None, admitted).await
    }
}

async fn next_part(parts: &mut Streaming<v1::UploadRequest>) -> Result<Option<Part>, Status> {
    let part = tokio::time::timeout(PAUSE_MAX, parts.message()).await;
    let part = part.map_err(|_| convert::too_slow("the upload paused for too long"))??;
    match part {
        Some(v1::UploadRequest { part: Some(part) }) => Ok(Some(part)),
        Some(v1::UploadRequest { part: None }) => Err(convert::missing("part")),
        None => Ok(None),
    }
}

fn chunk_of(part: Part) -> Result<Bytes, Status> {
    match part {
        Part::Chunk(chunk) if chunk.len() <= CHUNK_BYTES_MAX => Ok(chunk),
        Part::Chunk(chunk) => {
            let problem = format!("has {} bytes: use at most {CHUNK_BYTES_MAX}", chunk.len());
            Err(convert::bad_field("chunk", &problem))
        }
        Part::Header(_) => Err(convert::bad_field("header", "came twice: send it once, before the chunks")),
    }
}

/// The component behind a digest or a name.
async fn find(host: &AdminHost, reference: &str) -> Result<Record, Status> {
    let digest = host.catalog.resolve(reference).await?;
    let record = host.catalog.record(digest).await?;
    Ok(record.ok_or(ComponentError::Unknown(digest))?)
}

fn report(host: &AdminHost, kind: &'static str, digest: Digest, detail: &serde_json::Value) {
    host.bus.report(kind, Source::Component(digest), detail);
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn chunks_are_bounded_and_headers_come_once() {
        let code = |part| chunk_of(part).map(|chunk| chunk.len()).map_err(|status| status.code());
        assert_eq!(code(Part::Chunk(Bytes::from(vec![0; CHUNK_BYTES_MAX]))), Ok(CHUNK_BYTES_MAX));
        assert_eq!(code(Part::Chunk(Bytes::from(vec![0; CHUNK_BYTES_MAX + 1]))), Err(Code::InvalidArgument));
        assert_eq!(code(Part::Header(v1::UploadHeader::default())), Err(Code::InvalidArgument));
    }
}
