//! Swaps in the whole realm: done where the Soul lives.

use std::time::Duration;

use bytes::Bytes;
use matrix_proto::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::error::SoulError;
use super::super::fleet::Fleet;
use super::super::manifest::Persona;
use super::super::registry::Souls;
use super::super::wire::{Answer, Question, unexpected, write};
use super::versions::Versions;
use super::{Swapped, Trial};
use crate::ids::{Digest, SoulName};

/// How long a node may take to fetch and compile a component, and to wait for the Soul's turn to end after it was cut
/// off, beside the time that the turn is given.
const BESIDE: Duration = Duration::from_secs(120);

impl Fleet {
    /// [`Souls::swap`], wherever the Soul lives.
    ///
    /// # Errors
    /// As there, and `Away`.
    pub async fn swap(
        &self,
        soul: &SoulName,
        component: Digest,
        turn: Duration,
    ) -> Result<Swapped, SoulError> {
        let Some(node) = self.node_to_ask(soul).await? else {
            return self.here().swap(soul, component, turn).await;
        };
        let swap = Question::Swap(of_swap(soul, component, turn));
        read(self.ask(node, &write(swap), turn + BESIDE).await?, node)
    }

    /// [`Souls::rehearse`], wherever the Soul lives.
    ///
    /// # Errors
    /// As there, and `Away`.
    pub async fn rehearse(&self, soul: &SoulName, component: Digest) -> Result<Trial, SoulError> {
        let Some(node) = self.node_to_ask(soul).await? else {
            return self.here().rehearse(soul, component).await;
        };
        let rehearse = Question::Rehearse(of_swap(soul, component, Duration::ZERO));
        read(self.ask(node, &write(rehearse), BESIDE).await?, node)
    }

    /// [`Souls::roll_back`], wherever the Soul lives.
    ///
    /// # Errors
    /// As there, and `Away`.
    pub async fn roll_back(&self, soul: &SoulName, kept: bool, turn: Duration) -> Result<Swapped, SoulError> {
        let Some(node) = self.node_to_ask(soul).await? else {
            return self.here().roll_back(soul, kept, turn).await;
        };
        let roll_back = wire::SoulRollback { soul: soul.to_string(), kept, turn_ms: millis(turn) };
        read(self.ask(node, &write(Question::RollBack(roll_back)), turn + BESIDE).await?, node)
    }

    /// [`Souls::set_persona`], wherever the Soul lives.
    ///
    /// # Errors
    /// As there, and `Away`.
    pub async fn set_persona(
        &self,
        soul: &SoulName,
        persona: Persona,
        turn: Duration,
    ) -> Result<Swapped, SoulError> {
        let Some(node) = self.node_to_ask(soul).await? else {
            return self.here().set_persona(soul, persona, turn).await;
        };
        let persona = json(&persona)?;
        let asked = wire::SoulPersona { soul: soul.to_string(), persona, turn_ms: millis(turn) };
        read(self.ask(node, &write(Question::SetPersona(asked)), turn + BESIDE).await?, node)
    }

    /// The versions of a Soul that are remembered; the last one is the one that should run.
    ///
    /// # Errors
    /// `Unknown`, `Kv`.
    pub async fn history(&self, soul: &SoulName) -> Result<Versions, SoulError> {
        self.here().history(soul).await
    }
}

/// Answers another node about a Soul of this one.
pub(in crate::souls) async fn swap(
    souls: &Souls,
    soul: SoulName,
    asked: &wire::SoulSwap,
) -> Result<Answer, SoulError> {
    let turn = Duration::from_millis(asked.turn_ms);
    Ok(Answer::Swapped(json(&souls.swap(&soul, component(asked)?, turn).await?)?))
}

/// As [`swap`].
pub(in crate::souls) async fn rehearse(
    souls: &Souls,
    soul: SoulName,
    asked: &wire::SoulSwap,
) -> Result<Answer, SoulError> {
    Ok(Answer::Rehearsed(json(&souls.rehearse(&soul, component(asked)?).await?)?))
}

/// As [`swap`].
pub(in crate::souls) async fn roll_back(
    souls: &Souls,
    soul: SoulName,
    asked: &wire::SoulRollback,
) -> Result<Answer, SoulError> {
    let turn = Duration::from_millis(asked.turn_ms);
    Ok(Answer::Swapped(json(&souls.roll_back(&soul, asked.kept, turn).await?)?))
}

/// As [`swap`].
pub(in crate::souls) async fn set_persona(
    souls: &Souls,
    soul: SoulName,
    asked: &wire::SoulPersona,
) -> Result<Answer, SoulError> {
    let persona = serde_json::from_slice(&asked.persona).map_err(|_| unexpected(0))?;
    let turn = Duration::from_millis(asked.turn_ms);
    Ok(Answer::Swapped(json(&souls.set_persona(&soul, persona, turn).await?)?))
}

fn component(asked: &wire::SoulSwap) -> Result<Digest, SoulError> {
    asked.component.parse().map_err(|_| unexpected(0))
}

fn of_swap(soul: &SoulName, component: Digest, turn: Duration) -> wire::SoulSwap {
    wire::SoulSwap { soul: soul.to_string(), component: component.to_string(), turn_ms: millis(turn) }
}

fn millis(turn: Duration) -> u64 {
    u64::try_from(turn.as_millis()).unwrap_or(u64::MAX)
}

fn json(told: &impl Serialize) -> Result<Bytes, SoulError> {
    let json = serde_json::to_vec(told).map_err(|error| SoulError::Away(0, error.to_string()))?;
    Ok(json.into())
}

fn read<T: DeserializeOwned>(answer: Answer, node: u64) -> Result<T, SoulError> {
    match answer {
        Answer::Swapped(json) | Answer::Rehearsed(json) => {
            serde_json::from_slice(&json).map_err(|_| unexpected(node))
        }
        _ => Err(unexpected(node)),
    }
}
