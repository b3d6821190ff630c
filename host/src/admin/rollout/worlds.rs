//! Matrices that get new rules, wherever they run.

use std::sync::Arc;

use matrix_proto::v1;
use matrix_proto::v1::matrices_server::Matrices;
use tonic::{Code, Request, Response, Status};

use super::super::auth::{Caller, name_caller};
use super::super::desk::Desk;
use super::super::matrices::MatricesService;
use crate::ids::{Digest, MatrixName};
use crate::rollout::Users;

/// Gives Matrices new rules, as if each were swapped by its operator.
#[derive(Debug)]
pub(in crate::admin) struct Worlds {
    service: MatricesService,
    caller: Caller,
    to: Digest,
}

impl Worlds {
    pub(in crate::admin) fn new(desk: &Arc<Desk>, caller: Caller, to: Digest) -> Self {
        Self { service: MatricesService(desk.clone()), caller, to }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        name_caller(&mut request, self.caller.clone());
        request
    }

    async fn get(&self, matrix: &MatrixName) -> Result<v1::Matrix, Status> {
        let request = self.request(v1::GetMatrixRequest { name: matrix.to_string() });
        self.service.get(request).await.map(Response::into_inner)
    }
}

impl Users for Worlds {
    type User = MatrixName;
    /// Whether it was running.
    type Before = bool;

    async fn renew(&self, matrix: &MatrixName) -> Result<Option<bool>, String> {
        let before = match self.get(matrix).await {
            // It was deleted meanwhile: that is no failure of the rules'.
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            got => got.map_err(told)?,
        };
        let was_running = match before.state() {
            v1::MatrixState::Running => true,
            v1::MatrixState::Paused => false,
            // It is over.
            _ => return Ok(None),
        };
        let component = self.to.to_string();
        if before.manifest.is_some_and(|manifest| manifest.rules == component) {
            return Ok(None);
        }
        let request = v1::SwapMatrixRequest { name: matrix.to_string(), component, ..Default::default() };
        self.service.swap(self.request(request)).await.map_err(told)?;
        Ok(Some(was_running))
    }

    async fn failure(&self, matrix: &MatrixName, _: &bool) -> Option<String> {
        // A node that does not answer is no failure of the rules'.
        let now = self.get(matrix).await.ok()?;
        (now.state() == v1::MatrixState::Failed).then(|| format!("its new rules failed: {}", now.reason))
    }

    /// With the state of now; one that failed is brought back to its last tick first, and goes on if it was running.
    async fn take_back(&self, matrix: &MatrixName, was_running: &bool) -> Result<(), String> {
        let (name, request_id) = (matrix.to_string(), String::new());
        let request = v1::RollbackMatrixRequest { name: name.clone(), request_id: request_id.clone() };
        let back = self.service.rollback(self.request(request)).await.map_err(told)?.into_inner();
        if *was_running && back.state() == v1::MatrixState::Paused {
            let request = v1::StartMatrixRequest { name, request_id };
            self.service.start(self.request(request)).await.map_err(told)?;
        }
        Ok(())
    }
}

fn told(status: Status) -> String {
    status.message().to_owned()
}
