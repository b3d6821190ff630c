//! Rules that take over from `regime`, or do not, as the word in its state says: `refuse`, `dumb` (they crash over their
//! own state), or a vice of all programs. With any other word they count on, and draw from chance anew.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use matrix_sdk::prelude::*;
use programs::{described, misbehave};

/// The state of `regime`, and how often it was taken over.
#[derive(Debug, Serialize, Deserialize)]
struct Successor {
    word: String,
    steps: u32,
    drawn: Vec<u64>,
    draws: bool,
}

impl Rules for Successor {
    fn describe() -> Description {
        Description { version: "2".to_owned(), players_max: 4, ..described("regime") }
    }

    fn start(setup: Setup) -> Result<(Self, Outcome), String> {
        let word = setup.config.trim_matches('"').to_owned();
        Ok((Self { word, steps: 0, drawn: Vec::new(), draws: true }, Outcome::empty()))
    }

    fn step(&mut self, _actions: &[Action<'_>]) -> Result<Outcome, String> {
        self.steps += 1;
        if std::mem::take(&mut self.draws) {
            self.drawn.push(RandomState::new().build_hasher().finish());
        }
        let mut outcome = Outcome::empty();
        outcome.signal("rounds", self.steps.into());
        Ok(outcome)
    }

    fn view(&self) -> Content {
        Content::text(format!("{} {:?}", self.steps, self.drawn))
    }
}

impl Stateful for Successor {
    const SCHEMA: &'static str = "regime/2";

    fn snapshot(&self) -> Result<Vec<u8>, String> {
        assert!(self.word != "dumb", "told to");
        let drawn = self.drawn.iter().flat_map(|drawn| drawn.to_le_bytes());
        let word = [self.draws.into(), self.word.len() as u8].into_iter().chain(self.word.bytes());
        Ok(word.chain(self.steps.to_le_bytes()).chain(drawn).collect())
    }

    fn decode(schema: &str, bytes: &[u8]) -> Result<Self, String> {
        if schema == Self::SCHEMA {
            let (draws, bytes) = bytes.split_first().ok_or("a state has bytes")?;
            let (word, steps, drawn) = programs::regime("regime/1", bytes)?;
            return Ok(Self { word, steps, drawn, draws: *draws != 0 });
        }
        let (word, steps, drawn) = programs::regime(schema, bytes)?;
        if word == "refuse" {
            return Err("told to".to_owned());
        }
        let _ = misbehave(&word);
        Ok(Self { word, steps, drawn, draws: true })
    }
}

matrix_sdk::rules!(Successor);
