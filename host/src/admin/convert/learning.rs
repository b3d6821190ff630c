//! What Souls learn from, in the interface's words.

use bytes::Bytes;
use matrix_proto::v1;
use tonic::{Code, Status};

use super::{Failure, bad_field};
use crate::clock;
use crate::ids::SoulName;
use crate::learning::{Comparison, LearningError, Lesson, New, Opinion, Progress, Side, Verdict};
use crate::runtime::learner::{Experience, Figures, Source};
use crate::souls::SoulError;
use crate::souls::capture::Capture;
use crate::souls::pupil::LearnError;
use crate::souls::training::{Training, TrainingMode};

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
        Ok(New { source, by: by.to_owned(), about: String::new(), input, output, reward, at_ms })
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
        about: experience.about,
    }
}

/// What a caller thinks of an answer.
pub(in crate::admin) fn opinion(verdict: v1::FeedbackVerdict, correction: Bytes) -> Result<Opinion, Status> {
    match verdict {
        v1::FeedbackVerdict::Good => Ok(Opinion::Good),
        v1::FeedbackVerdict::Bad => Ok(Opinion::Bad),
        v1::FeedbackVerdict::Correct => Ok(Opinion::Correct(correction)),
        v1::FeedbackVerdict::Unspecified => Err(bad_field("verdict", "is missing: use GOOD, BAD or CORRECT")),
    }
}

/// How a caller wants a Soul to learn. What is out of bounds is found by `Manifest::check`.
pub(in crate::admin) fn training(given: v1::Training) -> Result<Training, Status> {
    let capture = given.capture().map(|capture| match capture {
        v1::Capture::Conversation => Ok(Capture::Conversation),
        v1::Capture::Matrix => Ok(Capture::Matrix),
        v1::Capture::Unspecified => {
            Err(bad_field("manifest.learning.capture", "has an entry that is not known"))
        }
    });
    let capture = capture.collect::<Result<_, _>>()?;
    let mode = match given.mode() {
        v1::TrainingMode::Unspecified | v1::TrainingMode::Beside => TrainingMode::Beside,
        v1::TrainingMode::InPlace => TrainingMode::InPlace,
    };
    Ok(Training {
        manual: given.manual,
        every_experiences: given.every_experiences,
        every_seconds: given.every_seconds,
        batch: given.batch,
        mode,
        held_out_percent: given.held_out_percent.map(|percent| u8::try_from(percent).unwrap_or(u8::MAX)),
        metric: given.metric,
        more_is_better: given.more_is_better,
        tolerance: given.tolerance,
        capture,
    })
}

/// How a Soul learns, as callers see it.
pub(in crate::admin) fn training_to(training: &Training) -> v1::Training {
    let mode = match training.mode {
        TrainingMode::Beside => v1::TrainingMode::Beside,
        TrainingMode::InPlace => v1::TrainingMode::InPlace,
    };
    let capture = training.capture.iter().map(|capture| match capture {
        Capture::Conversation => v1::Capture::Conversation.into(),
        Capture::Matrix => v1::Capture::Matrix.into(),
    });
    v1::Training {
        manual: training.manual,
        every_experiences: training.every_experiences,
        every_seconds: training.every_seconds,
        batch: training.batch,
        mode: mode.into(),
        held_out_percent: training.held_out_percent.map(u32::from),
        metric: training.metric.clone(),
        more_is_better: training.more_is_better,
        tolerance: training.tolerance,
        capture: capture.collect(),
    }
}

/// How far a Soul has learnt, as callers see it: with the lessons after the number `after`.
pub(in crate::admin) fn progress(soul: &SoulName, progress: &Progress, after: u64) -> v1::LearningProgress {
    let Progress { index, lessons } = progress;
    let is_kept = |number: u64| lessons.states.iter().any(|state| state.lesson == number);
    let shown = lessons.list.iter().filter(|lesson| lesson.number > after);
    let shown = shown.map(|of| v1::Lesson { is_kept: is_kept(of.number), ..lesson(of) });
    v1::LearningProgress {
        name: soul.to_string(),
        taught: index.last,
        kept: index.kept(),
        seen: lessons.seen,
        waiting: progress.waiting(),
        delayed: lessons.delayed.clone(),
        lessons: shown.collect(),
    }
}

/// Two lessons side by side, as callers see them.
pub(in crate::admin) fn compared(of: Comparison) -> v1::CompareResponse {
    let side = |side: Side| v1::ComparedLesson {
        lesson: side.lesson,
        state: side.state.to_string(),
        figures: figures(&side.figures),
    };
    let [first, second] = of.sides.map(side).map(Some);
    v1::CompareResponse {
        component: of.component.to_string(),
        metric: of.metric,
        more_is_better: of.more_is_better,
        held_out: of.held_out,
        first,
        second,
    }
}

fn lesson(lesson: &Lesson) -> v1::Lesson {
    let verdict = match lesson.verdict {
        Verdict::Kept => v1::LessonVerdict::Kept,
        Verdict::Rejected => v1::LessonVerdict::Rejected,
        Verdict::Failed => v1::LessonVerdict::Failed,
        Verdict::Restored => v1::LessonVerdict::Restored,
    };
    v1::Lesson {
        number: lesson.number,
        verdict: verdict.into(),
        reason: lesson.reason.clone(),
        first: lesson.first,
        last: lesson.last,
        trained: lesson.trained,
        held_out: lesson.held_out,
        data: lesson.data.to_string(),
        metric: lesson.metric.clone(),
        before: figures(&lesson.before),
        after: figures(&lesson.after),
        figures: figures(&lesson.figures),
        component: lesson.component.to_string(),
        parent: lesson.parent.map(|state| state.to_string()).unwrap_or_default(),
        state: lesson.state.map(|state| state.to_string()).unwrap_or_default(),
        at_ms: lesson.at_ms,
        took_ms: lesson.took_ms,
        is_kept: false,
    }
}

fn figures(figures: &Figures) -> Vec<v1::Metric> {
    figures.iter().map(|(name, value)| v1::Metric { name: name.clone(), value: *value }).collect()
}

impl From<LearningError> for Status {
    fn from(error: LearningError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match &error {
            LearningError::Unknown(soul) => failure(Code::NotFound, "SOUL_UNKNOWN").resource("soul", soul),
            LearningError::Field { field, .. } => {
                failure(Code::InvalidArgument, "FIELD_INVALID").field(field)
            }
            LearningError::NoExperience(_, id) => {
                failure(Code::NotFound, "EXPERIENCE_UNKNOWN").resource("experience", id)
            }
            LearningError::NoState(_, lesson) => {
                failure(Code::NotFound, "STATE_UNKNOWN").resource("lesson", lesson)
            }
            LearningError::Busy => failure(Code::ResourceExhausted, "COMPARISON_BUSY"),
            LearningError::NothingHeldOut(soul) => {
                failure(Code::FailedPrecondition, "NOTHING_HELD_OUT").resource("soul", soul)
            }
            LearningError::Unmeasured(_, _, LearnError::Later(_)) => {
                failure(Code::Unavailable, "STATE_NOT_MEASURED")
            }
            LearningError::Unmeasured(_, lesson, _) => {
                failure(Code::FailedPrecondition, "STATE_NOT_MEASURED").resource("lesson", lesson)
            }
            LearningError::Contended(soul) => {
                failure(Code::Aborted, "EXPERIENCE_CONTENDED").resource("soul", soul)
            }
            LearningError::Damaged(soul, _) => {
                failure(Code::DataLoss, "EXPERIENCE_DAMAGED").resource("soul", soul)
            }
            LearningError::State(_) => {
                let LearningError::State(error) = error else { return super::internal(&error) };
                return SoulError::from(error).into();
            }
            LearningError::Kv(_) => {
                let LearningError::Kv(error) = error else { return super::internal(&error) };
                return error.into();
            }
        }
        .status()
    }
}
