//! Souls that are trained.
//!
//! What a Soul learns from is its *experience*, an append-only log in the KV ([`log`]): what people and programs teach
//! it, each with where it comes from.

pub mod experience;
mod log;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::experience::{EXPERIENCE_BYTES_MAX, New, TEACH_BYTES_MAX, TEACH_MAX};
pub use self::log::{Index, Taught};
use crate::ids::SoulName;
use crate::kv::{Kv, KvError, RequestId};
use crate::runtime::learner::Experience;
use crate::telemetry::instruments::LearningMetrics;

/// What the operator may set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearningConfig {
    /// How many experiences of each Soul are kept; the oldest go first.
    pub experiences_max: u64,
    /// Bytes of experience that are kept of each Soul; the oldest go first. They lie in the KV, in memory.
    pub experience_bytes_max: u64,
}

impl Default for LearningConfig {
    fn default() -> Self {
        Self { experiences_max: 100_000, experience_bytes_max: 8 << 20 }
    }
}

/// Why something could not be learnt, or told of learning.
#[derive(Debug, thiserror::Error)]
pub enum LearningError {
    /// There is no such Soul.
    #[error("there is no Soul called {0}")]
    Unknown(SoulName),
    /// An experience, or all of a request together, is more than is taken at once.
    #[error("`{field}` {problem}")]
    Field {
        /// Which field.
        field: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// Others wrote to the same log all the time.
    #[error("too many add to the experience of {0} at the same time: try again")]
    Contended(SoulName),
    /// What is kept cannot be read.
    #[error("the experience of {0} is damaged: {1}")]
    Damaged(SoulName, String),
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// The room. Clones are the same room.
#[derive(Debug, Clone)]
pub struct Learning(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kv: Kv,
    config: LearningConfig,
    metrics: LearningMetrics,
}

impl Learning {
    /// A room for the Souls of the realm whose KV this is.
    pub fn new(kv: Kv, config: LearningConfig, metrics: LearningMetrics) -> Self {
        Self(Arc::new(Inner { kv, config, metrics }))
    }

    /// Adds to a Soul's experience; durable when it returns. A `request` that is among the last of the Soul adds
    /// nothing, and is answered as it was.
    ///
    /// # Errors
    /// `Unknown`, `Field`, `Contended`, `Damaged`, `Kv`.
    pub async fn teach(
        &self,
        soul: &SoulName,
        experiences: Vec<New>,
        request: Option<RequestId>,
    ) -> Result<Taught, LearningError> {
        experience::check(&experiences)?;
        let Inner { kv, config, metrics } = &*self.0;
        let mut counts = [0; 4];
        experiences.iter().for_each(|new| counts[experience::place(new.source)] += 1);
        let (taught, added) = log::append(kv, soul, experiences, request, config).await?;
        if added {
            for (source, count) in experience::SOURCES.iter().zip(counts).filter(|(_, count)| *count > 0) {
                metrics.experiences.add(source.1, count);
            }
        }
        Ok(taught)
    }

    /// Which experience of a Soul is kept.
    ///
    /// # Errors
    /// `Unknown`, `Damaged`, `Kv`.
    pub async fn index(&self, soul: &SoulName) -> Result<Index, LearningError> {
        let kv = &self.0.kv;
        let (index, _) = log::load(kv, soul).await?;
        if index.last == 0 && crate::souls::placed::load(kv, soul).await?.is_none() {
            return Err(LearningError::Unknown(soul.clone()));
        }
        Ok(index)
    }

    /// At most `count` experiences of a Soul after the id `after`, up to about a mebibyte of them, one at least.
    ///
    /// # Errors
    /// `Damaged`, `Kv`.
    pub async fn experiences(
        &self,
        soul: &SoulName,
        index: &Index,
        after: u64,
        count: usize,
    ) -> Result<Vec<Experience>, LearningError> {
        log::read(&self.0.kv, soul, index, after, count).await
    }
}
