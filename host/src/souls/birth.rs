//! How a Soul's instance comes to be, takes up a state, and gives one: the same for one that wakes and for new code.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::checkpoint::{Checkpoint, CheckpointError, Header};
use super::host::Host;
use super::life::StartError;
use super::manifest::Manifest;
use super::placed::Placed;
use crate::capabilities::messaging::Waits;
use crate::capabilities::random;
use crate::clock;
use crate::ids::Digest;
use crate::runtime::component::Component;
use crate::runtime::guest::Crash;
use crate::runtime::limits::Limits;
use crate::runtime::soul::{Origin, SoulInstance};
use crate::runtime::state::{GuestState, Moment};
use crate::runtime::stateful::Snapshot;

/// The host's side of a Soul that lives at `placed`, and waits for answers as long as `waits` lets it.
pub(super) fn guest(
    host: &Host,
    manifest: &Manifest,
    limits: &Limits,
    placed: Placed,
    waits: Waits,
) -> Result<GuestState, CheckpointError> {
    let fence = placed.condition(&host.kv, &manifest.name)?;
    let memory = host.memory(manifest, limits, placed)?;
    let random = random::Ctx::new(manifest.seed);
    Ok(GuestState::new(limits, host.capabilities(manifest, limits, (fence, memory), random, waits)))
}

/// Instantiates a component and lets the Soul be born. That is the same each time, at no time and from the seed; what a
/// Soul drew since comes with its state.
pub(super) async fn born(
    component: &Component,
    manifest: &Manifest,
    state: GuestState,
) -> Result<SoulInstance, StartError> {
    let born = SoulInstance::start(component, state, origin(manifest), Moment::default()).await?;
    born.map_err(StartError::Init)
}

/// Gives an instance a state, and the source of chance that goes with it.
pub(super) async fn restore(instance: &mut SoulInstance, checkpoint: &Checkpoint) -> Result<(), StartError> {
    let Checkpoint { header, state } = checkpoint;
    if !header.schema.is_empty() {
        let snapshot = Snapshot { schema: header.schema.clone(), bytes: state.clone().into() };
        let restored = instance.restore(snapshot, Moment::default()).await?;
        restored.map_err(StartError::Restore)?;
    }
    instance.state().capabilities.random = header.random.clone();
    Ok(())
}

/// The state of an instance as it would be saved now, with what `header` says beside it. The inner error is the guest's
/// own refusal.
pub(super) async fn checkpoint(
    instance: &mut SoulInstance,
    header: Header,
) -> Result<Result<Checkpoint, String>, Crash> {
    let snapshot = match instance.snapshot(Moment::default()).await?.transpose() {
        Ok(snapshot) => snapshot,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // A Soul that keeps no state has to be told again what it saw, so its answers are not kept either.
    let acted = if snapshot.is_some() { header.acted } else { BTreeMap::new() };
    let snapshot = snapshot.unwrap_or(Snapshot { schema: String::new(), bytes: Vec::new() });
    let header = Header {
        schema: snapshot.schema,
        state: Digest::of(&snapshot.bytes),
        random: instance.state().capabilities.random.clone(),
        at_ms: clock::now_ms(),
        acted,
        ..header
    };
    Ok(Ok(Checkpoint { header, state: Bytes::from(snapshot.bytes) }))
}

fn origin(manifest: &Manifest) -> Origin {
    Origin {
        name: manifest.name.as_str().to_owned(),
        description: manifest.persona.description.clone(),
        traits: manifest.persona.traits.clone(),
        values: manifest.persona.values.clone(),
        config: manifest.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        seed: manifest.seed,
    }
}
