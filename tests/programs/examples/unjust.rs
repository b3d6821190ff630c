//! Rules with one fault, which the tests plant; without it, they are as they should be: who says `1` gets a point.

use std::cell::Cell;

use matrix_sdk::discrete;
use matrix_sdk::prelude::*;
use programs::fault::{self, fall};

/// How long a run is.
const TICKS: u32 = 30;
/// The most players.
const PLAYERS_MAX: u32 = 8;

/// A run.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Unjust {
    scores: Vec<u32>,
    tick: u32,
    looks: Cell<u32>,
    restored: u32,
    #[serde(skip)]
    aside: u32,
}

impl Rules for Unjust {
    fn describe() -> Description {
        let text = |fault: &str, wrong: &str, right: &str| {
            if fault::is(fault) { wrong.to_owned() } else { right.to_owned() }
        };
        Description {
            name: text("no-name", "", "unjust"),
            version: text("version", "one", "1.0.0"),
            observation_type: discrete::observation_type("text/plain", 3),
            action_type: discrete::action_type("text/plain", &["0", "1"]),
            players_min: if fault::is("min-max") { 9 } else { 1 },
            players_max: PLAYERS_MAX,
            config_schema: text("schema", "{", "{\"properties\": {\"ticks\": {\"type\": \"integer\"}}}"),
        }
    }

    fn start(setup: Setup) -> Result<(Self, Outcome), String> {
        if setup.config.is_empty() && fault::is("no-default") {
            return Err("give it a config".to_owned());
        }
        if setup.players.len() < 2 && fault::is("too-few") {
            return Err("that is too few".to_owned());
        }
        let settings: Result<serde_json::Value, _> = setup.settings();
        assert!(settings.is_ok() || !fault::is("setup-trap"), "told to");
        settings.map_err(|why| if fault::is("setup-mute") { String::new() } else { why })?;
        let rules = Self { scores: vec![0; setup.players.len()], ..Self::default() };
        let outcome = rules.outcome();
        Ok((rules, outcome))
    }

    fn step(&mut self, actions: &[Action<'_>]) -> Result<Outcome, String> {
        self.tick += 1;
        self.aside += 1;
        for action in actions {
            match action.choice {
                Some(b"1") => {
                    if let Some(score) = self.scores.get_mut(action.player as usize) {
                        *score += 1;
                    }
                }
                Some(b"0") | None => {}
                Some(_) if fault::is("action-error") => return Err("what is that?".to_owned()),
                Some(_) => fall("action-trap"),
            }
        }
        Ok(self.outcome())
    }

    fn leave(&mut self, player: u32) -> Result<(), String> {
        if player as usize >= self.scores.len() {
            fall("leave-trap");
        }
        Err("they stay to the end".to_owned())
    }

    fn join(&mut self, player: String) -> Result<u32, String> {
        fall("join-trap");
        Err(format!("`{player}` comes too late"))
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        assert!(message.text().is_ok() || !fault::is("message-trap"), "told to");
        Ok(None)
    }

    fn view(&self) -> Content {
        if fault::is("view-looks") {
            self.looks.set(self.looks.get() + 1);
        }
        let end = if fault::is("view-open") { "" } else { "</svg>" };
        match fault::is("view-type") {
            true => Content::text("nothing to be seen"),
            false => Content::svg(format!("<svg><text>{}</text>{end}", self.tick)),
        }
    }
}

impl Unjust {
    fn outcome(&self) -> Outcome {
        let mut outcome = Outcome { finished: self.tick >= TICKS, ..Outcome::empty() };
        let number = if fault::is("forgets") { self.aside } else { self.tick };
        let seen = if fault::is("many-seen") { self.tick } else { number % 2 };
        let seen = seen.to_string();
        for (player, score) in (0..).zip(&self.scores) {
            let player = if fault::is("stranger") { player + 1 } else { player };
            let reward = if fault::is("reward") { f64::NAN } else { f64::from(*score) };
            let (observation, final_) = (seen.as_bytes(), outcome.finished);
            let prompt = Prompt { player, seat: 0, observation, reward, final_ };
            outcome.prompts.push(&prompt);
            if fault::is("twice") {
                outcome.prompts.push(&prompt);
            }
        }
        let kind = if fault::is("kind") { "No Kind" } else { "tick.done" };
        outcome.event(kind, Content::text(self.tick.to_string()));
        let total: u32 = self.scores.iter().sum();
        let of = if fault::is("signal") { 0.0 } else { f64::from(self.tick.max(1)) };
        outcome.signal("points.mean", f64::from(total) / of);
        outcome
    }
}

impl Stateful for Unjust {
    const SCHEMA: &'static str = "unjust/1";

    fn snapshot(&self) -> Result<Vec<u8>, String> {
        if fault::is("looks") {
            self.looks.set(self.looks.get() + 1);
        }
        serde_json::to_vec(self).map_err(|error| error.to_string())
    }

    fn decode(schema: &str, bytes: &[u8]) -> Result<Self, String> {
        if schema != Self::SCHEMA && !fault::is("any-schema") {
            return Self::migrate(schema, bytes);
        }
        let read: Result<Self, _> = serde_json::from_slice(bytes);
        assert!(read.is_ok() || !fault::is("trusts"), "told to");
        let state = read.map_err(|error| error.to_string())?;
        Ok(Self { restored: state.restored + u32::from(fault::is("restored")), ..state })
    }
}

matrix_sdk::rules!(Unjust);
