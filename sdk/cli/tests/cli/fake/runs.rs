//! Matrices. One that is started has three ticks, and is over when it is asked for a second time.

use matrix_proto::v1::matrices_server::Matrices;
use matrix_proto::v1::*;
use tonic::{Request, Response, Status};

use super::Services;
use super::services::{Answers, answers};

/// What every Matrix finds out.
const RESULT: &str = r#"{"ranking":[{"name":"tit-for-tat","score":3.0},{"name":"defector","score":1.5}]}"#;

impl Services {
    /// Changes a Matrix, and returns it.
    fn change(&self, name: &str, change: impl FnOnce(&mut Matrix)) -> Result<Response<Matrix>, Status> {
        let mut state = self.state();
        let matrix = state.matrices.get_mut(name);
        let matrix = matrix.ok_or_else(|| Status::not_found(format!("there is no Matrix `{name}`")))?;
        change(matrix);
        Ok(Response::new(matrix.clone()))
    }
}

/// Goes on by a tick, if it runs.
fn advance(matrix: &mut Matrix) {
    if matrix.state() != MatrixState::Running {
        return;
    }
    matrix.tick += 1;
    if matrix.tick == 2 && matrix.manifest.as_ref().is_some_and(|manifest| manifest.name == "doomed") {
        matrix.set_state(MatrixState::Failed);
        matrix.reason = "the rules ran out of fuel".to_owned();
    } else if matrix.tick == 3 {
        matrix.set_state(MatrixState::Finished);
        matrix.result = Some(Content { content_type: "application/json".to_owned(), body: RESULT.into() });
        matrix.signals = vec![Metric { name: "cooperation.rate".to_owned(), value: 0.75 }];
    }
}

#[tonic::async_trait]
impl Matrices for Services {
    async fn create(&self, request: Request<CreateMatrixRequest>) -> Result<Response<Matrix>, Status> {
        let mut state = self.enter("CreateMatrix", request.get_ref())?;
        let CreateMatrixRequest { manifest, start, .. } = request.into_inner();
        let name = manifest.as_ref().map(|manifest| manifest.name.clone()).unwrap_or_default();
        if state.matrices.contains_key(&name) {
            return Err(Status::already_exists("there is one"));
        }
        let running = if start { MatrixState::Running } else { MatrixState::Paused };
        let matrix = Matrix { manifest, state: running.into(), ..Matrix::default() };
        state.matrices.insert(name, matrix.clone());
        Ok(Response::new(matrix))
    }

    async fn get(&self, request: Request<GetMatrixRequest>) -> Result<Response<Matrix>, Status> {
        drop(self.enter("GetMatrix", request.get_ref())?);
        self.change(&request.get_ref().name, advance)
    }

    async fn list(
        &self,
        request: Request<ListMatricesRequest>,
    ) -> Result<Response<ListMatricesResponse>, Status> {
        let state = self.enter("ListMatrices", request.get_ref())?;
        let matrices = state.matrices.values().cloned().collect();
        Ok(Response::new(ListMatricesResponse { matrices, next_page_token: String::new() }))
    }

    async fn start(&self, request: Request<StartMatrixRequest>) -> Result<Response<Matrix>, Status> {
        drop(self.enter("StartMatrix", request.get_ref())?);
        self.change(&request.get_ref().name, |matrix| matrix.set_state(MatrixState::Running))
    }

    async fn pause(&self, request: Request<PauseMatrixRequest>) -> Result<Response<Matrix>, Status> {
        drop(self.enter("PauseMatrix", request.get_ref())?);
        self.change(&request.get_ref().name, |matrix| matrix.set_state(MatrixState::Paused))
    }

    async fn step(&self, request: Request<StepMatrixRequest>) -> Result<Response<Matrix>, Status> {
        drop(self.enter("StepMatrix", request.get_ref())?);
        let ticks = request.get_ref().ticks;
        self.change(&request.get_ref().name, |matrix| matrix.tick += u64::from(ticks))
    }

    async fn stop(&self, request: Request<StopMatrixRequest>) -> Result<Response<Matrix>, Status> {
        drop(self.enter("StopMatrix", request.get_ref())?);
        self.change(&request.get_ref().name, |matrix| matrix.set_state(MatrixState::Stopped))
    }

    async fn r#move(&self, request: Request<MoveMatrixRequest>) -> Result<Response<Matrix>, Status> {
        drop(self.enter("MoveMatrix", request.get_ref())?);
        let to = request.get_ref().node;
        self.change(&request.get_ref().name, |matrix| matrix.node = to)
    }

    async fn swap(
        &self,
        request: Request<SwapMatrixRequest>,
    ) -> Result<Response<SwapMatrixResponse>, Status> {
        drop(self.enter("SwapMatrix", request.get_ref())?);
        let SwapMatrixRequest { name, component, dry_run, ticks, .. } = request.into_inner();
        let rehearsal = dry_run.then(|| Rehearsal {
            from: 1,
            ticks: ticks.into(),
            differences: vec![RehearsalDifference {
                tick: 2,
                what: "signals".to_owned(),
                before: "0: rate 0.5".to_owned(),
                after: "0: rate 0.25".to_owned(),
            }],
            left_out: 3,
        });
        let matrix = self.change(&name, |matrix| {
            if !dry_run {
                let (tick, state_hash) = (matrix.tick, matrix.state_hash.clone());
                let rules = matrix.manifest.as_mut().map(|manifest| &mut manifest.rules).expect("a manifest");
                let before = std::mem::replace(rules, component.clone());
                matrix.switches.push(RulesSwitch { tick, before, after: component, state_hash });
            }
        })?;
        Ok(Response::new(SwapMatrixResponse { matrix: Some(matrix.into_inner()), rehearsal }))
    }

    async fn rollback(&self, request: Request<RollbackMatrixRequest>) -> Result<Response<Matrix>, Status> {
        drop(self.enter("RollbackMatrix", request.get_ref())?);
        let name = request.into_inner().name;
        let last = self.state().matrices.get(&name).and_then(|matrix| matrix.switches.last().cloned());
        let last = last.ok_or_else(|| Status::failed_precondition("there were no others before them"))?;
        self.change(&name, |matrix| {
            if let Some(manifest) = &mut matrix.manifest {
                manifest.rules.clone_from(&last.before);
            }
            let (before, after) = (last.after.clone(), last.before.clone());
            matrix.switches.push(RulesSwitch { before, after, ..last });
        })
    }

    async fn delete(
        &self,
        request: Request<DeleteMatrixRequest>,
    ) -> Result<Response<DeleteMatrixResponse>, Status> {
        let mut state = self.enter("DeleteMatrix", request.get_ref())?;
        match state.matrices.remove(&request.get_ref().name) {
            Some(matrix) if matrix.state() == MatrixState::Running => {
                Err(Status::failed_precondition("it runs"))
            }
            Some(_) => Ok(Response::new(DeleteMatrixResponse {})),
            None => Err(Status::not_found("there is no such Matrix")),
        }
    }

    async fn view(
        &self,
        request: Request<ViewMatrixRequest>,
    ) -> Result<Response<ViewMatrixResponse>, Status> {
        drop(self.enter("View", request.get_ref())?);
        let content = Content { content_type: "image/svg+xml".to_owned(), body: "<svg/>".into() };
        Ok(Response::new(ViewMatrixResponse { tick: 2, content: Some(content) }))
    }

    type ReplayStream = Answers<ReplayMatrixResponse>;

    async fn replay(
        &self,
        request: Request<ReplayMatrixRequest>,
    ) -> Result<Response<Self::ReplayStream>, Status> {
        let first_difference = self.enter("Replay", request.get_ref())?.differs_at;
        let step = |tick, done| ReplayMatrixResponse {
            tick,
            ticks: 3,
            done,
            first_difference: first_difference.filter(|_| done),
            state_hash: "sha256:cd".to_owned(),
        };
        answers(vec![step(1, false), step(2, false), step(3, true)])
    }
}
