//! `matrix.v1.Learning`.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::learning_server::Learning;
use tonic::{Request, Response, Status};

use super::convert;
use super::desk::{Answers, Desk, open};
use super::paging::page_size;
use super::replay::Key;
use super::souls::name;
use crate::transport::envelope::Address;

/// The service.
#[derive(Debug)]
pub(super) struct LearningService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Learning for LearningService {
    async fn teach(&self, request: Request<v1::TeachRequest>) -> Result<Response<v1::TeachResponse>, Status> {
        let (caller, v1::TeachRequest { name: soul, experiences, request_id }) = open(request)?;
        let (key, soul) = (Key::new(&caller, "Learning/Teach", &request_id)?, name(&soul)?);
        let by = Address::Client((*caller).clone()).to_string();
        let experiences = convert::taught(experiences, &by)?;
        let request = key.as_ref().map(Key::kv_request);
        let learning = self.0.host.learning.clone();
        let taught = async move {
            let taught = learning.teach(&soul, experiences, request).await?;
            Ok(v1::TeachResponse { first_id: taught.first, count: taught.count })
        };
        self.0.mutate(key, taught).await.map(Response::new)
    }

    async fn feedback(
        &self,
        request: Request<v1::FeedbackRequest>,
    ) -> Result<Response<v1::TeachResponse>, Status> {
        let (caller, request) = open(request)?;
        let verdict = request.verdict();
        let v1::FeedbackRequest { name: soul, id, correction, request_id, .. } = request;
        let (key, soul) = (Key::new(&caller, "Learning/Feedback", &request_id)?, name(&soul)?);
        let (opinion, by) = (convert::opinion(verdict, correction)?, Address::Client((*caller).clone()));
        let request = key.as_ref().map(Key::kv_request);
        let learning = self.0.host.learning.clone();
        let judged = async move {
            let taught = learning.judge(&soul, &id, opinion, by.to_string(), request).await?;
            Ok(v1::TeachResponse { first_id: taught.first, count: taught.count })
        };
        self.0.mutate(key, judged).await.map(Response::new)
    }

    async fn experiences(
        &self,
        request: Request<v1::ExperiencesRequest>,
    ) -> Result<Response<v1::ExperiencesResponse>, Status> {
        let v1::ExperiencesRequest { name: soul, page } = request.into_inner();
        let (soul, page) = (name(&soul)?, page.unwrap_or_default());
        let after = match page.page_token.as_str() {
            "" => 0,
            token => {
                token.parse().map_err(|_| convert::bad_field("page.page_token", "is not of this list"))?
            }
        };
        let (learning, size) = (&self.0.host.learning, page_size(page.page_size)?);
        let index = learning.progress(&soul).await?.index;
        let found = learning.experiences(&soul, &index, after, size).await?;
        let last = found.last().map(|experience| experience.id).filter(|last| *last < index.last);
        Ok(Response::new(v1::ExperiencesResponse {
            experiences: found.into_iter().map(convert::experience).collect(),
            next_page_token: last.map(|last| last.to_string()).unwrap_or_default(),
            kept: index.kept(),
            taught: index.last,
        }))
    }

    async fn train(&self, request: Request<v1::TrainRequest>) -> Result<Response<v1::TrainResponse>, Status> {
        let (caller, v1::TrainRequest { name: soul, request_id }) = open(request)?;
        let (key, soul) = (Key::new(&caller, "Learning/Train", &request_id)?, name(&soul)?);
        let learning = self.0.host.learning.clone();
        let asked = async move { Ok(v1::TrainResponse { waiting: learning.train(&soul).await? }) };
        self.0.mutate(key, asked).await.map(Response::new)
    }

    async fn restore(
        &self,
        request: Request<v1::RestoreRequest>,
    ) -> Result<Response<v1::RestoreResponse>, Status> {
        let (caller, v1::RestoreRequest { name: soul, lesson, request_id }) = open(request)?;
        let (key, soul) = (Key::new(&caller, "Learning/Restore", &request_id)?, name(&soul)?);
        let learning = self.0.host.learning.clone();
        let asked = async move {
            learning.restore(&soul, lesson).await?;
            Ok(v1::RestoreResponse {})
        };
        self.0.mutate(key, asked).await.map(Response::new)
    }

    async fn compare(
        &self,
        request: Request<v1::CompareRequest>,
    ) -> Result<Response<v1::CompareResponse>, Status> {
        let v1::CompareRequest { name: soul, first, second } = request.into_inner();
        let (soul, learning) = (name(&soul)?, self.0.host.learning.clone());
        // To its end, also if nobody waits any more: a call into a guest is not broken off halfway.
        let compared = async move { Ok(convert::compared(learning.compare(&soul, [first, second]).await?)) };
        self.0.mutate(None, compared).await.map(Response::new)
    }

    async fn progress(
        &self,
        request: Request<v1::ProgressRequest>,
    ) -> Result<Response<v1::LearningProgress>, Status> {
        let v1::ProgressRequest { name: soul, after } = request.into_inner();
        let soul = name(&soul)?;
        let progress = self.0.host.learning.progress(&soul).await?;
        Ok(Response::new(convert::progress(&soul, &progress, after)))
    }

    type WatchStream = Answers<v1::LearningProgress>;

    async fn watch(
        &self,
        request: Request<v1::ProgressRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let v1::ProgressRequest { name: soul, after } = request.into_inner();
        let (soul, place) = (name(&soul)?, self.0.stream()?);
        let learning = self.0.host.learning.clone();
        let changes = Box::pin(learning.changes(&soul)?);
        let told = stream::try_unfold((changes, after), move |(mut changes, after)| {
            let (learning, soul) = (learning.clone(), soul.clone());
            async move {
                let Some(()) = changes.next().await else { return Ok(None) };
                let progress = learning.progress(&soul).await?;
                let told = convert::progress(&soul, &progress, after);
                Ok(Some((told, (changes, after.max(progress.lessons.count)))))
            }
        });
        Ok(self.0.answers(place, told))
    }
}
