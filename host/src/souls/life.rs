//! A Soul's life between birth and sleep: its instance, and what is kept of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Saved;
use super::birth;
use super::checkpoint::{self, Checkpoint, CheckpointError, Header};
use super::host::Host;
use super::manifest::Manifest;
use super::pieces;
use super::placed::Placed;
use super::saving::Begun;
use crate::capabilities::messaging::Waits;
use crate::capabilities::random;
use crate::ids::{Digest, SoulName, TopicName};
use crate::runtime::component::Component;
use crate::runtime::guest::Crash;
use crate::runtime::limits::Limits;
use crate::runtime::soul::SoulInstance;
use crate::runtime::usage::Usage;
use crate::transport::router::Router;

/// Why a Soul did not come to life.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its component cannot be had.
    #[error("its component cannot be loaded: {0}")]
    Component(String),
    /// Its component crashed.
    #[error("its component {0}")]
    Crashed(#[from] Crash),
    /// `init` returned an error.
    #[error("`init` refused: {0}")]
    Init(String),
    /// `snapshot` returned an error after the state was taken up.
    #[error("`snapshot` refused the state that it had taken up: {0}")]
    Snapshot(String),
    /// `restore` returned an error.
    #[error("`restore` refused its state: {0}")]
    Restore(String),
    /// Its checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl StartError {
    /// Whether the node lacks something, for which the Soul is not to blame.
    pub const fn is_of_the_node(&self) -> bool {
        matches!(
            self,
            Self::Component(_) | Self::Crashed(Crash::NoRoom(_)) | Self::Checkpoint(CheckpointError::Kv(_))
        )
    }

    /// A word for metrics and events.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Component(_) => "component",
            Self::Crashed(crash) => crash.kind(),
            Self::Init(_) => "init",
            Self::Restore(_) => "restore",
            Self::Snapshot(_) => "snapshot",
            Self::Checkpoint(_) => "checkpoint",
        }
    }
}

/// Why a state was not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The guest crashed over it.
    #[error(transparent)]
    Crashed(#[from] Crash),
    /// The guest refused.
    #[error("`snapshot` refused: {0}")]
    Refused(String),
    /// It could not be stored.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Asleep or awake. What is saved is kept in mind while awake, so that what did not change is not written.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// How long the Soul waits for answers.
    waits: Waits,
    instance: Option<Box<SoulInstance>>,
    header: Option<Header>,
    /// The header as it was last saved.
    saved: Option<Header>,
    turns_unsaved: u32,
    unsaved_since: Option<Instant>,
    fuel_before: u64,
}

impl Life {
    /// A Soul that sleeps.
    pub(crate) fn new(waits: Waits) -> Self {
        Self { waits, ..Self::default() }
    }

    pub(crate) fn is_awake(&self) -> bool {
        self.instance.is_some()
    }

    /// How long the Soul waits.
    pub(super) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// Whether the guest may have been heard by anybody since it was entered last.
    pub(crate) fn has_acted(&self) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.has_acted())
    }

    /// Whether it called anybody outside the realm since it was entered last.
    pub(crate) fn has_called(&self) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.has_called())
    }

    pub(crate) fn instance(&mut self) -> Option<&mut SoulInstance> {
        self.instance.as_deref_mut()
    }

    pub(crate) fn header_mut(&mut self) -> Option<&mut Header> {
        self.header.as_mut()
    }

    pub(crate) fn forget(&mut self, run: &str) {
        if let Some(header) = &mut self.header {
            header.acted.remove(run);
        }
    }

    /// Instantiates the component, and gives the Soul back what was saved of it.
    pub(crate) async fn wake(
        &mut self,
        host: &Host,
        manifest: &Manifest,
        limits: &Limits,
        component: &Arc<Component>,
        placed: Placed,
        usage: &Arc<Usage>,
    ) -> Result<(), StartError> {
        let saved = checkpoint::load(&host.kv, &manifest.name).await?;
        if let Err(error) = Box::pin(pieces::tidy(&host.kv, &manifest.name, placed)).await {
            tracing::warn!(soul = %manifest.name, %error, "pieces of states that nobody has may be left");
        }
        let state = birth::guest(host, manifest, limits, placed, self.waits.clone())?.counted_by(usage);
        let mut instance = birth::born(component, manifest, state).await?;
        if let Some(checkpoint) = &saved {
            listen(&host.router, &manifest.name, &checkpoint.header.topics);
            birth::restore(&mut instance, checkpoint).await?;
        }
        let header = saved.as_ref().map_or_else(|| first_header(manifest), |c| c.header.clone());
        self.header = Some(Header { component: manifest.component, ..header });
        self.saved = saved.map(|checkpoint| checkpoint.header);
        self.instance = Some(Box::new(instance));
        self.turns_unsaved = 0;
        self.unsaved_since = None;
        if self.saved.is_none() {
            // What it did at its birth, such as a subscription, has to outlive the node too.
            self.changed();
        }
        Ok(())
    }

    /// A turn ended: the state may have changed.
    pub(crate) fn changed(&mut self) {
        self.turns_unsaved += 1;
        self.unsaved_since.get_or_insert_with(Instant::now);
    }

    pub(crate) fn turns_unsaved(&self) -> u32 {
        self.turns_unsaved
    }

    /// How long the oldest unsaved turn has been waiting.
    pub(crate) fn unsaved_for(&self) -> Duration {
        self.unsaved_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Memory in use and fuel used, also by instances before this one.
    pub(crate) fn usage(&self) -> (u64, u64) {
        match &self.instance {
            Some(instance) => (instance.memory_bytes(), self.fuel_before + instance.fuel_used()),
            None => (0, self.fuel_before),
        }
    }

    /// The state as it is, as it would be saved now.
    pub(crate) async fn take(&mut self, host: &Host, soul: &SoulName) -> Result<Checkpoint, SaveError> {
        let (Some(instance), Some(header)) = (self.instance.as_deref_mut(), &self.header) else {
            return Err(SaveError::Refused("the Soul is asleep".into()));
        };
        let header = Header {
            parent: self.saved.as_ref().map(|saved| saved.state),
            topics: host.router.directory().subscriptions(soul),
            ..header.clone()
        };
        birth::checkpoint(instance, header).await?.map_err(SaveError::Refused)
    }

    /// Takes the state, to be saved. `None`: it is as it was, and need not be written again.
    pub(crate) async fn begin_save(
        &mut self,
        host: &Host,
        soul: &SoulName,
    ) -> Result<(Begun, Option<Checkpoint>), SaveError> {
        let Checkpoint { header, state } = self.take(host, soul).await?;
        let before = self
            .saved
            .as_ref()
            .filter(|saved| Header { parent: saved.parent, at_ms: saved.at_ms, ..header.clone() } == **saved);
        let (header, unchanged) = before.map_or((header, false), |saved| (saved.clone(), true));
        let (schema, size, digest) = (header.schema.clone(), state.len() as u64, header.state);
        let saved = Saved { schema, size, digest, at_ms: header.at_ms };
        let checkpoint = (!unchanged).then(|| Checkpoint { header: header.clone(), state });
        // What comes from now on is unsaved, and nothing else, if this one comes there.
        let (turns, since) = (std::mem::take(&mut self.turns_unsaved), self.unsaved_since.take());
        Ok((Begun { saved, header, turns, since }, checkpoint))
    }

    /// A state is durable that was taken. One that has left memory meanwhile keeps nothing in mind.
    pub(crate) fn save_done(&mut self, header: Header) {
        if self.is_awake() {
            self.saved = Some(header);
        }
    }

    /// A state was taken, and did not come to be durable.
    pub(crate) fn save_failed(&mut self, begun: &Begun) {
        if self.is_awake() {
            self.turns_unsaved += begun.turns;
            self.unsaved_since = begun.since.or(self.unsaved_since);
        }
    }

    /// Another instance takes the place of the one before, or of none; `header` tells of its state, which is durable.
    pub(crate) fn replace(&mut self, instance: Box<SoulInstance>, header: Header) {
        self.sleep();
        self.instance = Some(instance);
        self.saved = Some(header.clone());
        self.header = Some(header);
    }

    /// Drops an instance that must not be entered again. What came after the last checkpoint is lost.
    pub(crate) fn crashed(&mut self) {
        self.sleep();
    }

    /// Leaves memory.
    pub(crate) fn sleep(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.fuel_before += instance.fuel_used();
        }
        self.header = None;
        self.saved = None;
        self.turns_unsaved = 0;
        self.unsaved_since = None;
    }
}

/// Gives a Soul back a topic that it subscribed to before. A node that listens to as many as it may goes without: the
/// Soul still lives.
pub(super) fn subscribe(router: &Router, topic: TopicName, soul: &SoulName) {
    if let Err(error) = router.directory().subscribe(topic.clone(), soul.clone()) {
        tracing::warn!(%soul, %topic, %error, "a subscription is lost");
    }
}

/// Lets a Soul hear these topics again, and no others.
fn listen(router: &Router, soul: &SoulName, topics: &[TopicName]) {
    let directory = router.directory();
    for topic in directory.subscriptions(soul).iter().filter(|topic| !topics.contains(topic)) {
        directory.unsubscribe(topic, soul);
    }
    for topic in topics {
        subscribe(router, topic.clone(), soul);
    }
}

pub(super) fn first_header(manifest: &Manifest) -> Header {
    Header {
        schema: String::new(),
        component: manifest.component,
        state: Digest::of(b""),
        parent: None,
        at_ms: 0,
        random: random::Ctx::new(manifest.seed),
        topics: Vec::new(),
        acted: BTreeMap::new(),
    }
}
