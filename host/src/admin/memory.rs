//! `matrix.v1.Memory`.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::memory_server::Memory;
use tonic::{Request, Response, Status};

use super::convert;
use super::desk::{Answers, Desk, open};
use super::paging::Page;
use super::replay::Key;
use super::souls::name;
use crate::ids::IdError;
use crate::memory::{Cue, RECOLLECTIONS_MAX};
use crate::souls::remembering::{Edit, FORGOTTEN_MAX};

/// How many episodes are recalled where the caller says nothing.
const RECALLED: usize = 10;
/// Episodes that an export reads at once: their embeddings may be long.
const EXPORT_PAGE: usize = 100;

/// The service.
#[derive(Debug)]
pub(super) struct MemoryService(pub(super) Arc<Desk>);

/// The id of an episode, as a page's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct After(u64);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for After {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self).map_err(|_| IdError::Name {
            what: "episode",
            text: text.chars().take(80).flat_map(char::escape_default).collect(),
            rule: "[0-9]+",
        })
    }
}

#[tonic::async_trait]
impl Memory for MemoryService {
    async fn list(
        &self,
        request: Request<v1::ListEpisodesRequest>,
    ) -> Result<Response<v1::ListEpisodesResponse>, Status> {
        let v1::ListEpisodesRequest { name: soul, page } = request.into_inner();
        let (soul, page) = (name(&soul)?, Page::<After>::parse(page)?);
        let after = page.after.map(|After(id)| id);
        let found = self.0.host.souls.episodes(&soul, after, page.look_up()).await?;
        let shown = |episode: &_| v1::Episode { embedding: Vec::new(), ..convert::episode(episode) };
        let (episodes, next_page_token) = page.cut(found, |episode| After(episode.id), shown);
        Ok(Response::new(v1::ListEpisodesResponse { episodes, next_page_token }))
    }

    async fn recall(
        &self,
        request: Request<v1::RecallRequest>,
    ) -> Result<Response<v1::RecallResponse>, Status> {
        let v1::RecallRequest { name: soul, cue, embedding, limit } = request.into_inner();
        let limit = match usize::try_from(limit).unwrap_or(usize::MAX) {
            0 => RECALLED,
            limit if limit <= RECOLLECTIONS_MAX => limit,
            limit => {
                return Err(convert::bad_field(
                    "limit",
                    &format!("is {limit}: use at most {RECOLLECTIONS_MAX}"),
                ));
            }
        };
        let cue = Cue { text: cue, embedding };
        let (found, extent) = self.0.host.souls.recall(&name(&soul)?, &cue, limit).await?;
        Ok(Response::new(convert::recalled(&found, extent)))
    }

    async fn remember(
        &self,
        request: Request<v1::RememberRequest>,
    ) -> Result<Response<v1::RememberResponse>, Status> {
        let (caller, request) = open(request)?;
        let key = Key::new(&caller, "Memory/Remember", &request.request_id)?;
        let soul = name(&request.name)?;
        let span = request.episode.as_ref().and_then(convert::span);
        let impression = convert::impression(request.episode)?;
        let souls = self.0.host.souls.clone();
        let remembered = async move {
            let edit = Edit { remember: Some(impression), span, ..Edit::default() };
            let edited = souls.edit_memory(&soul, edit).await?;
            Ok(convert::remembered(edited))
        };
        self.0.mutate(key, remembered).await.map(Response::new)
    }

    async fn forget(
        &self,
        request: Request<v1::ForgetRequest>,
    ) -> Result<Response<v1::ForgetResponse>, Status> {
        let (caller, request) = open(request)?;
        let key = Key::new(&caller, "Memory/Forget", &request.request_id)?;
        let (soul, forget) = (name(&request.name)?, request.ids);
        if forget.len() > FORGOTTEN_MAX {
            let many = format!("names {} episodes: use at most {FORGOTTEN_MAX}", forget.len());
            return Err(convert::bad_field("ids", &many));
        }
        let souls = self.0.host.souls.clone();
        let forgotten = async move {
            let edited = souls.edit_memory(&soul, Edit { forget, ..Edit::default() }).await?;
            Ok(v1::ForgetResponse { forgotten: edited.forgotten })
        };
        self.0.mutate(key, forgotten).await.map(Response::new)
    }

    type ExportStream = Answers<v1::Episode>;

    async fn export(
        &self,
        request: Request<v1::ExportMemoryRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let soul = name(&request.into_inner().name)?;
        let souls = self.0.host.souls.clone();
        // Read before the stream begins: that there is no such Soul is an answer of its own.
        let first: VecDeque<_> = souls.episodes(&soul, None, EXPORT_PAGE).await?.into();
        let place = self.0.stream()?;
        let read = (souls, soul, first);
        let episodes = stream::try_unfold(read, |(souls, soul, mut read)| async move {
            let Some(next) = read.pop_front() else { return Ok(None) };
            if read.is_empty() {
                read = souls.episodes(&soul, Some(next.id), EXPORT_PAGE).await?.into();
            }
            Ok::<_, Status>(Some((convert::episode(&next), (souls, soul, read))))
        });
        Ok(self.0.answers(place, episodes))
    }
}
