//! `matrix.v1.Interceptors`.

use std::sync::Arc;

use matrix_proto::v1;
use matrix_proto::v1::interceptors_server::Interceptors;
use tonic::{Request, Response, Status};

use super::convert;
use super::desk::{Desk, open};
use super::replay::Key;
use crate::runtime::interceptors::Wanted;

/// The service.
#[derive(Debug)]
pub(super) struct InterceptorsService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Interceptors for InterceptorsService {
    async fn set_chain(&self, request: Request<v1::SetChainRequest>) -> Result<Response<v1::Chain>, Status> {
        let (caller, v1::SetChainRequest { stages, request_id }) = open(request)?;
        let key = Key::new(&caller, "Interceptors/SetChain", &request_id)?;
        let interceptors = self.0.host.interceptors.clone();
        let wanted = |stage: v1::WantedStage| Wanted {
            component: stage.component,
            config: stage.config.into_iter().collect(),
        };
        let wanted = stages.into_iter().map(wanted).collect();
        let set = async move { Ok(convert::chain(interceptors.set(wanted).await?)) };
        self.0.mutate(key, set).await.map(Response::new)
    }

    async fn get_chain(&self, _: Request<v1::GetChainRequest>) -> Result<Response<v1::Chain>, Status> {
        Ok(Response::new(convert::chain(self.0.host.interceptors.standing())))
    }
}
