//! A Soul on the bench.

use std::sync::Arc;
use std::time::Instant;

use super::{Bench, BenchError, fence};
use crate::capabilities::grants::Grants;
use crate::capabilities::messaging::{self, Waits};
use crate::capabilities::rehearsal::{Deed, Rehearsal};
use crate::capabilities::{Capabilities, config, events, grpc, http, keyvalue, memory, random};
use crate::ids::{MessageId, SoulName};
use crate::kv::KvError;
use crate::memory::{Memory, Place, Quota, Weights};
use crate::runtime::batch::Batch;
use crate::runtime::component::Component;
use crate::runtime::guest::Crash;
use crate::runtime::learner::{Experience, Figures};
use crate::runtime::limits::Limits;
use crate::runtime::soul::{Origin, SoulInstance, Turn};
use crate::runtime::state::{GuestState, Moment};
use crate::runtime::stateful::Snapshot;
use crate::transport::bus::Source;
use crate::transport::envelope::{Address, Content, Envelope};
use crate::transport::mailbox::{Inbox, Mailbox};
use crate::transport::router::Router;

/// What becomes of what a Soul does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// It is written down, and not done: a question fails, everything else succeeds.
    Noted,
    /// It is done, and nobody else is there but a [`Crowd`].
    Empty,
}

/// What a Soul finds around itself.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// What it may reach.
    pub grants: Grants,
    /// What it may use.
    pub limits: Limits,
    /// What becomes of what it does.
    pub outside: Outside,
    /// The KV fails, whatever it is asked.
    pub kv_lost: bool,
}

/// A message to a Soul.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Names it.
    pub id: u128,
    /// Who says it.
    pub sender: Address,
    /// Whom it is for.
    pub recipient: Address,
    /// The message that it answers, if any.
    pub in_reply_to: Option<u128>,
    /// What it says.
    pub content: Content,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// All that a component is, between two calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What it gave.
    pub snapshot: Snapshot,
    /// Its source of chance, which the node keeps beside that.
    pub(super) random: random::Ctx,
}

impl State {
    /// The same bytes under another schema.
    #[must_use]
    pub fn under(&self, schema: &str) -> Self {
        let snapshot = Snapshot { schema: schema.to_owned(), bytes: self.snapshot.bytes.clone() };
        Self { snapshot, random: self.random.clone() }
    }

    /// Other bytes under the same schema.
    #[must_use]
    pub fn of(&self, bytes: Vec<u8>) -> Self {
        let snapshot = Snapshot { schema: self.snapshot.schema.clone(), bytes };
        Self { snapshot, random: self.random.clone() }
    }
}

/// A live Soul. After a [`Crash`] it must be dropped.
#[derive(Debug)]
pub struct SoulOnBench {
    instance: SoulInstance,
    settings: config::Ctx,
}

impl Bench {
    /// Lets a Soul be born. The innermost error is the guest's own refusal.
    ///
    /// # Errors
    /// Those of the bench itself.
    pub async fn soul(
        &self,
        component: &Component,
        origin: Origin,
        around: &Circumstances,
    ) -> Result<Result<Result<SoulOnBench, String>, Crash>, BenchError> {
        let settings = config::Ctx::new(Arc::new(origin.config.iter().cloned().collect()));
        let random = random::Ctx::new(origin.seed);
        let capabilities = self.of_soul(settings.clone(), random, around).await?;
        let mut state = GuestState::new(&around.limits, capabilities);
        state.rehearsal = rehearsal(around.outside);
        let started = SoulInstance::start(component, state, origin, Moment::default()).await;
        Ok(started.map(|born| born.map(|instance| SoulOnBench { instance, settings })))
    }

    /// Puts a Soul into other circumstances, in the midst of its life; its memory limit stays as it was.
    ///
    /// # Errors
    /// Those of the bench itself.
    pub async fn place(&self, soul: &mut SoulOnBench, around: &Circumstances) -> Result<(), BenchError> {
        let random = soul.instance.state().capabilities.random.clone();
        let capabilities = self.of_soul(soul.settings.clone(), random, around).await?;
        let state = soul.instance.state();
        state.capabilities = capabilities;
        state.rehearsal = rehearsal(around.outside);
        Ok(())
    }

    async fn of_soul(
        &self,
        settings: config::Ctx,
        random: random::Ctx,
        around: &Circumstances,
    ) -> Result<Capabilities, KvError> {
        let Circumstances { grants, limits, outside, kv_lost } = around;
        let name = &self.name(*outside);
        let (kv, metrics) = (self.kv(*kv_lost).await?, self.telemetry.metrics());
        let (fence, refused) = (fence(&kv)?, &metrics.refusals);
        let source = Source::Soul(name.clone());
        let mut plain = self.plain(source.clone(), limits, settings, 0);
        plain.random = random;
        if !grants.events {
            let log = Arc::new(super::GuestLog::new(self.telemetry.logs().clone(), "bench", 0, refused));
            plain.events = events::Ctx::new(self.bus.clone(), source.clone(), None, log, refused);
        }
        let quota = Quota { episodes: limits.episodes, bytes: limits.episodes_bytes };
        let remembered = Memory::new(Place::new(kv.clone(), name, fence.clone()), quota, Weights::default());
        plain.memory = Some(Box::new(memory::Ctx::new(
            remembered,
            grants.memory,
            limits.memory_per_second,
            (self.bus.clone(), source),
            refused,
            &metrics.souls.memory,
        )));
        let grants = Arc::new(grants.clone());
        let (router, waits) = (self.router.clone(), Waits::default());
        // There is no service: whoever calls one hears so.
        let nobody = grpc::Endpoints::default();
        plain.grpc = Some(Box::new(grpc::Ctx::new(nobody, grants.clone(), limits, refused, waits.clone())));
        let log = Arc::new(super::GuestLog::new(self.telemetry.logs().clone(), "bench", 0, refused));
        let (nowhere, heard) = (http::Hosts::default(), (waits.clone(), log));
        plain.http = Some(Box::new(http::Ctx::new(nowhere, grants.clone(), limits, refused, heard)));
        plain.messaging =
            Some(messaging::Ctx::new(name.clone(), router, grants.clone(), limits, refused, waits));
        plain.keyvalue = Some(keyvalue::Ctx::new(kv, name.as_str(), fence, grants, limits, refused));
        Ok(plain)
    }
}

/// Addresses that are there, and whose mailboxes are full. They go with it.
#[derive(Debug)]
pub struct Crowd {
    router: Router,
    inboxes: Vec<(Address, Inbox)>,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for (address, _) in &self.inboxes {
            self.router.directory().remove(address);
        }
    }
}

impl Bench {
    /// Makes Souls and Matrices known whose mailboxes take nothing.
    pub fn crowd(&self, addresses: impl IntoIterator<Item = Address>) -> Crowd {
        let full = |address: Address| {
            let (mailbox, inbox) = Mailbox::new(0);
            self.router.directory().insert(address.clone(), mailbox);
            (address, inbox)
        };
        let has_mailbox = |address: &Address| matches!(address, Address::Soul(_) | Address::Matrix(_));
        let inboxes = addresses.into_iter().filter(has_mailbox).map(full).collect();
        Crowd { router: self.router.clone(), inboxes }
    }

    /// Under which name a Soul's things are kept: a fresh one where anything is, so that no two share any; the same
    /// where only notes are taken, for the name stands in them.
    fn name(&self, outside: Outside) -> SoulName {
        let name = if outside == Outside::Noted { "guest".to_owned() } else { self.fresh_name() };
        name.parse().expect("letters, digits and `-` are a name")
    }
}

fn rehearsal(outside: Outside) -> Option<Rehearsal> {
    (outside == Outside::Noted).then(|| Rehearsal::new(false))
}

impl SoulOnBench {
    /// Lets it handle messages at once, for a sender who waits until `deadline`: one result each.
    ///
    /// # Errors
    /// A crash.
    pub async fn tell(
        &mut self,
        said: &[Said],
        deadline: Option<Instant>,
    ) -> Result<Vec<Result<Option<Content>, String>>, Crash> {
        let envelopes: Vec<_> = said.iter().map(envelope).collect();
        let now_ms = said.first().map_or(0, |said| said.at_ms);
        let moment = Moment { now_ms, hops: 1, trace: None, deadline };
        self.instance.receive(Batch::of(&envelopes), moment).await
    }

    /// What it did since this was called last, where that is written down.
    pub fn deeds(&mut self) -> Vec<Deed> {
        self.instance.state().rehearsal.as_ref().map(Rehearsal::take).unwrap_or_default()
    }

    /// Its state; none: its component does not export `stateful`. The inner error is the guest's own refusal.
    ///
    /// # Errors
    /// A crash.
    pub async fn state(&mut self) -> Result<Option<Result<State, String>>, Crash> {
        let snapshot = self.instance.snapshot(Moment::default()).await?;
        let random = self.instance.state().capabilities.random.clone();
        Ok(snapshot.map(|given| given.map(|snapshot| State { snapshot, random })))
    }

    /// Gives it a state, with the source of chance that goes with it. The inner error is the guest's own refusal.
    ///
    /// # Errors
    /// A crash.
    pub async fn take_up(&mut self, state: State) -> Result<Result<(), String>, Crash> {
        let restored = self.instance.restore(state.snapshot, Moment::default()).await?;
        self.instance.state().capabilities.random = state.random;
        Ok(restored)
    }

    /// Decides the turns of one tick; none: its component does not export `player`.
    ///
    /// # Errors
    /// A crash.
    pub async fn act(
        &mut self,
        tick: u64,
        turns: &[Turn],
        at_ms: u64,
    ) -> Result<Result<Vec<Vec<u8>>, String>, Crash> {
        let moment = Moment { now_ms: at_ms, hops: 1, ..Moment::default() };
        self.instance.act("bench", tick, turns, moment).await
    }

    /// Learns from a batch. The inner error is the guest's own refusal, or says that its figures are of no use.
    ///
    /// # Errors
    /// A crash.
    pub async fn train(&mut self, batch: &[Experience]) -> Result<Result<Figures, String>, Crash> {
        self.instance.train(batch, Moment::default()).await
    }

    /// Measures what it has learnt. Errors as for [`SoulOnBench::train`].
    ///
    /// # Errors
    /// A crash.
    pub async fn evaluate(&mut self, batch: &[Experience]) -> Result<Result<Figures, String>, Crash> {
        self.instance.evaluate(batch, Moment::default()).await
    }

    /// Linear memory in use, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.instance.memory_bytes()
    }
}

fn envelope(said: &Said) -> Envelope {
    let (sender, recipient) = (said.sender.clone(), said.recipient.clone());
    Envelope {
        in_reply_to: said.in_reply_to.map(MessageId),
        sent_at_ms: said.at_ms,
        ..Envelope::plain(MessageId(said.id), sender, recipient, said.content.clone())
    }
}
