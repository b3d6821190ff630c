//! What a running Matrix sees of the node: rules in memory, and Souls that act. A trait, so that the way of a
//! run can be tested without Wasm.

use std::sync::Arc;
use std::time::Duration;

use super::deed::Deed;
use super::error::MatrixError;
use super::host::MatrixHost;
use super::manifest::resolve;
use super::runlog::record::{Header, Message};
use super::switches::Switch;
use crate::capabilities::{random, types};
use crate::ids::{Digest, MatrixName, SoulName};
use crate::runtime::bindings::matrix::node::types::Message as WitMessage;
use crate::runtime::catalog::ComponentError;
use crate::runtime::guest::Crash;
use crate::runtime::inspect::Kind;
use crate::runtime::limits::Limits;
use crate::runtime::rules::{Action, Description, Outcome, RulesInstance, Setup};
use crate::runtime::state::GuestState;
use crate::runtime::stateful::Snapshot;
use crate::souls::jobs::{ActError, ActRequest};
use crate::transport::envelope::Content;

/// How long after a failure of the KV it is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// Rules in memory. After a [`Crash`] they must not be called again.
pub(crate) trait Rules: Send + 'static {
    /// What they are.
    fn describe(&mut self) -> impl Future<Output = Result<Description, Crash>> + Send;
    /// Sets the Matrix up.
    fn start(&mut self, setup: Setup) -> impl Future<Output = Result<Result<Outcome, String>, Crash>> + Send;
    /// Advances by one tick.
    fn step(
        &mut self,
        actions: Vec<Action>,
    ) -> impl Future<Output = Result<Result<Outcome, String>, Crash>> + Send;
    /// Handles a message.
    fn receive(
        &mut self,
        message: &Message,
    ) -> impl Future<Output = Result<Result<Option<Content>, String>, Crash>> + Send;
    /// The present state as people would look at it.
    fn view(&mut self) -> impl Future<Output = Result<Content, Crash>> + Send;
    /// The whole state.
    fn snapshot(&mut self) -> impl Future<Output = Result<Result<Snapshot, String>, Crash>> + Send;
    /// Takes up a state, without having been started.
    fn restore(&mut self, state: Snapshot) -> impl Future<Output = Result<Result<(), String>, Crash>> + Send;
    /// The source of chance, as far as it was used.
    fn chance(&mut self) -> random::Ctx;
    /// Goes on with a source of chance.
    fn set_chance(&mut self, chance: random::Ctx);
}

/// The node around one Matrix.
pub(crate) trait World: Send + Sync + 'static {
    /// Its rules.
    type Rules: Rules;

    /// Rules of a component that have not been started, and that nobody hears.
    fn rules(&self, component: Digest) -> impl Future<Output = Result<Self::Rules, MatrixError>> + Send;
    /// What these rules log and tell is heard from now on.
    fn hear(&self, rules: &mut Self::Rules);
    /// Lets a Soul decide its turns of one tick.
    fn act(
        &self,
        soul: &SoulName,
        request: ActRequest,
    ) -> impl Future<Output = Result<Vec<Vec<u8>>, ActError>> + Send;
    /// Lets a Soul forget what it answered in a run.
    fn forget(&self, soul: &SoulName, run: Arc<str>) -> impl Future<Output = ()> + Send;
    /// The run log is about to say this: from now on nobody may delete the new component, and the Matrix's record has
    /// room for it.
    fn claim(&self, switch: &Switch) -> impl Future<Output = Result<(), MatrixError>> + Send;
    /// The run log has these switches: returns once the Matrix's record has them too. Fails only if the Matrix was
    /// taken from this node.
    fn file(&self, switches: &[Switch]) -> impl Future<Output = Result<(), MatrixError>> + Send;
}

/// The node itself.
#[derive(Debug)]
pub(crate) struct Stage {
    host: Arc<MatrixHost>,
    /// The component with which the run began.
    first: Digest,
    matrix: MatrixName,
    limits: Limits,
    seed: u64,
    /// Of whoever runs the Matrix, and does not only look.
    deed: Option<Arc<Deed>>,
}

impl Stage {
    /// For a run with this header. Errors: `Limit`.
    pub(crate) fn open(host: Arc<MatrixHost>, header: &Header) -> Result<Self, MatrixError> {
        let limits = resolve(&host.config, &host.limits, header.memory_bytes, header.call_fuel)?;
        let (first, matrix) = (header.rules, header.matrix.clone());
        Ok(Self { first, matrix, limits, seed: header.seed, deed: None, host })
    }

    /// The same, for whoever runs the Matrix.
    pub(crate) fn owned(self, deed: Arc<Deed>) -> Self {
        Self { deed: Some(deed), ..self }
    }
}

impl World for Stage {
    type Rules = RulesInstance;

    /// Errors: `Component`, `WrongWorld`, `Crashed`.
    async fn rules(&self, component: Digest) -> Result<RulesInstance, MatrixError> {
        let linked = self.host.components.get(component).await?;
        if linked.info().kind != Kind::Rules {
            let found = linked.info().kind.singular();
            return Err(MatrixError::WrongWorld { digest: component, found });
        }
        let capabilities = self.host.capabilities(&self.matrix, self.seed);
        Ok(RulesInstance::new(&linked, GuestState::new(&self.limits, capabilities)).await?)
    }

    fn hear(&self, rules: &mut RulesInstance) {
        let usage = self.host.usages.of(self.matrix.as_str());
        rules.state().count_by(&usage);
        rules.state().capabilities.hear(&self.limits);
    }

    async fn act(&self, soul: &SoulName, request: ActRequest) -> Result<Vec<Vec<u8>>, ActError> {
        self.host.souls.act(soul, request).await
    }

    async fn forget(&self, soul: &SoulName, run: Arc<str>) {
        self.host.souls.forget_run(soul, run).await;
    }

    /// Errors: `Moved`, `Kv`, `Component` if it was deleted a moment ago.
    async fn claim(&self, switch: &Switch) -> Result<(), MatrixError> {
        if let Some(deed) = &self.deed {
            deed.change(None, |record| record.claimed = Some(*switch)).await?;
        }
        let known = self.host.components.record(switch.after).await?;
        known.map(drop).ok_or_else(|| ComponentError::Unknown(switch.after).into())
    }

    async fn file(&self, switches: &[Switch]) -> Result<(), MatrixError> {
        let Some(deed) = &self.deed else { return Ok(()) };
        loop {
            let filed = deed.change(None, |record| {
                record.name_rules(self.first, switches);
                record.claimed = None;
            });
            match filed.await {
                Ok(()) => return Ok(()),
                Err(error @ MatrixError::Moved(_)) => return Err(error),
                Err(error) => {
                    let matrix = &self.matrix;
                    tracing::info!(%matrix, %error, "which rules a Matrix has cannot be saved yet");
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl Rules for RulesInstance {
    async fn describe(&mut self) -> Result<Description, Crash> {
        Self::describe(self).await
    }

    async fn start(&mut self, setup: Setup) -> Result<Result<Outcome, String>, Crash> {
        Self::start(self, setup).await
    }

    async fn step(&mut self, actions: Vec<Action>) -> Result<Result<Outcome, String>, Crash> {
        Self::step(self, actions).await
    }

    async fn receive(&mut self, message: &Message) -> Result<Result<Option<Content>, String>, Crash> {
        let content = types::content(message.content.clone());
        let message = WitMessage {
            id: types::message_id(message.id),
            sender: types::address(&message.sender),
            recipient: types::address(&message.recipient),
            in_reply_to: message.in_reply_to.map(types::message_id),
            content_type: content.content_type,
            body: content.body,
            sent_at: message.sent_at_ms,
        };
        Self::receive(self, message).await
    }

    async fn view(&mut self) -> Result<Content, Crash> {
        Self::view(self).await
    }

    async fn snapshot(&mut self) -> Result<Result<Snapshot, String>, Crash> {
        Self::snapshot(self).await
    }

    async fn restore(&mut self, state: Snapshot) -> Result<Result<(), String>, Crash> {
        Self::restore(self, state).await
    }

    fn chance(&mut self) -> random::Ctx {
        self.state().capabilities.random.clone()
    }

    fn set_chance(&mut self, chance: random::Ctx) {
        self.state().capabilities.random = chance;
    }
}

/// What rules are set up with.
pub(crate) fn setup(header: &Header) -> Setup {
    let players = header.players.iter().map(|player| player.name.as_str().to_owned()).collect();
    Setup { config: header.config.clone(), seed: header.seed, players }
}
