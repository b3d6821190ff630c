//! What Souls learn from, in the interface's words.

use matrix_proto::v1;
use tonic::{Code, Status};

use super::{Failure, bad_field};
use crate::clock;
use crate::learning::{LearningError, New};
use crate::runtime::learner::{Experience, Source};

/// What a caller teaches; `by` says who that is.
pub(in crate::admin) fn taught(experiences: Vec<v1::Experience>, by: &str) -> Result<Vec<New>, Status> {
    let new = |(number, told): (usize, v1::Experience)| {
        let source = match told.source() {
            v1::ExperienceSource::User => Source::User,
            v1::ExperienceSource::Api | v1::ExperienceSource::Unspecified => Source::Api,
            v1::ExperienceSource::Conversation | v1::ExperienceSource::Matrix => {
                let field = format!("experiences[{number}].source");
                return Err(bad_field(&field, "is the node's to say: use USER or API"));
            }
        };
        let at_ms = if told.at_ms == 0 { clock::now_ms() } else { told.at_ms };
        let v1::Experience { input, output, reward, .. } = told;
        Ok(New { source, by: by.to_owned(), input, output, reward, at_ms })
    };
    experiences.into_iter().enumerate().map(new).collect()
}

/// An experience as callers see it.
pub(in crate::admin) fn experience(experience: Experience) -> v1::Experience {
    let source = match experience.source {
        Source::User => v1::ExperienceSource::User,
        Source::Api => v1::ExperienceSource::Api,
        Source::Conversation => v1::ExperienceSource::Conversation,
        Source::Matrix => v1::ExperienceSource::Matrix,
    };
    v1::Experience {
        id: experience.id,
        source: source.into(),
        input: experience.input.into(),
        output: experience.output.into(),
        reward: experience.reward,
        at_ms: experience.at_ms,
        by: experience.by,
    }
}

impl From<LearningError> for Status {
    fn from(error: LearningError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match &error {
            LearningError::Unknown(soul) => failure(Code::NotFound, "SOUL_UNKNOWN").resource("soul", soul),
            LearningError::Field { field, .. } => {
                failure(Code::InvalidArgument, "FIELD_INVALID").field(field)
            }
            LearningError::Contended(soul) => {
                failure(Code::Aborted, "EXPERIENCE_CONTENDED").resource("soul", soul)
            }
            LearningError::Damaged(soul, _) => {
                failure(Code::DataLoss, "EXPERIENCE_DAMAGED").resource("soul", soul)
            }
            LearningError::Kv(_) => {
                let LearningError::Kv(error) = error else { return super::internal(&error) };
                return error.into();
            }
        }
        .status()
    }
}
