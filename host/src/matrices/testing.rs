//! A world without Wasm: rules that count, and Souls that remember what they were asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::error::MatrixError;
use super::runlog::record::{FORMAT, Header, Message, Player};
use super::switches::Switch;
use super::world::{Rules, World};
use crate::capabilities::random;
use crate::ids::{Digest, SoulName};
use crate::runtime::bindings::matrix::node::types::{Content as WitContent, Metric};
use crate::runtime::catalog::ComponentError;
use crate::runtime::guest::Crash;
use crate::runtime::rules::{Action, Description, Event, Outcome, Prompt, Setup};
use crate::runtime::stateful::Snapshot;
use crate::souls::jobs::{ActError, ActRequest};
use crate::transport::envelope::Content;

/// The tick after which the rules below are finished.
pub(crate) const TICKS: u64 = 10;

pub(crate) fn prompt(player: u32, seat: u32) -> Prompt {
    Prompt { player, seat, observation: Vec::new(), reward: 0.0, final_: false }
}

pub(crate) fn outcome(prompts: Vec<Prompt>) -> Outcome {
    Outcome { prompts, events: Vec::new(), signals: Vec::new(), finished: false }
}

pub(crate) fn event(kind: &str, body: &str) -> Event {
    let content = WitContent { content_type: "text/plain".to_owned(), body: body.as_bytes().to_vec() };
    Event { kind: kind.to_owned(), content }
}

pub(crate) fn signal(name: &str, value: f64) -> Metric {
    Metric { name: name.to_owned(), value }
}

/// A header for these players.
pub(crate) fn header(players: &[SoulName]) -> Header {
    let player = |name: &SoulName| Player { name: name.clone(), component: Digest::of(b"soul") };
    Header {
        format: FORMAT,
        run: "run-1".to_owned(),
        matrix: "market".parse().expect("a name"),
        rules: Digest::of(b"rules"),
        config: String::new(),
        seed: 7,
        players: players.iter().map(player).collect(),
        memory_bytes: 1 << 20,
        call_fuel: 1_000,
    }
}

/// What other rules than [`Counting`]'s own do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Law {
    /// They count as the first ones do.
    #[default]
    Counts,
    /// They have a layout of their own, which begins with a letter, take up that of the first ones, and tell another
    /// figure.
    Migrates,
    /// They take up no state of others.
    Refuses,
    /// They crash over a state.
    Crashes,
    /// They take a state up, and crash over giving their own.
    Dumb,
}

/// The component that follows a law.
pub(crate) fn component(law: Law) -> Digest {
    match law {
        Law::Counts => Digest::of(b"rules"),
        law => Digest::of(format!("{law:?}").as_bytes()),
    }
}

fn trap<T>() -> Result<T, Crash> {
    Err(Crash::Trap("unreachable".to_owned()))
}

/// Rules whose state is every choice and every message so far, and which ask each player for one seat a tick.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    players: u32,
    tick: u64,
    state: Vec<u8>,
    /// The tick whose step fails, for whoever wants to see that.
    fails_at: Option<u64>,
    /// How much of a state they take up.
    restores_max: usize,
    /// Steps that were taken.
    steps: Arc<AtomicUsize>,
    law: Law,
    /// Snapshots after which the next crashes.
    snapshots_left: Option<Arc<AtomicUsize>>,
}

impl Counting {
    fn outcome(&self) -> Outcome {
        let finished = self.tick == TICKS;
        let seen =
            |player| Prompt { observation: vec![self.tick as u8], final_: finished, ..prompt(player, 0) };
        let mut outcome = outcome((0..self.players).map(seen).collect());
        let figure = if self.law == Law::Migrates { "rounds" } else { "ticks" };
        outcome.signals = vec![signal(figure, self.tick as f64)];
        if finished {
            outcome.events = vec![event("count.finished", &self.tick.to_string())];
        }
        Outcome { finished, ..outcome }
    }
}

impl Rules for Counting {
    async fn describe(&mut self) -> Result<Description, Crash> {
        unreachable!("a runner does not ask for it")
    }

    async fn start(&mut self, setup: Setup) -> Result<Result<Outcome, String>, Crash> {
        self.players = setup.players.len() as u32;
        Ok(Ok(self.outcome()))
    }

    async fn step(&mut self, actions: Vec<Action>) -> Result<Result<Outcome, String>, Crash> {
        if self.fails_at == Some(self.tick) {
            return trap();
        }
        assert_eq!(actions.len(), self.players as usize, "one action for every prompt");
        self.tick += 1;
        self.steps.fetch_add(1, Ordering::Relaxed);
        for action in actions {
            self.state.extend(action.choice.unwrap_or_else(|| vec![b'?']));
        }
        Ok(Ok(self.outcome()))
    }

    async fn receive(&mut self, message: &Message) -> Result<Result<Option<Content>, String>, Crash> {
        self.state.extend_from_slice(&message.content.body);
        Ok(Ok(Some(message.content.clone())))
    }

    async fn view(&mut self) -> Result<Content, Crash> {
        Ok(Content { content_type: "text/plain".into(), body: self.state.clone().into() })
    }

    async fn snapshot(&mut self) -> Result<Result<Snapshot, String>, Crash> {
        let left = self.snapshots_left.as_ref().map(|left| left.load(Ordering::Relaxed));
        if self.law == Law::Dumb || left == Some(0) {
            return trap();
        }
        if let Some(left) = &self.snapshots_left {
            left.fetch_sub(1, Ordering::Relaxed);
        }
        let bytes = [&[self.players as u8, self.tick as u8][..], &self.state].concat();
        Ok(Ok(match self.law {
            Law::Migrates => Snapshot { schema: "counting/2".to_owned(), bytes: [b"m", &bytes[..]].concat() },
            _ => Snapshot { schema: "counting/1".to_owned(), bytes },
        }))
    }

    async fn restore(&mut self, state: Snapshot) -> Result<Result<(), String>, Crash> {
        let bytes = match (self.law, state.schema.as_str()) {
            (Law::Crashes, _) => return trap(),
            (Law::Refuses, _) => return Ok(Err("not mine".to_owned())),
            (Law::Migrates, "counting/2") => &state.bytes[1..],
            (_, "counting/1") => &state.bytes[..],
            (_, schema) => return Ok(Err(format!("what is {schema}?"))),
        };
        let [players, tick, state @ ..] = bytes else { return Ok(Err("too short".to_owned())) };
        (self.players, self.tick, self.state) = ((*players).into(), (*tick).into(), state.to_vec());
        // Rules that take up their state only in part.
        self.state.truncate(self.restores_max);
        Ok(Ok(()))
    }

    fn chance(&mut self) -> random::Ctx {
        random::Ctx::new(self.tick)
    }

    fn set_chance(&mut self, chance: random::Ctx) {
        assert_eq!(chance, self.chance());
    }
}

/// A Soul as an actor keeps it: the last tick that it played, and all that it saw.
#[derive(Debug, Default, Clone)]
pub(crate) struct Mind {
    pub(crate) last: Option<u64>,
    /// The ticks that it played, in order, and the observations.
    pub(crate) seen: Vec<(u64, u8)>,
}

/// How a Soul behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It plays the letter of its name's beginning.
    Plays,
    /// It never answers.
    Silent,
    /// It returns an error at every tick.
    Refuses,
    /// There is no such Soul.
    Absent,
}

/// The node around one Matrix.
#[derive(Debug, Default)]
pub(crate) struct Toy {
    pub(crate) minds: Mutex<BTreeMap<SoulName, Mind>>,
    pub(crate) manners: Mutex<BTreeMap<SoulName, Manner>>,
    /// How often rules were made.
    pub(crate) rules_made: AtomicUsize,
    /// How many steps rules took, all together.
    pub(crate) steps: Arc<AtomicUsize>,
    pub(crate) fails_at: Option<u64>,
    /// Rules forget a part of the state that they take up.
    pub(crate) forgetful: bool,
    /// How many snapshots the first rules give before they crash over one; those made later are sound.
    pub(crate) snapshots: Mutex<Option<usize>>,
    /// What was claimed.
    pub(crate) claimed: Mutex<Vec<Switch>>,
    /// The switches that the record names.
    pub(crate) filed: Mutex<Vec<Switch>>,
    /// The record cannot be changed.
    pub(crate) unfiled: bool,
    /// No component can be claimed.
    pub(crate) unclaimed: bool,
}

impl Toy {
    pub(crate) fn mind(&self, soul: &SoulName) -> Mind {
        self.minds.lock().expect("no panic").get(soul).cloned().unwrap_or_default()
    }

    pub(crate) fn set(&self, soul: &SoulName, manner: Manner) {
        self.manners.lock().expect("no panic").insert(soul.clone(), manner);
    }

    /// Sets a Soul back to an older state, in which it had played only up to `last`.
    pub(crate) fn set_back(&self, soul: &SoulName, last: Option<u64>) {
        let mut minds = self.minds.lock().expect("no panic");
        let mind = minds.entry(soul.clone()).or_default();
        mind.seen.retain(|(tick, _)| last.is_some_and(|last| *tick <= last));
        mind.last = last;
    }
}

impl World for Toy {
    type Rules = Counting;

    async fn rules(&self, rules: Digest) -> Result<Counting, MatrixError> {
        let laws = [Law::Counts, Law::Migrates, Law::Refuses, Law::Crashes, Law::Dumb];
        let law =
            laws.into_iter().find(|law| component(*law) == rules).ok_or(ComponentError::Unknown(rules))?;
        let snapshots = self.snapshots.lock().expect("no panic").take();
        self.rules_made.fetch_add(1, Ordering::Relaxed);
        let restores_max = if self.forgetful { 0 } else { usize::MAX };
        Ok(Counting {
            fails_at: self.fails_at,
            restores_max,
            law,
            snapshots_left: snapshots.map(|left| Arc::new(left.into())),
            steps: self.steps.clone(),
            ..Counting::default()
        })
    }

    fn hear(&self, _rules: &mut Counting) {}

    async fn act(&self, soul: &SoulName, request: ActRequest) -> Result<Vec<Vec<u8>>, ActError> {
        let manner = self.manners.lock().expect("no panic").get(soul).copied().unwrap_or(Manner::Plays);
        match manner {
            Manner::Silent => std::future::pending().await,
            Manner::Absent => return Err(ActError::Gone),
            Manner::Plays | Manner::Refuses => {}
        }
        let mut minds = self.minds.lock().expect("no panic");
        let mind = minds.entry(soul.clone()).or_default();
        let letter = soul.as_str().as_bytes()[0];
        if mind.last == Some(request.tick) {
            return Ok(vec![vec![letter]; request.turns.len()]);
        }
        if mind.last != request.previous {
            return Err(ActError::Behind { last: mind.last });
        }
        if manner == Manner::Refuses {
            return Err(ActError::Refused("not today".to_owned()));
        }
        mind.seen.extend(request.turns.iter().map(|turn| (request.tick, turn.observation[0])));
        mind.last = (!request.turns.iter().all(|turn| turn.last)).then_some(request.tick);
        Ok(vec![vec![letter]; request.turns.len()])
    }

    async fn forget(&self, soul: &SoulName, _run: Arc<str>) {
        if let Some(mind) = self.minds.lock().expect("no panic").get_mut(soul) {
            mind.last = None;
        }
    }

    async fn claim(&self, switch: &Switch) -> Result<(), MatrixError> {
        if self.unclaimed {
            return Err(ComponentError::Unknown(switch.after).into());
        }
        self.claimed.lock().expect("no panic").push(*switch);
        Ok(())
    }

    async fn file(&self, switches: &[Switch]) -> Result<(), MatrixError> {
        if self.unfiled {
            std::future::pending::<()>().await;
        }
        *self.filed.lock().expect("no panic") = switches.to_vec();
        Ok(())
    }
}
