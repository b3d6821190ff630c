//! What Souls do, captured for them to learn from, where their manifests say so: what they answered in conversations, and
//! what they did in Matrices, with what that earned. It goes to the room `learning`, which adds it to their experience.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::host::Host;
use super::jobs::ActRequest;
use super::manifest::Manifest;
use super::training::Training;
use crate::clock;
use crate::ids::SoulName;
use crate::runtime::learner::Source;
use crate::telemetry::metrics::TotalBy;
use crate::transport::envelope::{Address, Envelope, Reply};

/// The most that waits to be added; what comes on top is let go, and counted.
const WAITING_MAX: usize = 4_096;
/// The longest input and output together that are captured, in bytes.
const BYTES_MAX: usize = 16 << 10;
/// The most seats whose last action is remembered until it is known what it earned.
const SEATS_MAX: usize = 1_024;

/// What is captured of a Soul.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capture {
    /// What it was told by Souls and callers, and what it answered.
    Conversation,
    /// What it saw in a Matrix, what it did, and what that earned.
    Matrix,
}

/// An experience that has no place in a log yet.
#[derive(Debug, Clone, PartialEq)]
pub struct New {
    /// Where it comes from.
    pub source: Source,
    /// Who it comes from, such as `client:local`.
    pub by: String,
    /// What it is about, such as the message that was answered; empty: nothing.
    pub about: String,
    /// What was said or seen.
    pub input: Bytes,
    /// What was, or should have been, the answer.
    pub output: Bytes,
    /// How good the answer was, where that is known.
    pub reward: Option<f64>,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// What a Soul did.
pub type Captured = (SoulName, New);

/// Where what is captured goes. Clones lead to the same place.
#[derive(Debug, Clone)]
pub struct Captures {
    sender: mpsc::Sender<Captured>,
    receiver: Arc<Mutex<Option<mpsc::Receiver<Captured>>>>,
}

impl Default for Captures {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        Self { sender, receiver: Arc::new(Mutex::new(Some(receiver))) }
    }
}

impl Captures {
    /// What is captured from now on; none: somebody took it before.
    pub fn take(&self) -> Option<mpsc::Receiver<Captured>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What an actor captures of its Soul.
#[derive(Debug)]
pub(crate) struct Capturing {
    soul: SoulName,
    what: Vec<Capture>,
    captures: Captures,
    refused: TotalBy,
    /// What the Soul saw and did last, by run and seat, until it is known what that earned.
    open: BTreeMap<(Arc<str>, u32), (Bytes, Bytes)>,
}

impl Capturing {
    /// None: nothing is captured of this Soul.
    pub(crate) fn of(manifest: &Manifest, host: &Host) -> Option<Box<Self>> {
        Self::new(&manifest.name, &manifest.learning, &host.captures, &host.metrics.refusals)
    }

    fn new(
        soul: &SoulName,
        training: &Training,
        captures: &Captures,
        refused: &TotalBy,
    ) -> Option<Box<Self>> {
        let what = training.capture.clone();
        (!what.is_empty()).then(|| {
            let (soul, captures, refused) = (soul.clone(), captures.clone(), refused.clone());
            Box::new(Self { soul, what, captures, refused, open: BTreeMap::new() })
        })
    }

    /// What it answered to a message.
    pub(crate) fn message(&self, envelope: &Envelope, reply: &Reply) {
        let (Ok(Some(reply)), Address::Soul(_) | Address::Client(_)) = (reply, &envelope.sender) else {
            return;
        };
        if self.what.contains(&Capture::Conversation) {
            self.put(New {
                source: Source::Conversation,
                by: envelope.sender.to_string(),
                about: envelope.id.to_string(),
                input: envelope.content.body.clone(),
                output: reply.body.clone(),
                reward: None,
                at_ms: envelope.sent_at_ms,
            });
        }
    }

    /// What it did in a turn. What it did before in these seats is known to have earned something by now.
    pub(crate) fn turn(&mut self, request: &ActRequest, actions: &[Vec<u8>]) {
        if !self.what.contains(&Capture::Matrix) {
            return;
        }
        for (turn, action) in request.turns.iter().zip(actions) {
            let seat = (request.run.clone(), turn.seat);
            if let Some((input, output)) = self.open.remove(&seat) {
                self.put(New {
                    source: Source::Matrix,
                    by: format!("matrix:{}", request.matrix),
                    about: String::new(),
                    input,
                    output,
                    reward: Some(turn.reward).filter(|reward| reward.is_finite()),
                    at_ms: clock::now_ms(),
                });
            }
            let bytes = turn.observation.len() + action.len();
            if !turn.last && bytes <= BYTES_MAX && self.open.len() < SEATS_MAX {
                let saw_and_did = (turn.observation.clone().into(), action.clone().into());
                self.open.insert(seat, saw_and_did);
            }
        }
    }

    /// A run is over.
    pub(crate) fn forget(&mut self, run: &str) {
        self.open.retain(|(known, _), _| **known != *run);
    }

    fn put(&self, new: New) {
        let fits = !new.input.is_empty() && new.input.len() + new.output.len() <= BYTES_MAX;
        if !fits || self.captures.sender.try_send((self.soul.clone(), new)).is_err() {
            self.refused.add("captures", 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::soul::Turn;
    use crate::telemetry::{Telemetry, TelemetryConfig};

    fn act(tick: u64, reward: f64, last: bool) -> ActRequest {
        let turn = |seat| Turn { seat, observation: vec![tick as u8 + 1, seat as u8], reward, last };
        ActRequest {
            run: "run".into(),
            matrix: "market".parse().expect("a name"),
            tick,
            previous: tick.checked_sub(1),
            turns: Arc::new(vec![turn(0), turn(1)]),
            now_ms: 1,
            deadline: None,
        }
    }

    #[test]
    fn an_action_is_captured_with_what_it_earned_and_the_last_one_too() {
        let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
        let captures = Captures::default();
        let mut captured = captures.take().expect("the first to ask");
        assert!(captures.take().is_none());
        let training = Training { capture: vec![Capture::Matrix], ..Training::default() };
        let soul = "neo".parse().expect("a name");
        let refused = &telemetry.metrics().refusals;
        let capturing = Capturing::new(&soul, &training, &captures, refused);
        let mut capturing = capturing.expect("something is captured");
        assert!(Capturing::new(&soul, &Training::default(), &captures, refused).is_none());
        let choices = |choice: u8| vec![vec![choice], vec![choice + 1]];
        capturing.turn(&act(0, 0.0, false), &choices(10));
        assert!(captured.try_recv().is_err(), "what it earned is not known yet");
        capturing.turn(&act(1, 0.5, true), &choices(20));
        for seat in 0..2 {
            let (_, one) = captured.try_recv().expect("one a seat");
            assert_eq!((&one.input[..], &one.output[..]), (&[1, seat][..], &[10 + seat][..]));
            assert_eq!((one.reward, one.source, &*one.by), (Some(0.5), Source::Matrix, "matrix:market"));
        }
        capturing.turn(&act(2, 1.0, false), &choices(30));
        assert!(captured.try_recv().is_err(), "no action followed the last turn");
        capturing.forget("run");
        assert!(capturing.open.is_empty());
    }
}
