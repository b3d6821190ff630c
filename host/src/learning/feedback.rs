//! What people say of answers: added to a Soul's experience as what they are, experience.

use bytes::Bytes;

use super::log::{self, Index};
use super::{Learning, LearningError, New, Taught};
use crate::clock;
use crate::ids::SoulName;
use crate::kv::RequestId;
use crate::runtime::learner::{Experience, Source};

/// How an answer was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// To be learnt.
    Good,
    /// To be avoided.
    Bad,
    /// It should have been this.
    Correct(Bytes),
}

impl Learning {
    /// Adds what somebody, `by`, thinks of an answer: `id` is the message that it answered, or the number of the
    /// experience. The newest is meant, where there are several.
    ///
    /// # Errors
    /// `NoExperience`, and those of [`Learning::teach`].
    pub async fn judge(
        &self,
        soul: &SoulName,
        id: &str,
        opinion: Opinion,
        by: String,
        request: Option<RequestId>,
    ) -> Result<Taught, LearningError> {
        let index = self.progress(soul).await?.index;
        let found = match id.parse() {
            Ok(number) => self.numbered(soul, &index, number).await?,
            Err(_) => self.answering(soul, &index, id).await?,
        };
        let judged = found.ok_or_else(|| LearningError::NoExperience(soul.clone(), id.to_owned()))?;
        let (output, reward) = match opinion {
            Opinion::Good => (judged.output.into(), 1.0),
            Opinion::Bad => (judged.output.into(), -1.0),
            Opinion::Correct(correction) => (correction, 1.0),
        };
        let new = New {
            source: Source::User,
            by,
            about: judged.id.to_string(),
            input: judged.input.into(),
            output,
            reward: Some(reward),
            at_ms: clock::now_ms(),
        };
        self.teach(soul, vec![new], request).await
    }

    async fn numbered(
        &self,
        soul: &SoulName,
        index: &Index,
        number: u64,
    ) -> Result<Option<Experience>, LearningError> {
        let before = number.saturating_sub(1);
        let found = log::read(&self.0.host.kv, soul, index, before, 1).await?;
        Ok(found.into_iter().next().filter(|experience| experience.id == number))
    }

    async fn answering(
        &self,
        soul: &SoulName,
        index: &Index,
        message: &str,
    ) -> Result<Option<Experience>, LearningError> {
        for segment in index.segments.iter().rev() {
            let (before, count) = (segment.first - 1, segment.count as usize);
            let some = log::read(&self.0.host.kv, soul, index, before, count).await?;
            if let Some(found) = some.into_iter().rev().find(|experience| experience.about == message) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
