//! Live rules: the world `matrix-rules`, typed.

use wasmtime::component::{ComponentExportIndex, TypedFunc};

use super::bindings::exports::matrix::node::rules as wit;
use super::bindings::matrix::node::types::{Content as WitContent, Message, Metric};
use super::component::Component;
use super::guest::{Crash, Exports, Guest, reason};
use super::packing;
use super::state::{GuestState, Moment};
use super::stateful::{Snapshot, Stateful};
use crate::capabilities::types;
use crate::transport::envelope::Content;

pub use wit::{Description, Event, Setup};

/// Asks a player for an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Whom to ask: a place in the setup's players.
    pub player: u32,
    /// Which of its seats is asked.
    pub seat: u32,
    /// What the seat sees.
    pub observation: Vec<u8>,
    /// What the seat's last action earned.
    pub reward: f64,
    /// The seat's game is over: the player is told, and its answer dropped.
    pub final_: bool,
}

/// A player's answer to a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The player who was asked.
    pub player: u32,
    /// The seat that was asked.
    pub seat: u32,
    /// None: the player did not answer in time, or failed.
    pub choice: Option<Vec<u8>>,
}

/// What a tick led to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Whom to ask before the next step.
    pub prompts: Vec<Prompt>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What emerges.
    pub signals: Vec<Metric>,
    /// The run is over.
    pub finished: bool,
}

type Stepped = (Result<wit::Outcome, String>,);
type Replied = (Result<Option<WitContent>, String>,);

pub(crate) struct RulesExports {
    describe: ComponentExportIndex,
    start: ComponentExportIndex,
    step: ComponentExportIndex,
    join: ComponentExportIndex,
    leave: ComponentExportIndex,
    receive: ComponentExportIndex,
    view: ComponentExportIndex,
}

impl RulesExports {
    pub(crate) fn of(component: &wasmtime::component::Component) -> Result<Self, Crash> {
        let missing = Crash::Contract { function: "rules", reason: "it is not exported".into() };
        let rules = Exports::of(component, "rules").ok_or(missing)?;
        Ok(Self {
            describe: rules.function("describe")?,
            start: rules.function("start")?,
            step: rules.function("step")?,
            join: rules.function("join")?,
            leave: rules.function("leave")?,
            receive: rules.function("receive")?,
            view: rules.function("view")?,
        })
    }
}

/// Rules in memory. After a [`Crash`] they must be dropped.
pub struct RulesInstance {
    guest: Guest,
    describe: TypedFunc<(), (Description,)>,
    start: TypedFunc<(Setup,), Stepped>,
    step: TypedFunc<(wit::Actions,), Stepped>,
    join: TypedFunc<(String,), (Result<u32, String>,)>,
    leave: TypedFunc<(u32,), (Result<(), String>,)>,
    receive: TypedFunc<(Message,), Replied>,
    view: TypedFunc<(), (WitContent,)>,
    stateful: Stateful,
}

impl RulesInstance {
    /// Instantiates a component; its functions' types are checked.
    pub async fn new(component: &Component, state: GuestState) -> Result<Self, Crash> {
        let exports = component.rules()?;
        let missing = Crash::Contract { function: "stateful", reason: "rules must export it".into() };
        let indices = component.stateful().ok_or(missing)?;
        let mut guest = Guest::new(component, state).await?;
        Ok(Self {
            describe: guest.function(&exports.describe, "rules.describe")?,
            start: guest.function(&exports.start, "rules.start")?,
            step: guest.function(&exports.step, "rules.step")?,
            join: guest.function(&exports.join, "rules.join")?,
            leave: guest.function(&exports.leave, "rules.leave")?,
            receive: guest.function(&exports.receive, "rules.receive")?,
            view: guest.function(&exports.view, "rules.view")?,
            stateful: Stateful::new(&mut guest, indices)?,
            guest,
        })
    }

    /// What these rules are.
    pub async fn describe(&mut self) -> Result<Description, Crash> {
        let (description,) = self.guest.call(&self.describe, (), Moment::default()).await?;
        Ok(description)
    }

    /// Sets the Matrix up. The inner error is the rules' own refusal of the setup.
    pub async fn start(&mut self, setup: Setup) -> Result<Result<Outcome, String>, Crash> {
        let (outcome,) = self.guest.call(&self.start, (setup,), Moment::default()).await?;
        read("rules.start", outcome)
    }

    /// Advances by one tick.
    pub async fn step(&mut self, actions: Vec<Action>) -> Result<Result<Outcome, String>, Crash> {
        let actions = packing::actions(&actions);
        let (outcome,) = self.guest.call(&self.step, (actions,), Moment::default()).await?;
        read("rules.step", outcome)
    }

    /// Lets a player in; returns its place.
    pub async fn join(&mut self, player: String) -> Result<Result<u32, String>, Crash> {
        let (place,) = self.guest.call(&self.join, (player,), Moment::default()).await?;
        Ok(place.map_err(reason))
    }

    /// Lets a player go.
    pub async fn leave(&mut self, player: u32) -> Result<Result<(), String>, Crash> {
        let (left,) = self.guest.call(&self.leave, (player,), Moment::default()).await?;
        Ok(left.map_err(reason))
    }

    /// Handles a message to the Matrix.
    pub async fn receive(&mut self, message: Message) -> Result<Result<Option<Content>, String>, Crash> {
        self.guest.received(1);
        let (reply,) = self.guest.call(&self.receive, (message,), Moment::default()).await?;
        Ok(reply.map(|content| content.map(types::content_from_guest)).map_err(reason))
    }

    /// The present state as people would look at it.
    pub async fn view(&mut self) -> Result<Content, Crash> {
        let (content,) = self.guest.call(&self.view, (), Moment::default()).await?;
        Ok(types::content_from_guest(content))
    }

    /// The whole state.
    pub async fn snapshot(&mut self) -> Result<Result<Snapshot, String>, Crash> {
        self.stateful.snapshot(&mut self.guest, Moment::default()).await
    }

    /// Takes up a state.
    pub async fn restore(&mut self, state: Snapshot) -> Result<Result<(), String>, Crash> {
        self.stateful.restore(&mut self.guest, state, Moment::default()).await
    }

    /// The host's side of the guest.
    pub(crate) fn state(&mut self) -> &mut GuestState {
        self.guest.state()
    }

    /// Fuel used since the instance was made.
    pub fn fuel_used(&self) -> u64 {
        self.guest.fuel_used()
    }

    /// Linear memory in use, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.guest.memory_bytes()
    }
}

/// An outcome, its prompts unpacked.
fn read(
    function: &'static str,
    outcome: Result<wit::Outcome, String>,
) -> Result<Result<Outcome, String>, Crash> {
    let wit::Outcome { prompts, events, signals, finished } = match outcome {
        Ok(outcome) => outcome,
        Err(refusal) => return Ok(Err(reason(refusal))),
    };
    match packing::prompts(&prompts) {
        Ok(prompts) => Ok(Ok(Outcome { prompts, events, signals, finished })),
        Err(reason) => Err(Crash::Contract { function, reason }),
    }
}

impl std::fmt::Debug for RulesInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RulesInstance").field("memory_bytes", &self.memory_bytes()).finish_non_exhaustive()
    }
}
