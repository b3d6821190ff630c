//! Rules on the bench.

use super::soul::{Said, State};
use super::{Bench, config};
use crate::capabilities::types;
use crate::ids::{MatrixName, MessageId};
use crate::matrices::MatricesConfig;
use crate::runtime::bindings::matrix::node::types::Message;
use crate::runtime::component::Component;
use crate::runtime::guest::Crash;
use crate::runtime::limits::Limits;
use crate::runtime::rules::{Action, Description, Outcome, RulesInstance, Setup};
use crate::runtime::state::GuestState;
use crate::transport::bus::Source;
use crate::transport::envelope::Content;

/// What rules make of a message, or of an outcome: the inner error is their own refusal.
pub type Heard<T> = Result<Result<T, String>, Crash>;

/// Live rules. After a [`Crash`] they must be dropped.
#[derive(Debug)]
pub struct RulesOnBench {
    instance: RulesInstance,
}

impl Bench {
    /// Makes an instance of rules, whose chance begins with `seed`; nothing is set up yet.
    ///
    /// # Errors
    /// A crash.
    pub async fn rules(&self, component: &Component, seed: u64) -> Result<RulesOnBench, Crash> {
        let MatricesConfig { call_ms, call_fuel, .. } = MatricesConfig::default();
        let limits = Limits { call_ms, call_fuel, ..self.limits.default.clone() };
        let matrix: MatrixName = "bench".parse().expect("a name");
        let may = self.plain(Source::Matrix(matrix), &limits, config::Ctx::default(), seed);
        let instance = RulesInstance::new(component, GuestState::new(&limits, may)).await?;
        Ok(RulesOnBench { instance })
    }
}

impl RulesOnBench {
    /// What they say of themselves.
    ///
    /// # Errors
    /// A crash.
    pub async fn describe(&mut self) -> Result<Description, Crash> {
        self.instance.describe().await
    }

    /// Sets them up.
    ///
    /// # Errors
    /// A crash.
    pub async fn start(&mut self, setup: Setup) -> Heard<Outcome> {
        self.instance.start(setup).await
    }

    /// Takes one step.
    ///
    /// # Errors
    /// A crash.
    pub async fn step(&mut self, actions: Vec<Action>) -> Heard<Outcome> {
        self.instance.step(actions).await
    }

    /// Lets a player in.
    ///
    /// # Errors
    /// A crash.
    pub async fn join(&mut self, player: String) -> Heard<u32> {
        self.instance.join(player).await
    }

    /// Lets a player go.
    ///
    /// # Errors
    /// A crash.
    pub async fn leave(&mut self, player: u32) -> Heard<()> {
        self.instance.leave(player).await
    }

    /// Gives them a message.
    ///
    /// # Errors
    /// A crash.
    pub async fn receive(&mut self, said: &Said) -> Heard<Option<Content>> {
        let message = Message {
            id: types::message_id(MessageId(said.id)),
            sender: types::address(&said.sender),
            recipient: types::address(&said.recipient),
            in_reply_to: said.in_reply_to.map(|id| types::message_id(MessageId(id))),
            content_type: said.content.content_type.to_string(),
            body: said.content.body.to_vec(),
            sent_at: said.at_ms,
        };
        self.instance.receive(message).await
    }

    /// What people would look at.
    ///
    /// # Errors
    /// A crash.
    pub async fn view(&mut self) -> Result<Content, Crash> {
        self.instance.view().await
    }

    /// Their state.
    ///
    /// # Errors
    /// A crash.
    pub async fn state(&mut self) -> Heard<State> {
        let snapshot = self.instance.snapshot().await?;
        let random = self.instance.state().capabilities.random.clone();
        Ok(snapshot.map(|snapshot| State { snapshot, random }))
    }

    /// Takes up a state, with the source of chance that goes with it.
    ///
    /// # Errors
    /// A crash.
    pub async fn take_up(&mut self, state: State) -> Heard<()> {
        let restored = self.instance.restore(state.snapshot).await?;
        self.instance.state().capabilities.random = state.random;
        Ok(restored)
    }
}
