//! `matrix.v1.Matrices`.

use std::sync::Arc;

use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::matrices_server::Matrices;
use tonic::{Request, Response, Status};

use super::convert;
use super::desk::{Answers, Desk, open};
use super::paging::Page;
use super::replay::Key;
use crate::ids::MatrixName;
use crate::matrices::STEP_TICKS_MAX;

/// The service.
#[derive(Debug)]
pub(super) struct MatricesService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Matrices for MatricesService {
    async fn create(
        &self,
        request: Request<v1::CreateMatrixRequest>,
    ) -> Result<Response<v1::Matrix>, Status> {
        let (caller, v1::CreateMatrixRequest { manifest, request_id, start }) = open(request)?;
        let key = Key::new(&caller, "Matrices/Create", &request_id)?;
        let host = self.0.host.clone();
        let created = async move {
            let manifest = convert::required_matrix(manifest)?;
            let rules = host.catalog.resolve(&manifest.rules).await;
            let rules = rules.map_err(|error| convert::component_at("manifest.rules", error))?;
            let manifest = convert::matrix_manifest(manifest, rules)?;
            let view = host.matrices.create(manifest, start, None).await?;
            Ok(convert::matrix(&view))
        };
        self.0.mutate(key, created).await.map(Response::new)
    }

    async fn get(&self, request: Request<v1::GetMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let view = self.0.host.matrices.get(&name(&request.into_inner().name)?)?;
        Ok(Response::new(convert::matrix(&view)))
    }

    async fn list(
        &self,
        request: Request<v1::ListMatricesRequest>,
    ) -> Result<Response<v1::ListMatricesResponse>, Status> {
        let page = Page::<MatrixName>::parse(request.into_inner().page)?;
        let found = self.0.host.matrices.list(page.after.as_ref(), page.look_up());
        let (matrices, next_page_token) = page.cut(found, |view| view.manifest.name.clone(), convert::matrix);
        Ok(Response::new(v1::ListMatricesResponse { matrices, next_page_token }))
    }

    async fn start(&self, request: Request<v1::StartMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Start", &request.request_id)?, name(&request.name)?);
        let matrices = self.0.host.matrices.clone();
        let started = async move { Ok(convert::matrix(&matrices.run(&name, None).await?)) };
        self.0.mutate(key, started).await.map(Response::new)
    }

    async fn pause(&self, request: Request<v1::PauseMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Pause", &request.request_id)?, name(&request.name)?);
        let matrices = self.0.host.matrices.clone();
        let paused = async move { Ok(convert::matrix(&matrices.pause(&name, None).await?)) };
        self.0.mutate(key, paused).await.map(Response::new)
    }

    async fn step(&self, request: Request<v1::StepMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Step", &request.request_id)?, name(&request.name)?);
        let ticks = ticks(request.ticks)?;
        let matrices = self.0.host.matrices.clone();
        let stepped = async move { Ok(convert::matrix(&matrices.step(&name, ticks).await?)) };
        self.0.mutate(key, stepped).await.map(Response::new)
    }

    async fn stop(&self, request: Request<v1::StopMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Stop", &request.request_id)?, name(&request.name)?);
        let matrices = self.0.host.matrices.clone();
        let stopped = async move { Ok(convert::matrix(&matrices.stop(&name, None).await?)) };
        self.0.mutate(key, stopped).await.map(Response::new)
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteMatrixRequest>,
    ) -> Result<Response<v1::DeleteMatrixResponse>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Delete", &request.request_id)?, name(&request.name)?);
        let matrices = self.0.host.matrices.clone();
        let deleted = async move {
            matrices.get(&name)?;
            matrices.delete(&name, None).await?;
            Ok(v1::DeleteMatrixResponse {})
        };
        self.0.mutate(key, deleted).await.map(Response::new)
    }

    async fn view(
        &self,
        request: Request<v1::ViewMatrixRequest>,
    ) -> Result<Response<v1::ViewMatrixResponse>, Status> {
        let (tick, content) = self.0.host.matrices.view(&name(&request.into_inner().name)?).await?;
        Ok(Response::new(v1::ViewMatrixResponse { tick, content: Some(convert::content_to(&content)) }))
    }

    type ReplayStream = Answers<v1::ReplayMatrixResponse>;

    async fn replay(
        &self,
        request: Request<v1::ReplayMatrixRequest>,
    ) -> Result<Response<Self::ReplayStream>, Status> {
        let name = name(&request.into_inner().name)?;
        let place = self.0.stream()?;
        let progress = self.0.host.matrices.replay(&name)?;
        let steps = stream::unfold(progress, |mut progress| async {
            let step = progress.recv().await?;
            Some((step.map(|step| convert::replayed(&step)).map_err(Status::from), progress))
        });
        Ok(self.0.answers(place, steps))
    }
}

fn name(text: &str) -> Result<MatrixName, Status> {
    text.parse().map_err(|error| convert::bad_id("name", &error))
}

fn ticks(given: u32) -> Result<u32, Status> {
    match given {
        0 => Ok(1),
        1..=STEP_TICKS_MAX => Ok(given),
        _ => Err(convert::bad_field("ticks", &format!("is {given}: use at most {STEP_TICKS_MAX}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_bounded() {
        assert_eq!(
            (ticks(0).ok(), ticks(STEP_TICKS_MAX).ok(), ticks(STEP_TICKS_MAX + 1).ok()),
            (Some(1), Some(STEP_TICKS_MAX), None)
        );
    }
}
