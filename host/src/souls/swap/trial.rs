//! New code tried beside the old on a copy of the state, with what the Soul handled last: what would differ.
//!
//! Both sides start from the same state and see the same inputs, one at a time. Nothing that they do is done, and
//! nobody is asked: to a question they get an error, both the same.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::checkpoint::Checkpoint;
use super::super::host::Host;
use super::super::life::StartError;
use super::super::manifest::Manifest;
use super::super::placed::Placed;
use super::candidate::Candidate;
use super::recording::Input;
use super::text;
use crate::capabilities::messaging::Waits;
use crate::runtime::batch::Batch;
use crate::runtime::limits::Limits;
use crate::runtime::state::Moment;
use crate::transport::shown;

/// The most differences that are told one by one.
pub(crate) const DIFFERENCES_MAX: usize = 100;

/// What an actor remembers for a trial.
#[derive(Debug)]
pub(crate) struct Recalled {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) placed: Placed,
    pub(crate) state: Option<Checkpoint>,
    /// Why the state is not the last one; empty: it is.
    pub(crate) fallback: String,
    pub(crate) inputs: Vec<Input>,
}

/// How one side fared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Layout of its state at the end; empty: it keeps none.
    pub schema: String,
    /// Length of its state at the end, in bytes.
    pub state_bytes: u64,
    /// Fuel that it used.
    pub fuel: u64,
    /// Linear memory at the end, in bytes.
    pub memory_bytes: u64,
    /// Why it is no more: the reason of its crash; empty: it lives.
    pub crash: String,
}

/// Something in which the sides differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// At which input, from 1; 0: at the birth.
    pub input: u32,
    /// `reply`, `action`, `deed` or `crash`.
    pub what: String,
    /// What the old code did.
    pub old: String,
    /// What the new code did.
    pub new: String,
}

/// What a trial showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Why the swap would be refused; empty: it would be done.
    pub refusal: String,
    /// Why the state is that of the last checkpoint; empty: it is the present one.
    pub fallback: String,
    /// How many inputs both sides were given.
    pub inputs: u32,
    /// What differs, in order: the first ones.
    pub differences: Vec<Difference>,
    /// How many more differ.
    pub more: u32,
    /// How the old code fared.
    pub old: Side,
    /// How the new code fared.
    pub new: Side,
}

impl Trial {
    fn compare(&mut self, input: u32, what: &str, old: String, new: String) {
        if old == new {
            return;
        }
        if self.differences.len() >= DIFFERENCES_MAX {
            self.more += 1;
            return;
        }
        self.differences.push(Difference { input, what: what.to_owned(), old, new });
    }
}

/// Tries the code of `manifest` on what was recalled.
pub(super) async fn run(host: &Host, recalled: Recalled, manifest: Arc<Manifest>, limits: &Limits) -> Trial {
    let mut trial = Trial { fallback: recalled.fallback.clone(), ..Trial::default() };
    let new = side(host, manifest, limits, &recalled).await;
    let mut new = match new {
        Ok(new) => new,
        Err(error) => {
            trial.refusal = format!("the new code {error}");
            return trial;
        }
    };
    let old = side(host, recalled.manifest.clone(), limits, &recalled).await;
    let mut old = match old {
        Ok(old) => old,
        Err(error) => {
            // A swap does not need the old code, and nor does what the new one would do.
            trial.old.crash = error.to_string();
            trial.new = fared(&mut new, String::new()).await;
            return trial;
        }
    };
    let mut crashes = (String::new(), String::new());
    for (number, input) in (1_u32..).zip(&recalled.inputs) {
        trial.inputs = number;
        let (did, would) = (handle(&mut old, input).await, handle(&mut new, input).await);
        trial.compare(number, input.answered(), did.answer, would.answer);
        let deeds = did.deeds.len().max(would.deeds.len());
        for place in 0..deeds {
            let deed = |deeds: &[String]| deeds.get(place).cloned().unwrap_or_default();
            trial.compare(number, "deed", deed(&did.deeds), deed(&would.deeds));
        }
        if !did.crash.is_empty() || !would.crash.is_empty() {
            trial.compare(number, "crash", did.crash.clone(), would.crash.clone());
            crashes = (did.crash, would.crash);
            break;
        }
    }
    trial.old = fared(&mut old, crashes.0).await;
    trial.new = fared(&mut new, crashes.1).await;
    trial
}

/// A side, with its copy of the state, as a swap would have it.
async fn side(
    host: &Host,
    manifest: Arc<Manifest>,
    limits: &Limits,
    recalled: &Recalled,
) -> Result<Candidate, StartError> {
    let mut side =
        Candidate::born(host, manifest, limits, (recalled.placed, Waits::default()), false).await?;
    side.take_up(recalled.state.as_ref()).await?;
    side.prove(None).await?;
    drop(side.instance.state().perform());
    side.instance.state().rehearse(false);
    Ok(side)
}

async fn fared(side: &mut Candidate, crash: String) -> Side {
    let (fuel, memory_bytes) = (side.instance.fuel_used(), side.instance.memory_bytes());
    let state = if crash.is_empty() { side.prove(None).await.ok() } else { None };
    let (schema, state_bytes) =
        state.map(|state| (state.header.schema, state.state.len() as u64)).unwrap_or_default();
    Side { schema, state_bytes, fuel, memory_bytes, crash }
}

/// What a side did with one input.
struct Did {
    answer: String,
    deeds: Vec<String>,
    /// Why its instance is no more; empty: it lives.
    crash: String,
}

async fn handle(side: &mut Candidate, input: &Input) -> Did {
    let answered = match input {
        Input::Message(said) => {
            let envelope = said.envelope();
            let moment = Moment { now_ms: envelope.sent_at_ms, hops: envelope.hops, ..Moment::default() };
            let replies = side.instance.receive(Batch::of([&envelope]), moment).await;
            replies.map(|replies| match replies.into_iter().next() {
                Some(Ok(Some(content))) => shown::content(&content),
                Some(Ok(None)) | None => "nothing".to_owned(),
                Some(Err(refusal)) => format!("refuses: {refusal}"),
            })
        }
        Input::Turn { matrix, tick, turns, now_ms } => {
            let moment = Moment { now_ms: *now_ms, ..Moment::default() };
            let acted = side.instance.act(matrix.as_str(), *tick, turns, moment).await;
            acted.map(|acted| match acted {
                Ok(actions) => {
                    actions.iter().map(|action| shown::bytes(action)).collect::<Vec<_>>().join(" | ")
                }
                Err(refusal) => format!("refuses: {refusal}"),
            })
        }
    };
    let (answer, crash) = match answered {
        Ok(answer) => (answer, String::new()),
        Err(crash) => (String::new(), crash.to_string()),
    };
    // Of an instance that crashed there may be nothing left to look at.
    let rehearsal = if crash.is_empty() { side.instance.state().rehearsal.as_ref() } else { None };
    let deeds = rehearsal.map(|rehearsal| rehearsal.take().iter().map(text::deed).collect());
    let deeds = deeds.unwrap_or_default();
    Did { answer, deeds, crash }
}

impl Input {
    fn answered(&self) -> &'static str {
        match self {
            Self::Message(_) => "reply",
            Self::Turn { .. } => "action",
        }
    }
}
