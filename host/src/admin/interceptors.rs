//! `matrix.v1.Interceptors`.

use std::sync::Arc;
use std::time::Duration;

use matrix_proto::v1;
use matrix_proto::v1::interceptors_server::Interceptors;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::auth::Caller;
use super::convert;
use super::desk::{Desk, open};
use super::replay::Key;
use super::rollout::Chains;
use crate::rollout::{BATCH_MAX, Plan, Step, roll_out};
use crate::runtime::interceptors::{Change, InterceptorError, Wanted};

/// How long new code is on trial, where the caller says nothing, in milliseconds.
const WATCH_MS_DEFAULT: u32 = 1_000;
/// The longest that it may be asked to be.
const WATCH_MS_MAX: u32 = 60_000;
/// What is told before it is read.
const STEPS_MAX: usize = 16;

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
        let set = async move {
            interceptors.set(wanted).await?;
            Ok(convert::chain(&interceptors))
        };
        self.0.mutate(key, set).await.map(Response::new)
    }

    async fn get_chain(&self, request: Request<v1::GetChainRequest>) -> Result<Response<v1::Chain>, Status> {
        let interceptors = &self.0.host.interceptors;
        match request.into_inner().revision {
            0 => {}
            revision => drop(interceptors.held(revision).await),
        }
        Ok(Response::new(convert::chain(interceptors)))
    }

    async fn swap(
        &self,
        request: Request<v1::SwapInterceptorRequest>,
    ) -> Result<Response<v1::SwapInterceptorResponse>, Status> {
        let (caller, request) = open(request)?;
        let (key, watch) =
            (Key::new(&caller, "Interceptors/Swap", &request.request_id)?, watch(request.watch_ms)?);
        let desk = self.0.clone();
        let swapped = async move {
            let (catalog, interceptors) = (&desk.host.catalog, &desk.host.interceptors);
            let to = catalog.resolve(&request.component).await;
            let to = to.map_err(|error| convert::component_at("component", error))?;
            match interceptors.change(&request.name, to).await? {
                Ok(change) if request.dry_run => dry_run(&desk, &change).await,
                Ok(change) => carry_out(&desk, caller, change, watch).await,
                Err(stage) => {
                    let trial = request.dry_run.then(v1::InterceptorTrial::default);
                    let (before, chain) = (stage.component.to_string(), Some(convert::chain(interceptors)));
                    Ok(v1::SwapInterceptorResponse { changed: false, before, chain, trial })
                }
            }
        };
        self.0.mutate(key, swapped).await.map(Response::new)
    }

    async fn rollback(
        &self,
        request: Request<v1::RollbackInterceptorRequest>,
    ) -> Result<Response<v1::SwapInterceptorResponse>, Status> {
        let (caller, request) = open(request)?;
        let (key, watch) =
            (Key::new(&caller, "Interceptors/Rollback", &request.request_id)?, watch(request.watch_ms)?);
        let desk = self.0.clone();
        let swapped = async move {
            let interceptors = &desk.host.interceptors;
            match interceptors.change_back(&request.name).await? {
                Some(change) => carry_out(&desk, caller, change, watch).await,
                // What was on trial is no more.
                None => {
                    let chain = Some(convert::chain(interceptors));
                    Ok(v1::SwapInterceptorResponse { changed: true, chain, ..Default::default() })
                }
            }
        };
        self.0.mutate(key, swapped).await.map(Response::new)
    }

    async fn history(
        &self,
        request: Request<v1::InterceptorHistoryRequest>,
    ) -> Result<Response<v1::InterceptorHistoryResponse>, Status> {
        let interceptors = &self.0.host.interceptors;
        let (place, stage) = interceptors.stage(&request.into_inner().name).await?;
        Ok(Response::new(convert::chain_history(&stage, interceptors.here().get(place))))
    }
}

fn watch(given: u32) -> Result<Duration, Status> {
    match given {
        0 => Ok(Duration::from_millis(WATCH_MS_DEFAULT.into())),
        1..=WATCH_MS_MAX => Ok(Duration::from_millis(given.into())),
        _ => Err(convert::bad_field("watch_ms", &format!("is {given}: use at most {WATCH_MS_MAX}"))),
    }
}

async fn dry_run(desk: &Arc<Desk>, change: &Change) -> Result<v1::SwapInterceptorResponse, Status> {
    let interceptors = &desk.host.interceptors;
    let place = change.places().next().ok_or(InterceptorError::Changed)?;
    let trial = interceptors.rehearse(place, change.to).await?;
    let (chain, trial) = (Some(convert::chain(interceptors)), Some(convert::chain_trial(trial)));
    Ok(v1::SwapInterceptorResponse { changed: false, before: before(change), chain, trial })
}

/// Lets new code judge on all nodes that are alive, and makes it the realm's if it gets on.
async fn carry_out(
    desk: &Arc<Desk>,
    caller: Caller,
    change: Change,
    watch: Duration,
) -> Result<v1::SwapInterceptorResponse, Status> {
    let not_swapped = |why| Status::from(InterceptorError::NotSwapped { name: change.name(), why });
    for place in change.places() {
        let trial = desk.host.interceptors.rehearse(place, change.to).await?;
        if !trial.refusal.is_empty() {
            return Err(not_swapped(trial.refusal));
        }
    }
    let chains = Chains::new(desk, caller, change.clone());
    let (nodes, (tell, mut told)) = (chains.nodes(), mpsc::channel(STEPS_MAX));
    let plan = Plan { canary_percent: 100, watch, batch: BATCH_MAX, failures_max: 0 };
    let hears = async {
        let (mut why, mut all) = (Vec::new(), false);
        while let Some(step) = told.recv().await {
            match step {
                Step::Failed(node, reason) => why.push(format!("{node}: {reason}")),
                Step::TakingBack(reason) if why.is_empty() => why.push(reason),
                Step::Ended(ended, _) => all = ended,
                Step::Progress(_) | Step::TakingBack(_) => {}
            }
        }
        if all { Ok(()) } else { Err(not_swapped(why.join("; "))) }
    };
    let ((), ended) = tokio::join!(roll_out(&chains, nodes, plan, tell), hears);
    ended?;
    let (before, chain) = (before(&change), Some(convert::chain(&desk.host.interceptors)));
    Ok(v1::SwapInterceptorResponse { changed: true, before, chain, trial: None })
}

fn before(change: &Change) -> String {
    change.before().map(|code| code.to_string()).unwrap_or_default()
}
