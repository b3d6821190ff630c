//! Souls: manifests on their way in, views on their way out.

use std::str::FromStr;

use matrix_proto::v1;
use tonic::{Code, Status};

use super::{Failure, address_to, bad_id, content_to, missing};
use crate::capabilities::grants::Grants;
use crate::ids::{Digest, SoulName};
use crate::memory::Weights;
use crate::runtime::limits::Limits;
use crate::souls::dead::DeadLetter;
use crate::souls::manifest::{Durability, Manifest, Mode, Persona, Placement};
use crate::souls::status::State;
use crate::souls::{Saved, SoulView};

/// The manifest that a caller gives; `component` is the digest that its component's name stands for.
/// What is too long or too large is found by `Manifest::check`.
pub(in crate::admin) fn soul_manifest(
    given: v1::SoulManifest,
    component: Digest,
) -> Result<Manifest, Status> {
    let name: SoulName = given.name.parse().map_err(|error| bad_id("manifest.name", &error))?;
    let seed = if given.seed == 0 { Manifest::seed_of(&name) } else { given.seed };
    let durability = given.durability.unwrap_or_default();
    Ok(Manifest {
        name,
        component,
        persona: persona(given.persona.unwrap_or_default()),
        config: given.config.into_iter().collect(),
        grants: grants(given.grants.unwrap_or_default())?,
        limits: limits(given.limits.unwrap_or_default()),
        durability: Durability {
            every_turns: durability.every_turns,
            every_seconds: durability.every_seconds,
            mode: match durability.mode() {
                v1::DurabilityMode::Unspecified | v1::DurabilityMode::Checkpoint => Mode::Checkpoint,
                v1::DurabilityMode::Turn => Mode::Turn,
            },
        },
        seed,
        placement: given.placement.map_or_else(Placement::default, |placement| Placement {
            labels: placement.labels.into_iter().collect(),
            apart: placement.apart,
        }),
        learning: given.learning.map(super::training).transpose()?.unwrap_or_default(),
        memory: weights(given.memory.unwrap_or_default()),
    })
}

/// The persona that a caller gives. What is too long is found by `Manifest::check`.
pub(in crate::admin) fn persona(given: v1::Persona) -> Persona {
    Persona {
        description: given.description,
        traits: given.traits,
        values: given.values.into_iter().map(|value| (value.name, value.weight)).collect(),
    }
}

/// The manifest of a message, which must have one that names its component.
pub(in crate::admin) fn required(given: Option<v1::SoulManifest>) -> Result<v1::SoulManifest, Status> {
    let manifest = given.ok_or_else(|| missing("manifest"))?;
    if manifest.component.is_empty() { Err(missing("manifest.component")) } else { Ok(manifest) }
}

fn grants(given: v1::Grants) -> Result<Grants, Status> {
    Ok(Grants {
        send: each("manifest.grants.send", &given.send)?,
        ask: each("manifest.grants.ask", &given.ask)?,
        subscribe: each("manifest.grants.subscribe", &given.subscribe)?,
        buckets: each("manifest.grants.buckets", &given.buckets)?,
        events: given.events,
        memory: given.memory,
        grpc: each("manifest.grants.grpc", &given.grpc)?,
        http: each("manifest.grants.http", &given.http)?,
    })
}

fn each<T: FromStr<Err: std::error::Error>>(field: &str, texts: &[String]) -> Result<Vec<T>, Status> {
    let parse = |(place, text): (usize, &String)| {
        text.parse().map_err(|error: T::Err| {
            let failure = Failure::new(Code::InvalidArgument, "GRANT_INVALID", &error);
            failure.field(&format!("{field}[{place}]")).status()
        })
    };
    texts.iter().enumerate().map(parse).collect()
}

fn weights(given: v1::MemoryWeights) -> Weights {
    let default = Weights::default();
    Weights {
        relevance: given.relevance.unwrap_or(default.relevance),
        recency: given.recency.unwrap_or(default.recency),
        importance: given.importance.unwrap_or(default.importance),
        decay: given.decay.unwrap_or(default.decay),
        alike: given.alike.unwrap_or(default.alike),
    }
}

fn limits(given: v1::Limits) -> Limits {
    Limits {
        memory_bytes: given.memory_bytes,
        call_ms: given.call_ms,
        call_fuel: given.call_fuel,
        mailbox_messages: given.mailbox_messages,
        body_bytes: given.body_bytes,
        messages_per_second: given.messages_per_second,
        kv_per_second: given.kv_per_second,
        log_lines_per_second: given.log_lines_per_second,
        events_per_second: given.events_per_second,
        episodes: given.episodes,
        episodes_bytes: given.episodes_bytes,
        memory_per_second: given.memory_per_second,
        grpc_per_second: given.grpc_per_second,
        http_per_second: given.http_per_second,
    }
}

/// A Soul as callers see it.
pub(in crate::admin) fn soul(view: &SoulView) -> v1::Soul {
    v1::Soul {
        manifest: Some(shown(&view.manifest)),
        state: state(view.state).into(),
        reason: view.reason.clone(),
        digest: view.manifest.component.to_string(),
        mailbox_depth: u32::try_from(view.mailbox_depth).unwrap_or(u32::MAX),
        handled: view.handled,
        crashes: view.crashes,
        memory_bytes: view.memory_bytes,
        fuel_used: view.fuel_used,
        checkpoint_at_ms: view.checkpoint_at_ms,
        schema: view.schema.clone(),
        node: view.placed.node,
        generation: view.placed.generation,
        again_at_ms: view.again_at_ms,
        crashes_recent: view.crashes_recent,
    }
}

/// A dead letter as callers see it.
pub(in crate::admin) fn dead_letter(letter: &DeadLetter) -> v1::DeadLetter {
    let message = &letter.message;
    v1::DeadLetter {
        id: letter.id.to_string(),
        message_id: message.id.to_string(),
        sender: Some(address_to(&message.sender)),
        content: Some(content_to(&message.content)),
        reason: letter.reason.clone(),
        attempts: letter.attempts,
        at_ms: letter.at_ms(),
        trace_id: message.trace.map(|trace| format!("{:032x}", trace.trace_id)).unwrap_or_default(),
    }
}

/// A saved state as callers see it.
pub(in crate::admin) fn saved(saved: &Saved) -> v1::CheckpointResponse {
    v1::CheckpointResponse {
        schema: saved.schema.clone(),
        size: saved.size,
        digest: saved.digest.to_string(),
    }
}

const fn state(state: State) -> v1::SoulState {
    match state {
        State::Starting => v1::SoulState::Starting,
        State::Running => v1::SoulState::Running,
        State::Passive => v1::SoulState::Passive,
        State::BackingOff => v1::SoulState::BackingOff,
        State::Stopped => v1::SoulState::Stopped,
        State::Failed => v1::SoulState::Failed,
    }
}

fn granted(grants: &Grants) -> v1::Grants {
    v1::Grants {
        send: grants.send.iter().map(ToString::to_string).collect(),
        ask: grants.ask.iter().map(ToString::to_string).collect(),
        subscribe: grants.subscribe.iter().map(ToString::to_string).collect(),
        buckets: grants.buckets.iter().cloned().map(String::from).collect(),
        events: grants.events,
        memory: grants.memory,
        grpc: grants.grpc.iter().map(ToString::to_string).collect(),
        http: grants.http.iter().map(ToString::to_string).collect(),
    }
}

fn shown(manifest: &Manifest) -> v1::SoulManifest {
    let Manifest {
        name,
        component,
        persona,
        config,
        grants,
        limits,
        durability,
        seed,
        placement,
        learning,
        memory,
    } = manifest;
    let value = |(name, weight): &(String, f32)| v1::Value { name: name.clone(), weight: *weight };
    v1::SoulManifest {
        name: name.to_string(),
        component: component.to_string(),
        persona: Some(v1::Persona {
            description: persona.description.clone(),
            traits: persona.traits.clone(),
            values: persona.values.iter().map(value).collect(),
        }),
        config: config.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        grants: Some(granted(grants)),
        limits: Some(v1::Limits {
            memory_bytes: limits.memory_bytes,
            call_ms: limits.call_ms,
            call_fuel: limits.call_fuel,
            mailbox_messages: limits.mailbox_messages,
            body_bytes: limits.body_bytes,
            messages_per_second: limits.messages_per_second,
            kv_per_second: limits.kv_per_second,
            log_lines_per_second: limits.log_lines_per_second,
            events_per_second: limits.events_per_second,
            episodes: limits.episodes,
            episodes_bytes: limits.episodes_bytes,
            memory_per_second: limits.memory_per_second,
            grpc_per_second: limits.grpc_per_second,
            http_per_second: limits.http_per_second,
        }),
        durability: Some(v1::Durability {
            every_turns: durability.every_turns,
            every_seconds: durability.every_seconds,
            mode: match durability.mode {
                Mode::Checkpoint => v1::DurabilityMode::Checkpoint,
                Mode::Turn => v1::DurabilityMode::Turn,
            }
            .into(),
        }),
        seed: *seed,
        placement: Some(v1::Placement {
            labels: placement.labels.clone().into_iter().collect(),
            apart: placement.apart.clone(),
        }),
        learning: Some(super::training_to(learning)),
        memory: (!memory.are_default()).then_some(v1::MemoryWeights {
            relevance: Some(memory.relevance),
            recency: Some(memory.recency),
            importance: Some(memory.importance),
            decay: Some(memory.decay),
            alike: Some(memory.alike),
        }),
    }
}
