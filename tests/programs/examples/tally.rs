//! Rules that add up what messages say, `add NUMBER`, and take their time over each, so that others wait meanwhile.
//! They ask no player, and never end.

use std::hint::black_box;

use matrix_sdk::prelude::*;
use programs::{command, described, say};

/// What one message takes, in rounds: some milliseconds.
const ROUNDS: u32 = 4_000_000;

/// What was added up.
#[derive(Default, Serialize, Deserialize)]
struct Tally {
    sum: u64,
}

impl Rules for Tally {
    fn describe() -> Description {
        described("tally")
    }

    fn start(_setup: Setup) -> Result<(Self, Outcome), String> {
        Ok((Self::default(), Outcome::empty()))
    }

    fn step(&mut self, _actions: &[Action<'_>]) -> Result<Outcome, String> {
        Ok(Outcome::empty())
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        let (word, argument) = command(&message)?;
        if word == "add" {
            (0..ROUNDS).for_each(|round| _ = black_box(round));
            self.sum += argument.parse::<u64>().map_err(|error| error.to_string())?;
        }
        say(self.sum)
    }

    fn view(&self) -> Content {
        Content::text(self.sum.to_string())
    }
}

impl Stateful for Tally {
    const SCHEMA: &'static str = "tally/1";
}

matrix_sdk::rules!(Tally);
