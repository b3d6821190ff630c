//! The chain of interceptors.

use matrix_proto::v1;
use tonic::{Code, Status};

use super::Failure;
use crate::runtime::interceptors::{Hold, InterceptorError, Standing};

/// The chain, as the node knows it.
pub(in crate::admin) fn chain(standing: Standing) -> v1::Chain {
    let Standing { revision, stages, hold } = standing;
    let stages = stages.into_iter().map(|stage| v1::ChainStage {
        name: stage.name,
        component: stage.component.to_string(),
        config: stage.config.into_iter().collect(),
    });
    let (state, reason) = match hold {
        Hold::Holds => (v1::ChainState::Holds, String::new()),
        Hold::Readying => (v1::ChainState::Readying, String::new()),
        Hold::Closed(why) => (v1::ChainState::Closed, why),
    };
    v1::Chain { stages: stages.collect(), revision, state: state.into(), reason }
}

impl From<InterceptorError> for Status {
    fn from(error: InterceptorError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error).field("stages").status();
        match error {
            InterceptorError::TooMany(_) => failure(Code::InvalidArgument, "CHAIN_TOO_LONG"),
            InterceptorError::Settings(_) => failure(Code::InvalidArgument, "SETTINGS_TOO_LARGE"),
            InterceptorError::WrongWorld { .. } => failure(Code::InvalidArgument, "COMPONENT_WRONG_WORLD"),
            InterceptorError::Waits(_) => failure(Code::InvalidArgument, "COMPONENT_WAITS"),
            InterceptorError::Start { .. } => failure(Code::FailedPrecondition, "INTERCEPTOR_NOT_STARTED"),
            InterceptorError::Damaged(_) => Failure::new(Code::DataLoss, "CHAIN_DAMAGED", &error).status(),
            InterceptorError::Component(error) => error.into(),
            InterceptorError::Kv(error) => error.into(),
        }
    }
}
