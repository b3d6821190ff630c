//! New code, born beside the old and not yet in its place: whatever it does is written down, and done only once it is.

use std::sync::Arc;

use super::super::birth;
use super::super::checkpoint::{Checkpoint, Header};
use super::super::host::Host;
use super::super::life::{StartError, first_header};
use super::super::manifest::Manifest;
use super::super::placed::Placed;
use crate::capabilities::messaging::Waits;
use crate::capabilities::rehearsal::Deed;
use crate::ids::TopicName;
use crate::runtime::component::Component;
use crate::runtime::limits::Limits;
use crate::runtime::soul::SoulInstance;

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
        let mut state = birth::guest(host, &manifest, limits, placed, waits)?;
        state.rehearse(asks);
        let instance = Box::new(birth::born(&component, &manifest, state).await?);
        host.metrics.runtime.instantiations.add(1);
        Ok(Self { manifest, component, instance })
    }

    /// Takes up a copy of a state. None: there is none, and it is as it was born.
    pub(crate) async fn take_up(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), StartError> {
        match checkpoint {
            Some(checkpoint) => birth::restore(&mut self.instance, checkpoint).await,
            None => Ok(()),
        }
    }

    /// The state that it took up, in its own layout: that it gives it is the proof that it answers. `before` is the header
    /// of what it took up; none: it was born anew.
    pub(crate) async fn prove(&mut self, before: Option<&Header>) -> Result<Checkpoint, StartError> {
        let (component, parent) = (self.manifest.component, before.map(|header| header.state));
        let header = before.map_or_else(|| first_header(&self.manifest), Header::clone);
        let proved = birth::checkpoint(&mut self.instance, Header { component, parent, ..header }).await?;
        proved.map_err(StartError::Snapshot)
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
