//! Two lessons of a Soul side by side: copies of it take up the states that it came to by them, and are measured by the same
//! experience, which is held out. The Soul is not asked, and notices nothing.

use super::lesson::held_out_before;
use super::{Learning, LearningError, Progress};
use crate::ids::{Digest, SoulName};
use crate::runtime::learner::{Experience, Figures};
use crate::souls::{records, taught};

/// How two states that a Soul came to do by what is held out.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The Soul's code, which both were measured with.
    pub component: Digest,
    /// The figure that the Soul is judged by.
    pub metric: String,
    /// Of that figure, more is better.
    pub more_is_better: bool,
    /// How many experiences both were measured by.
    pub held_out: u32,
    /// The two, in the order in which they were asked for.
    pub sides: [Side; 2],
}

/// One of two states.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// The lesson by which the Soul came to it.
    pub lesson: u64,
    /// Its digest.
    pub state: Digest,
    /// What `evaluate` said.
    pub figures: Figures,
}

impl Learning {
    /// Measures the states that a Soul came to by two lessons, by the newest experience that is held out. One comparison
    /// at a time: it takes a copy's memory, and two calls into it.
    ///
    /// # Errors
    /// `Unknown`, `NoState`, `NothingHeldOut`, `Unmeasured`, `Busy`, `Damaged`, `Kv`.
    pub async fn compare(&self, soul: &SoulName, lessons: [u64; 2]) -> Result<Comparison, LearningError> {
        let _turn = self.0.comparing.try_acquire().map_err(|_| LearningError::Busy)?;
        let host = &self.0.host;
        let Progress { index, lessons: record } = self.progress(soul).await?;
        for lesson in lessons {
            if !record.states.iter().any(|state| state.lesson == lesson) {
                return Err(LearningError::NoState(soul.clone(), lesson));
            }
        }
        let found = records::load(&host.kv, soul).await?;
        let manifest = found.ok_or_else(|| LearningError::Unknown(soul.clone()))?.manifest;
        let training = &manifest.learning;
        let range = (index.last + 1, training.held_out_percent());
        let held_out = held_out_before(host, soul, &index, &record, range).await?;
        if held_out.is_empty() {
            return Err(LearningError::NothingHeldOut(soul.clone()));
        }
        let [first, second] = lessons;
        let measured = |lesson| Box::pin(self.measured(soul, lesson, &held_out));
        let sides = [measured(first).await?, measured(second).await?];
        Ok(Comparison {
            component: manifest.component,
            metric: training.metric().to_owned(),
            more_is_better: training.more_is_better,
            held_out: held_out.len() as u32,
            sides,
        })
    }

    /// What the Soul's code says of itself with the state of a lesson.
    async fn measured(
        &self,
        soul: &SoulName,
        lesson: u64,
        held_out: &[Experience],
    ) -> Result<Side, LearningError> {
        let host = &self.0.host;
        let state = taught::state(&host.kv, soul, lesson).await?;
        let state = state.ok_or_else(|| LearningError::NoState(soul.clone(), lesson))?;
        let digest = Digest::of(&state.bytes);
        let unmeasured = |error| LearningError::Unmeasured(soul.clone(), lesson, error);
        let copy = host.souls.here().pupil_with(soul, state, &host.config.lesson_limits()).await;
        let mut copy = copy.map_err(unmeasured)?;
        let now_ms = held_out.iter().map(|experience| experience.at_ms).max().unwrap_or_default();
        let figures = copy.evaluate(held_out, now_ms).await.map_err(unmeasured)?;
        Ok(Side { lesson, state: digest, figures })
    }
}
