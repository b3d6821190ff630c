//! A copy of a Soul that learns apart from it: another instance with its state, on threads that are in nobody's way, with
//! limits of its own. Nothing that it does is done, and nobody is asked. What it learnt is its state, which the Soul then
//! takes up (`swap/learnt.rs`).

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::birth;
use super::capture::Captured;
use super::checkpoint::CheckpointError;
use super::host::Host;
use super::jobs::Job;
use super::life::StartError;
use super::manifest::Manifest;
use super::placed::{self, Placed};
use super::records::{self, Record, Wanted};
use super::registry::Souls;
use super::swap::{Adoption, Base, Hold, Learnt, Recalled};
use crate::capabilities::messaging::Waits;
use crate::ids::{Digest, SoulName};
use crate::kv::{KvError, Txn};
use crate::runtime::guest::Crash;
use crate::runtime::learner::{Experience, Figures};
use crate::runtime::limits::Limits;
use crate::runtime::soul::SoulInstance;
use crate::runtime::state::Moment;
use crate::runtime::stateful::Snapshot;

/// What a copy that learns may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LessonLimits {
    /// Linear memory, in bytes.
    pub memory_bytes: u64,
    /// Processor time of one call, in milliseconds.
    pub call_ms: u32,
    /// Fuel of one call.
    pub call_fuel: u64,
}

/// Why nothing was learnt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// The Soul's code does not learn.
    #[error("its component does not export `{0}`: it cannot be trained")]
    Cannot(&'static str),
    /// The guest failed over it, or refused.
    #[error("{0}")]
    Guest(String),
    /// The Soul's state changed while its copy learnt.
    #[error("its state changed while its copy learnt")]
    Changed,
    /// Neither the guest nor the experience is to blame: it is to be tried again.
    #[error("{0}")]
    Later(String),
}

/// A copy of a Soul.
#[derive(Debug)]
pub struct Pupil {
    manifest: Arc<Manifest>,
    placed: Placed,
    /// Those of the Soul.
    limits: Limits,
    /// Layout and digest of the state that it began with; none: it was as it was born.
    base: Option<(String, Digest)>,
    instance: SoulInstance,
    /// The most bytes that its state may have.
    state_bytes_max: usize,
    /// The Soul waits for what it learns, as long as this lives.
    held: Option<oneshot::Sender<Ordered>>,
}

/// What a Soul that waits is told, and where it answers.
pub(crate) type Ordered = (Box<Adoption>, oneshot::Sender<Result<Learnt, LearnError>>);

impl Souls {
    /// What Souls of this node do, from now on, as far as their manifests let it be captured; none: somebody took it.
    pub fn captured(&self) -> Option<mpsc::Receiver<Captured>> {
        self.host().captures.take()
    }

    /// A copy of a Soul of this node. `holds`: the Soul waits until the copy is dropped or taken up.
    ///
    /// # Errors
    /// `Cannot`, `Guest`: the code does not take up the state within `limits`; `Later`.
    pub async fn pupil(
        &self,
        soul: &SoulName,
        limits: &LessonLimits,
        holds: bool,
    ) -> Result<Pupil, LearnError> {
        let gone = || LearnError::Later(format!("{soul} is stopped, or lives elsewhere"));
        let (recalled, held) = if holds {
            let (recalled, state) = oneshot::channel();
            let (held, order) = oneshot::channel();
            let jobs = self.handle(soul).and_then(|handle| handle.jobs).ok_or_else(gone)?;
            let hold = Box::new(Hold { recalled, order });
            jobs.send(Job::Hold(hold)).await.map_err(|_| gone())?;
            (state.await.map_err(|_| gone())?, Some(held))
        } else {
            (self.ask(soul, Job::Recall).await.ok_or_else(gone)?, None)
        };
        let recalled = recalled.map_err(|error| LearnError::Later(error.to_string()))?;
        Pupil::born(self.host(), recalled, limits, held).await
    }

    /// A copy of a Soul of the realm, wherever that lives, with a state that it once had. The Soul is not asked.
    ///
    /// # Errors
    /// `Cannot`, `Guest`: the code does not take up the state within `limits`; `Later`.
    pub async fn pupil_with(
        &self,
        soul: &SoulName,
        state: Snapshot,
        limits: &LessonLimits,
    ) -> Result<Pupil, LearnError> {
        let (host, later) = (self.host(), |error: KvError| LearnError::Later(error.to_string()));
        let record = records::load(&host.kv, soul).await.map_err(later)?;
        let record = record.filter(|record| record.wanted != Wanted::Deleted);
        let placed = placed::load(&host.kv, soul).await.map_err(later)?;
        let (Some(Record { manifest, .. }), Some(placed)) = (record, placed) else {
            return Err(LearnError::Later(format!("there is no Soul called {soul} any more")));
        };
        let base = Some((state.schema.clone(), Digest::of(&state.bytes)));
        let (mut instance, own) = bare(host, &manifest, placed, limits).await?;
        let told = instance.restore(state, Moment::default()).await;
        let told = told.map_err(|crash| crashed("restore", &crash))?;
        told.map_err(|reason| refused("restore", &reason))?;
        let (manifest, state_bytes_max) = (Arc::new(manifest), host.config.state_bytes_max);
        Ok(Pupil { manifest, placed, limits: own, base, instance, state_bytes_max, held: None })
    }

    /// Makes what a copy has learnt the Soul's own, in one write with what `with` says, if the Soul's state is still the
    /// one that the copy began with.
    ///
    /// # Errors
    /// `Changed`; `Guest`: the Soul's own limits do not hold what was learnt; `Later`. The Soul is as it was.
    pub async fn take_up(&self, pupil: Pupil, learnt: Snapshot, with: Txn) -> Result<Learnt, LearnError> {
        let Pupil { manifest, placed, limits, base, instance, held, .. } = pupil;
        // Its memory is needed no more.
        drop(instance);
        let soul = manifest.name.clone();
        let gone = || LearnError::Later(format!("{soul} was stopped, or left, meanwhile"));
        let waits = self.handle(&soul).ok_or_else(gone)?.waits;
        let candidate = self.candidate(manifest, limits, (placed, waits)).await;
        let candidate = candidate.ok_or_else(gone)?.map_err(|error| born_failed(&error))?;
        let adoption = Box::new(Adoption { candidate, base: Base::Exactly(base), learnt, with });
        let learnt = match held {
            Some(held) => {
                let (reply, answer) = oneshot::channel();
                held.send((adoption, reply)).map_err(|_| gone())?;
                answer.await.ok()
            }
            None => self.ask(&soul, |reply| Job::TakeUp(adoption, reply)).await,
        };
        learnt.ok_or_else(gone)?
    }

    /// Gives a Soul of this node another state, whichever it has, in one write with what `with` says.
    ///
    /// # Errors
    /// As [`Souls::take_up`].
    pub async fn put_back(&self, soul: &SoulName, state: Snapshot, with: Txn) -> Result<Learnt, LearnError> {
        let gone = || LearnError::Later(format!("{soul} is stopped, or lives elsewhere"));
        let handle = self.handle(soul).ok_or_else(gone)?;
        let limits = handle.manifest.check(&self.host().limits);
        let limits = limits.map_err(|error| LearnError::Later(error.to_string()))?;
        let at = (handle.placed, handle.waits.clone());
        let candidate = self.candidate(handle.manifest.clone(), limits, at).await;
        let candidate = candidate.ok_or_else(gone)?.map_err(|error| born_failed(&error))?;
        let adoption = Box::new(Adoption { candidate, base: Base::Any, learnt: state, with });
        self.ask(soul, |reply| Job::TakeUp(adoption, reply)).await.ok_or_else(gone)?
    }
}

impl Pupil {
    async fn born(
        host: &Host,
        recalled: Recalled,
        lesson: &LessonLimits,
        held: Option<oneshot::Sender<Ordered>>,
    ) -> Result<Self, LearnError> {
        let Recalled { manifest, placed, state, fallback, .. } = recalled;
        if !fallback.is_empty() {
            return Err(LearnError::Later(fallback));
        }
        let (mut instance, limits) = bare(host, &manifest, placed, lesson).await?;
        if let Some(state) = &state {
            birth::restore(&mut instance, state).await.map_err(|error| born_failed(&error))?;
        }
        let base = state.map(|state| (state.header.schema, state.header.state));
        let state_bytes_max = host.config.state_bytes_max;
        Ok(Self { manifest, placed, limits, base, instance, state_bytes_max, held })
    }

    /// What the Soul is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it lives.
    pub fn placed(&self) -> Placed {
        self.placed
    }

    /// Digest of the state that it began with; none: it was as it was born.
    pub fn base(&self) -> Option<Digest> {
        self.base.as_ref().map(|(_, digest)| *digest)
    }

    /// Trains the copy on a batch. The time that it sees is `now_ms`.
    ///
    /// # Errors
    /// `Guest`, `Later`. After an error the copy is of no use.
    pub async fn train(&mut self, batch: &[Experience], now_ms: u64) -> Result<Figures, LearnError> {
        let moment = Moment { now_ms, ..Moment::default() };
        let told = self.instance.train(batch, moment).await;
        told.map_err(|crash| crashed("train", &crash))?.map_err(|reason| refused("train", &reason))
    }

    /// Measures what the copy has learnt.
    ///
    /// # Errors
    /// As [`Pupil::train`].
    pub async fn evaluate(&mut self, batch: &[Experience], now_ms: u64) -> Result<Figures, LearnError> {
        let moment = Moment { now_ms, ..Moment::default() };
        let told = self.instance.evaluate(batch, moment).await;
        told.map_err(|crash| crashed("evaluate", &crash))?.map_err(|reason| refused("evaluate", &reason))
    }

    /// What the copy has learnt: its state.
    ///
    /// # Errors
    /// As [`Pupil::train`].
    pub async fn learnt(&mut self) -> Result<Snapshot, LearnError> {
        let told = self.instance.snapshot(Moment::default()).await;
        let told = told.map_err(|crash| crashed("snapshot", &crash))?;
        let state = told.ok_or(LearnError::Cannot("stateful"))?;
        let state = state.map_err(|reason| refused("snapshot", &reason))?;
        let (size, max) = (state.bytes.len(), self.state_bytes_max);
        if size > max {
            return Err(LearnError::Guest(CheckpointError::TooLarge(size, max).to_string()));
        }
        Ok(state)
    }
}

/// A copy as it is born, and the Soul's own limits.
async fn bare(
    host: &Host,
    manifest: &Manifest,
    placed: Placed,
    lesson: &LessonLimits,
) -> Result<(SoulInstance, Limits), LearnError> {
    let later = |error: &dyn std::fmt::Display| LearnError::Later(error.to_string());
    let limits = manifest.check(&host.limits).map_err(|error| later(&error))?;
    let component = host.components.get(manifest.component).await.map_err(|error| later(&error))?;
    for needed in ["learner", "stateful"] {
        if !component.info().has(needed) {
            return Err(LearnError::Cannot(needed));
        }
    }
    let LessonLimits { memory_bytes, call_ms, call_fuel } = *lesson;
    let apart = Limits { memory_bytes, call_ms, call_fuel, ..limits.clone() };
    let guest = birth::guest(host, manifest, &apart, placed, Waits::default());
    let mut guest = guest.map_err(|error| later(&error))?.apart();
    guest.rehearse(false);
    let born = birth::born(&component, manifest, guest).await;
    let instance = born.map_err(|error| born_failed(&error))?;
    host.metrics.runtime.instantiations.add(1);
    Ok((instance, limits))
}

fn crashed(function: &str, crash: &Crash) -> LearnError {
    match crash {
        Crash::NoRoom(reason) => LearnError::Later(reason.clone()),
        // The limits of lessons go by the same names, and are set elsewhere.
        crash => LearnError::Guest(format!("`{function}` {crash}").replace("`limits.", "`learning.")),
    }
}

fn refused(function: &str, reason: &str) -> LearnError {
    LearnError::Guest(format!("`{function}` refused: {reason}"))
}

pub(super) fn born_failed(error: &StartError) -> LearnError {
    if error.is_of_the_node() {
        return LearnError::Later(error.to_string());
    }
    LearnError::Guest(error.to_string())
}
