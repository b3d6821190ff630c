//! The chain of interceptors.

use matrix_proto::v1;
use tonic::{Code, Status};

use super::Failure;
use crate::runtime::interceptors::{
    Cause, Here, Hold, InterceptorError, Interceptors, Stage, Trial, Version,
};

/// The chain, as this node knows it.
pub(in crate::admin) fn chain(interceptors: &Interceptors) -> v1::Chain {
    let (standing, here) = (interceptors.standing(), interceptors.here());
    let here = here.into_iter().map(Some).chain(std::iter::repeat(None));
    let stages = standing.stages.into_iter().zip(here).map(|(stage, here)| self::stage(stage, here));
    let stages = stages.collect();
    let (state, reason) = match standing.hold {
        Hold::Holds => (v1::ChainState::Holds, String::new()),
        Hold::Readying => (v1::ChainState::Readying, String::new()),
        Hold::Closed(why) => (v1::ChainState::Closed, why),
    };
    v1::Chain { stages, revision: standing.revision, state: state.into(), reason }
}

fn stage(stage: Stage, here: Option<Here>) -> v1::ChainStage {
    let Stage { name, component, config, next, .. } = stage;
    let (running, next_failure) =
        here.map(|here| (here.running.to_string(), here.failure)).unwrap_or_default();
    v1::ChainStage {
        name,
        component: component.to_string(),
        config: config.into_iter().collect(),
        running,
        next: next.as_ref().map(|next| next.component.to_string()).unwrap_or_default(),
        next_nodes: next.map(|next| next.nodes.into_iter().collect()).unwrap_or_default(),
        next_failure,
    }
}

/// What a dry run showed.
pub(in crate::admin) fn chain_trial(trial: Trial) -> v1::InterceptorTrial {
    let difference = |it: crate::runtime::interceptors::Difference| v1::InterceptorDifference {
        message: it.message,
        said: it.said,
        what: it.what.to_owned(),
        old: it.old,
        new: it.new,
    };
    v1::InterceptorTrial {
        refusal: trial.refusal,
        messages: trial.messages,
        differences: trial.differences.into_iter().map(difference).collect(),
        more: trial.more,
    }
}

/// Which code the interceptor at a place, from 0, has had.
pub(in crate::admin) fn chain_history(stage: &Stage, here: Option<&Here>) -> v1::InterceptorHistoryResponse {
    let wanted = stage.next.as_ref().map_or(stage.component, |next| next.component);
    let version = |version: &Version| v1::InterceptorVersion {
        number: version.number,
        component: version.component.to_string(),
        cause: match version.cause {
            Cause::Set => "set",
            Cause::Swap => "swap",
            Cause::Rollback => "rollback",
        }
        .to_owned(),
        at_ms: version.at_ms,
    };
    v1::InterceptorHistoryResponse {
        running: here.map(|here| here.running.to_string()).unwrap_or_default(),
        wanted: wanted.to_string(),
        versions: stage.versions.iter().map(version).collect(),
    }
}

impl From<InterceptorError> for Status {
    fn from(error: InterceptorError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        let wrong = |reason, field| failure(Code::InvalidArgument, reason).field(field).status();
        let not_now = |reason| failure(Code::FailedPrecondition, reason).status();
        match &error {
            InterceptorError::TooMany(_) => wrong("CHAIN_TOO_LONG", "stages"),
            InterceptorError::Settings(_) => wrong("SETTINGS_TOO_LARGE", "stages"),
            InterceptorError::WrongWorld { .. } => wrong("COMPONENT_WRONG_WORLD", "component"),
            InterceptorError::Waits(_) => wrong("COMPONENT_WAITS", "component"),
            InterceptorError::Start { .. } => not_now("INTERCEPTOR_NOT_STARTED"),
            InterceptorError::Unknown(name) => {
                failure(Code::NotFound, "INTERCEPTOR_UNKNOWN").resource("interceptor", name).status()
            }
            InterceptorError::Several(..) => wrong("INTERCEPTOR_AMBIGUOUS", "name"),
            InterceptorError::NoEarlier(_) | InterceptorError::NotSwapped { .. } => {
                not_now("INTERCEPTOR_NOT_SWAPPED")
            }
            InterceptorError::Changed => failure(Code::Aborted, "CHAIN_CHANGED").status(),
            InterceptorError::Damaged(_) => failure(Code::DataLoss, "CHAIN_DAMAGED").status(),
            InterceptorError::Component(_) | InterceptorError::Kv(_) => below(error),
        }
    }
}

/// What befell a room below.
fn below(error: InterceptorError) -> Status {
    match error {
        InterceptorError::Component(error) => error.into(),
        InterceptorError::Kv(error) => error.into(),
        other => super::internal(&other),
    }
}
