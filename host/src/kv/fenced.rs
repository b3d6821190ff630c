//! Changes that are made only while a condition holds, in the one round that the change itself takes.

use super::command::{Op, Outcome};
use super::error::KvError;
use super::handle::{Kv, reply};
use super::types::{Condition, Mutation, Reply};

impl Kv {
    /// [`Kv::increment`], if `fence` holds; none: it does not, and nothing was changed.
    ///
    /// # Errors
    /// Those of [`Kv::increment`].
    pub async fn increment_if(
        &self,
        fence: Condition,
        bucket: &str,
        key: &[u8],
        delta: u64,
    ) -> Result<Reply<Option<u64>>, KvError> {
        let mutation = Mutation::Increment { path: self.path(bucket, key)?, delta };
        let answer = self.propose(None, Op::Fenced { fence, mutation }).await?;
        reply(answer, |outcome| match outcome {
            Outcome::Number(number) => Some(Some(number)),
            Outcome::Unmet { .. } => Some(None),
            _ => None,
        })
    }
}
