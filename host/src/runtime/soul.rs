//! A live Soul: the world `soul`, typed.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{ComponentExportIndex, TypedFunc};

use super::batch::Batch;
use super::bindings::exports::matrix::node::agent::{Birth, Persona, Value};
use super::bindings::exports::matrix::node::player;
use super::bindings::matrix::node::types::Content as WitContent;
use super::component::Component;
use super::guest::{Crash, Exports, Guest, reason};
use super::learner::{Experience, Figures, Learner, LearnerExports};
use super::limits::LIFTED_BYTES_MAX;
use super::packing;
use super::state::{GuestState, Moment};
use super::stateful::{Snapshot, Stateful};
use crate::capabilities::types;
use crate::transport::envelope::Content;

/// The most bytes in all actions of one tick together: they are kept in checkpoints, one tick a run.
pub const ACTIONS_BYTES_MAX: usize = 16 * 1024;

/// What one seat sees at one tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The seat.
    pub seat: u32,
    /// What there is to see.
    pub observation: Vec<u8>,
    /// What the last action earned.
    pub reward: f64,
    /// No action will follow.
    pub last: bool,
}

/// Who is born.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The Soul's name.
    pub name: String,
    /// In a sentence or two.
    pub description: String,
    /// Words that describe it.
    pub traits: Vec<String>,
    /// What it seeks and shuns, from -1 to 1.
    pub values: Vec<(String, f32)>,
    /// Its own settings.
    pub config: Vec<(String, String)>,
    /// Its source of chance.
    pub seed: u64,
}

type Receive = TypedFunc<(Arc<Batch>,), (Vec<Result<Option<WitContent>, String>>,)>;
type Act = TypedFunc<(String, u64, player::Turns), (Result<player::Choices, String>,)>;

/// Where a Soul's functions are, found once for each component.
pub(crate) struct SoulExports {
    init: ComponentExportIndex,
    receive: ComponentExportIndex,
    act: Option<ComponentExportIndex>,
    learner: Option<LearnerExports>,
}

impl SoulExports {
    pub(crate) fn of(component: &wasmtime::component::Component) -> Result<Self, Crash> {
        let missing = Crash::Contract { function: "agent", reason: "it is not exported".into() };
        let agent = Exports::of(component, "agent").ok_or(missing)?;
        let player = Exports::of(component, "player");
        Ok(Self {
            init: agent.function("init")?,
            receive: agent.function("receive")?,
            act: player.map(|player| player.function("act")).transpose()?,
            learner: LearnerExports::of(component)?,
        })
    }
}

/// A Soul in memory. After a [`Crash`] it must be dropped.
pub struct SoulInstance {
    guest: Guest,
    receive: Receive,
    act: Option<Act>,
    learner: Option<Learner>,
    stateful: Option<Stateful>,
    body_bytes_max: usize,
}

impl SoulInstance {
    /// Instantiates a component and lets the Soul be born. The inner error is the guest's own refusal.
    pub async fn start(
        component: &Component,
        mut state: GuestState,
        origin: Origin,
        moment: Moment,
    ) -> Result<Result<Self, String>, Crash> {
        if !component.info().sends_requests() {
            // Nobody would reach it, and there are many Souls.
            state.capabilities.http = None;
        }
        let exports = component.soul()?;
        let body_bytes_max = state.body_bytes_max;
        let mut guest = Guest::new(component, state).await?;
        let init = guest.function::<(Birth,), (Result<(), String>,)>(&exports.init, "agent.init")?;
        let receive = guest.function(&exports.receive, "agent.receive")?;
        let act = exports.act.as_ref().map(|act| guest.function(act, "player.act")).transpose()?;
        let learner =
            exports.learner.as_ref().map(|indices| Learner::new(&mut guest, indices)).transpose()?;
        let stateful = component.stateful().map(|indices| Stateful::new(&mut guest, indices)).transpose()?;
        let (born,) = guest.call(&init, (birth(origin),), moment).await?;
        Ok(born.map(|()| Self { guest, receive, act, learner, stateful, body_bytes_max }).map_err(reason))
    }

    /// Checks, without a Soul being born, that the component's functions have the types of `wit/`.
    pub(crate) async fn check(component: &Component, state: GuestState) -> Result<(), Crash> {
        let exports = component.soul()?;
        let mut guest = Guest::new(component, state).await?;
        guest.function::<(Birth,), (Result<(), String>,)>(&exports.init, "agent.init")?;
        let _: Receive = guest.function(&exports.receive, "agent.receive")?;
        if let Some(act) = &exports.act {
            let _: Act = guest.function(act, "player.act")?;
        }
        exports.learner.as_ref().map(|indices| Learner::new(&mut guest, indices)).transpose()?;
        component.stateful().map(|indices| Stateful::new(&mut guest, indices)).transpose()?;
        Ok(())
    }

    /// Handles a batch: one result a message, in the same order.
    pub async fn receive(
        &mut self,
        batch: Arc<Batch>,
        moment: Moment,
    ) -> Result<Vec<Result<Option<Content>, String>>, Crash> {
        let expected = batch.len();
        let lifted = LIFTED_BYTES_MAX + expected * self.body_bytes_max;
        let parameters = (Arc::clone(&batch),);
        self.guest.received(expected);
        let (replies,) = self.guest.call_lifting(&self.receive, parameters, moment, lifted).await?;
        Batch::recycle(batch);
        if replies.len() != expected {
            let reason = format!("{} results came for {expected} messages", replies.len());
            return Err(Crash::Contract { function: "agent.receive", reason });
        }
        let replies = replies.into_iter();
        Ok(replies.map(|r| r.map(|c| c.map(types::content_from_guest)).map_err(reason)).collect())
    }

    /// Whether the Soul can take part in a Matrix.
    pub fn plays(&self) -> bool {
        self.act.is_some()
    }

    /// Decides the turns of one tick: one action a turn, in the same order.
    pub async fn act(
        &mut self,
        matrix: &str,
        tick: u64,
        turns: &[Turn],
        moment: Moment,
    ) -> Result<Result<Vec<Vec<u8>>, String>, Crash> {
        let Some(act) = &self.act else {
            return Ok(Err("its component does not export `player`".into()));
        };
        let parameters = (matrix.to_owned(), tick, packing::turns(turns));
        let (decided,) = self.guest.call(act, parameters, moment).await?;
        let decided = match decided {
            Ok(decided) => decided,
            Err(refusal) => return Ok(Err(reason(refusal))),
        };
        match packing::choices(&decided, turns.len(), ACTIONS_BYTES_MAX) {
            Ok(actions) => Ok(Ok(actions)),
            Err(reason) => Err(Crash::Contract { function: "player.act", reason }),
        }
    }

    /// Whether the Soul can learn.
    pub fn learns(&self) -> bool {
        self.learner.is_some()
    }

    /// Learns from a batch, in order. The inner error is the guest's own refusal, or says that its figures are of no use.
    pub async fn train(
        &mut self,
        batch: &[Experience],
        moment: Moment,
    ) -> Result<Result<Figures, String>, Crash> {
        match &self.learner {
            Some(learner) => learner.train(&mut self.guest, batch, moment).await,
            None => Ok(Err("its component does not export `learner`".into())),
        }
    }

    /// Measures what has been learnt. Errors as for [`SoulInstance::train`].
    pub async fn evaluate(
        &mut self,
        batch: &[Experience],
        moment: Moment,
    ) -> Result<Result<Figures, String>, Crash> {
        match &self.learner {
            Some(learner) => learner.evaluate(&mut self.guest, batch, moment).await,
            None => Ok(Err("its component does not export `learner`".into())),
        }
    }

    /// The Soul's state; none: its component does not export `stateful`.
    pub async fn snapshot(&mut self, moment: Moment) -> Result<Option<Result<Snapshot, String>>, Crash> {
        match &mut self.stateful {
            Some(stateful) => stateful.snapshot(&mut self.guest, moment).await.map(Some),
            None => Ok(None),
        }
    }

    /// Gives the Soul a state. The inner error is the guest's own refusal.
    pub async fn restore(&mut self, state: Snapshot, moment: Moment) -> Result<Result<(), String>, Crash> {
        match &self.stateful {
            Some(stateful) => stateful.restore(&mut self.guest, state, moment).await,
            None => Ok(Err("its component does not export `stateful`".into())),
        }
    }

    /// When it was entered last.
    pub fn entered(&self) -> Instant {
        self.guest.entered()
    }

    /// Whether it may have been heard by anybody since it was entered last: it said, published or wrote something.
    pub fn has_acted(&self) -> bool {
        self.guest.has_acted()
    }

    /// Whether it called anybody outside the realm since it was entered last.
    pub fn has_called(&self) -> bool {
        self.guest.has_called()
    }

    /// Fuel used since the instance was made.
    pub fn fuel_used(&self) -> u64 {
        self.guest.fuel_used()
    }

    /// Linear memory in use, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.guest.memory_bytes()
    }

    /// The host's side of the guest.
    pub fn state(&mut self) -> &mut GuestState {
        self.guest.state()
    }
}

fn birth(origin: Origin) -> Birth {
    let values = origin.values.into_iter().map(|(name, weight)| Value { name, weight }).collect();
    Birth {
        name: origin.name,
        persona: Persona { description: origin.description, traits: origin.traits, values },
        config: origin.config,
        seed: origin.seed,
    }
}

impl std::fmt::Debug for SoulInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoulInstance").field("memory_bytes", &self.memory_bytes()).finish_non_exhaustive()
    }
}
