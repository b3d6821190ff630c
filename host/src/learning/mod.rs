//! Souls that are trained.
//!
//! What a Soul learns from is its *experience*, an append-only log in the KV ([`log`]): what people and programs teach
//! it, each with where it comes from. The [`trainer`] decides when it is learnt from. A [`lesson`] trains a copy of the
//! Soul beside it (`souls::pupil`), measures it by experience that is held out, and lets the [`judge`] say whether the Soul
//! takes up what the copy learnt. How far it has learnt is written with that in one transaction ([`lessons`]).

mod capturing;
mod carried;
mod compared;
pub mod experience;
mod feedback;
mod judge;
mod lesson;
mod lessons;
mod log;
mod restore;
mod states;
mod trainer;

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub use self::carried::{carry, check_kept};
pub use self::compared::{Comparison, Side};
pub use self::experience::{EXPERIENCE_BYTES_MAX, New, TEACH_BYTES_MAX, TEACH_MAX};
pub use self::feedback::Opinion;
pub use self::lessons::{LESSONS_MAX, Lesson, Lessons, Verdict};
pub use self::log::{Index, Taught};
use crate::ids::SoulName;
use crate::kv::{Consistency, Kv, KvError, RequestId, Txn, WatchError};
use crate::runtime::learner::Experience;
use crate::souls::checkpoint::CheckpointError;
use crate::souls::pupil::{LearnError, LessonLimits};
use crate::souls::taught::{LESSONS_BUCKET, LOGS_BUCKET};
use crate::souls::{Fleet, placed};
use crate::tasks::Tasks;
use crate::telemetry::instruments::LearningMetrics;
use crate::transport::bus::Bus;

/// What the operator may set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearningConfig {
    /// How many experiences of each Soul are kept; the oldest go first.
    pub experiences_max: u64,
    /// Bytes of experience that are kept of each Soul; the oldest go first. They lie in the KV, in memory.
    pub experience_bytes_max: u64,
    /// How many Souls of this node are trained at the same time.
    pub trainings_max: usize,
    /// Linear memory of a copy that learns, in bytes.
    pub memory_bytes: u64,
    /// Processor time of one call into it, in milliseconds.
    pub call_ms: u32,
    /// Fuel of one call into it.
    pub call_fuel: u64,
}

impl Default for LearningConfig {
    fn default() -> Self {
        Self {
            experiences_max: 100_000,
            experience_bytes_max: 8 << 20,
            trainings_max: 1,
            memory_bytes: 64 << 20,
            call_ms: 30_000,
            call_fuel: 1_000_000_000_000,
        }
    }
}

impl LearningConfig {
    fn lesson_limits(&self) -> LessonLimits {
        LessonLimits { memory_bytes: self.memory_bytes, call_ms: self.call_ms, call_fuel: self.call_fuel }
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
    /// There is no such experience.
    #[error("{0} has no experience {1}: it was never captured or taught, or it is not kept any more")]
    NoExperience(SoulName, String),
    /// The state that it came to by a lesson is not kept.
    #[error("no state of lesson {1} of {0} is kept: `matrix souls history {0}` tells which are")]
    NoState(SoulName, u64),
    /// Lessons of other Souls, or the same, are compared already.
    #[error("lessons are being compared on this node already: wait for that, or ask another node")]
    Busy,
    /// There is nothing to measure by.
    #[error(
        "nothing of the experience of {0} is held out to measure by: teach it more, or raise \
         `learning.held_out_percent` in its manifest"
    )]
    NothingHeldOut(SoulName),
    /// A copy of the Soul did not take a state up, or did not measure itself.
    #[error("the state of lesson {1} of {0} could not be measured: {2}")]
    Unmeasured(SoulName, u64, LearnError),
    /// Others wrote to the same log all the time.
    #[error("too many add to the experience of {0} at the same time: try again")]
    Contended(SoulName),
    /// What is kept cannot be read.
    #[error("the experience of {0} is damaged: {1}")]
    Damaged(SoulName, String),
    /// A state cannot be kept, or read.
    #[error(transparent)]
    State(CheckpointError),
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
}

impl From<CheckpointError> for LearningError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Kv(error) => Self::Kv(error),
            error => Self::State(error),
        }
    }
}

/// The room. Clones are the same room.
#[derive(Debug, Clone)]
pub struct Learning(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    host: Host,
    /// One comparison of lessons at a time.
    comparing: Semaphore,
}

/// The rooms below that learning needs.
#[derive(Debug)]
pub struct Host {
    /// Who learns.
    pub souls: Fleet,
    /// Keeps experience.
    pub kv: Kv,
    /// Tells what happens.
    pub bus: Bus,
    /// Counts.
    pub metrics: LearningMetrics,
    /// What the operator set.
    pub config: LearningConfig,
    /// Where lessons are looked after; the guests' own calls are made on threads for slow ones.
    pub tasks: Tasks,
}

/// How far a Soul has learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What there is to learn from.
    pub index: Index,
    /// What came of it.
    pub lessons: Lessons,
}

impl Progress {
    /// How many experiences it has not seen yet.
    pub fn waiting(&self) -> u64 {
        self.index.last.saturating_sub(self.lessons.seen)
    }
}

impl Learning {
    /// Trains the Souls of this node from now on, until its tasks are told to stop.
    pub fn start(host: Host) -> Self {
        let learning = Self(Arc::new(Inner { host, comparing: Semaphore::new(1) }));
        let (trained, stopping) = (learning.clone(), learning.0.host.tasks.stopping());
        let training = async move { _ = stopping.run_until_cancelled(trainer::train(trained)).await };
        learning.0.host.tasks.spawn("learning.trainer", training);
        if let Some(captured) = learning.0.host.souls.here().captured() {
            let (adding, stopping) = (learning.clone(), learning.0.host.tasks.stopping());
            let adding =
                async move { _ = stopping.run_until_cancelled(capturing::add(adding, captured)).await };
            learning.0.host.tasks.spawn("learning.capture", adding);
        }
        learning
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
        let Host { kv, config, metrics, .. } = &self.0.host;
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

    /// Asks for a Soul to be trained, at once, on all that it has not seen yet. Returns how much that is.
    ///
    /// # Errors
    /// `Unknown`, `Contended`, `Damaged`, `Kv`.
    pub async fn train(&self, soul: &SoulName) -> Result<u64, LearningError> {
        let kv = &self.0.host.kv;
        let index = log::ask(kv, soul, |index| index.asked = index.last).await?;
        let (lessons, _) = lessons::load(kv, soul, Consistency::Linearizable).await?;
        Ok(Progress { index, lessons }.waiting())
    }

    /// Asks for a Soul to be given back the state that it came to by a lesson. What comes of it is written down as a lesson
    /// is.
    ///
    /// # Errors
    /// `NoState`, `Unknown`, `Contended`, `Damaged`, `Kv`.
    pub async fn restore(&self, soul: &SoulName, lesson: u64) -> Result<(), LearningError> {
        let states = self.progress(soul).await?.lessons.states;
        if !states.iter().any(|state| state.lesson == lesson) {
            return Err(LearningError::NoState(soul.clone(), lesson));
        }
        let wish = |index: &mut Index| {
            let number = index.wish.map_or(0, |wish| wish.number) + 1;
            index.wish = Some(log::Wish { number, lesson });
        };
        log::ask(&self.0.host.kv, soul, wish).await.map(drop)
    }

    /// How far a Soul has learnt.
    ///
    /// # Errors
    /// `Unknown`, `Damaged`, `Kv`.
    pub async fn progress(&self, soul: &SoulName) -> Result<Progress, LearningError> {
        let kv = &self.0.host.kv;
        let (index, _) = log::load(kv, soul).await?;
        if index.last == 0 && placed::load(kv, soul).await?.is_none() {
            return Err(LearningError::Unknown(soul.clone()));
        }
        let (lessons, _) = lessons::load(kv, soul, Consistency::Linearizable).await?;
        Ok(Progress { index, lessons })
    }

    /// Yields whenever [`Learning::progress`] has changed, and once at the beginning.
    ///
    /// # Errors
    /// Where it cannot be watched.
    pub fn changes(&self, soul: &SoulName) -> Result<impl Stream<Item = ()> + Send + use<>, WatchError> {
        let name = soul.as_str().as_bytes();
        let watch = |bucket| self.0.host.kv.watch(bucket, name, None);
        let (logs, lessons) = (watch(LOGS_BUCKET)?, watch(LESSONS_BUCKET)?);
        let name = name.to_owned();
        // Who missed some looks too.
        let of_it = move |change: &Result<crate::kv::Change, WatchError>| {
            std::future::ready(change.as_ref().map_or(true, |change| *change.key() == *name))
        };
        let changed = stream::select(logs, lessons).filter(of_it).map(drop);
        Ok(stream::once(std::future::ready(())).chain(changed))
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
        log::read(&self.0.host.kv, soul, index, after, count).await
    }

    /// Writes down why a Soul's next lesson is late. That this fails is no reason to do anything else.
    async fn put_off(&self, soul: &SoulName, reason: &str) {
        let kv = &self.0.host.kv;
        let writing = async {
            let (mut lessons, expect) = lessons::load(kv, soul, Consistency::Linearizable).await?;
            let Some(lives) = placed::load(kv, soul).await? else { return Ok(()) };
            if lessons.delayed == reason {
                return Ok(());
            }
            reason.clone_into(&mut lessons.delayed);
            let (unchanged, put) = lessons::exchange(kv, soul, expect, &lessons)?;
            let require = vec![unchanged, lives.condition(kv, soul)?];
            kv.batch(Txn { require, then: vec![put] }, None).await?;
            Ok::<_, LearningError>(())
        };
        if let Err(error) = writing.await {
            tracing::debug!(%soul, %error, "why a lesson is late was not written down");
        }
    }
}
