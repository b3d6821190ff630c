//! New code, born beside the old and not yet in its place: whatever it does is written down, and done only once it is.

use std::sync::Arc;

use bytes::Bytes;

use super::super::checkpoint::{Checkpoint, CheckpointError, Header};
use super::super::host::Host;
use super::super::life::{self, StartError};
use super::super::manifest::Manifest;
use super::super::placed::Placed;
use crate::capabilities::messaging::Waits;
use crate::capabilities::random;
use crate::capabilities::rehearsal::Deed;
use crate::clock;
use crate::ids::{Digest, TopicName};
use crate::runtime::component::Component;
use crate::runtime::limits::Limits;
use crate::runtime::soul::SoulInstance;
use crate::runtime::state::{GuestState, Moment};
use crate::runtime::stateful::Snapshot;

/// New code that was born.
pub(crate) struct Candidate {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) component: Arc<Component>,
    pub(crate) instance: Box<SoulInstance>,
}

impl Candidate {
    /// Lets the code of `manifest` be born, of a Soul that lives at `placed`. `asks`: what it asks meanwhile is asked.
    pub(crate) async fn born(
        host: &Host,
        manifest: Arc<Manifest>,
        limits: &Limits,
        (placed, waits): (Placed, Waits),
        asks: bool,
    ) -> Result<Self, StartError> {
        let component = host.components.get(manifest.component).await;
        let component = component.map_err(|error| StartError::Component(error.to_string()))?;
        let random = random::Ctx::new(manifest.seed);
        let fence = placed.condition(&host.kv, &manifest.name).map_err(CheckpointError::from)?;
        let capabilities = host.capabilities(&manifest, limits, fence, random, waits);
        let mut state = GuestState::new(limits, capabilities);
        state.rehearse(asks);
        let moment = Moment::default();
        let born = SoulInstance::start(&component, state, life::origin(&manifest), moment).await?;
        let instance = Box::new(born.map_err(StartError::Init)?);
        host.metrics.runtime.instantiations.add(1);
        Ok(Self { manifest, component, instance })
    }

    /// Takes up a copy of a state. None: there is none, and it is as it was born.
    pub(crate) async fn take_up(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), StartError> {
        let Some(Checkpoint { header, state }) = checkpoint else { return Ok(()) };
        if !header.schema.is_empty() {
            let snapshot = Snapshot { schema: header.schema.clone(), bytes: state.to_vec() };
            let restored = self.instance.restore(snapshot, Moment::default()).await?;
            restored.map_err(StartError::Restore)?;
        }
        self.instance.state().capabilities.random = header.random.clone();
        Ok(())
    }

    /// The state that it took up, in its own layout: that it gives it is the proof that it answers.
    pub(crate) async fn prove(&mut self, before: Option<&Header>) -> Result<Checkpoint, StartError> {
        let taken = self.instance.snapshot(Moment::default()).await?.transpose();
        let taken = taken.map_err(StartError::Snapshot)?;
        let keeps = taken.is_some();
        let snapshot = taken.unwrap_or(Snapshot { schema: String::new(), bytes: Vec::new() });
        let acted = before.filter(|_| keeps).map(|header| header.acted.clone());
        let header = Header {
            schema: snapshot.schema,
            component: self.manifest.component,
            state: Digest::of(&snapshot.bytes),
            parent: before.map(|header| header.state),
            at_ms: clock::now_ms(),
            random: self.instance.state().capabilities.random.clone(),
            topics: before.map(|header| header.topics.clone()).unwrap_or_default(),
            acted: acted.unwrap_or_default(),
        };
        Ok(Checkpoint { header, state: Bytes::from(snapshot.bytes) })
    }
}

/// The topics that a Soul hears after what it did.
pub(super) fn topics_after(mut topics: Vec<TopicName>, deeds: &[Deed]) -> Vec<TopicName> {
    for deed in deeds {
        match deed {
            Deed::Subscribe(topic) if !topics.contains(topic) => topics.push(topic.clone()),
            Deed::Unsubscribe(topic) => topics.retain(|heard| heard != topic),
            _ => {}
        }
    }
    topics.sort();
    topics
}
