//! Rules that are to be swapped for `successor`. Their configuration is a word, which is part of their state: what it
//! means is mostly the successor's affair. `"falls"`: they crash in the third step.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use matrix_sdk::prelude::*;
use programs::described;

/// The step in which they crash, if they do.
const WHEN: u32 = 3;

/// What they were told, and what became of it.
#[derive(Debug, Serialize, Deserialize)]
struct Regime {
    word: String,
    steps: u32,
    /// What chance gave at the first step of an instance.
    drawn: Vec<u64>,
    /// They were told to crash over their state.
    broken: bool,
}

impl Rules for Regime {
    fn describe() -> Description {
        described("regime")
    }

    fn start(setup: Setup) -> Result<(Self, Outcome), String> {
        let word = setup.config.trim_matches('"').to_owned();
        Ok((Self { word, steps: 0, drawn: Vec::new(), broken: false }, Outcome::empty()))
    }

    fn step(&mut self, _actions: &[Action<'_>]) -> Result<Outcome, String> {
        self.steps += 1;
        self.broken = false;
        assert!(self.word != "falls" || self.steps != WHEN, "told to");
        if self.drawn.is_empty() {
            self.drawn.push(RandomState::new().build_hasher().finish());
        }
        let mut outcome = Outcome::empty();
        outcome.signal("steps", self.steps.into());
        Ok(outcome)
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        self.broken = message.text()? == "break";
        Ok(None)
    }

    fn view(&self) -> Content {
        Content::text(format!("{} {:?}", self.steps, self.drawn))
    }
}

impl Stateful for Regime {
    const SCHEMA: &'static str = "regime/1";

    fn snapshot(&self) -> Result<Vec<u8>, String> {
        assert!(!self.broken, "told to");
        let drawn = self.drawn.iter().flat_map(|drawn| drawn.to_le_bytes());
        let word = [self.word.len() as u8].into_iter().chain(self.word.bytes());
        Ok(word.chain(self.steps.to_le_bytes()).chain(drawn).collect())
    }

    fn decode(schema: &str, bytes: &[u8]) -> Result<Self, String> {
        let (word, steps, drawn) = programs::regime(schema, bytes)?;
        Ok(Self { word, steps, drawn, broken: false })
    }
}

matrix_sdk::rules!(Regime);
