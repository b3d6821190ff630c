//! Rules that harm whoever runs them, in the way that their configuration names: `"VICE at-start"`, or
//! `"VICE later"`, which is in the third step. With `gossip` they do no harm, and tell of every step as it is done.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

use matrix_sdk::prelude::*;
use programs::{described, grow, misbehave};

/// The step in which it happens.
const WHEN: u32 = 3;
/// More of anything than a node takes.
const MANY: u32 = 300_000;

/// What it is told to do.
#[derive(Debug, Serialize, Deserialize)]
struct Misrule {
    vice: String,
    steps: u32,
    drawn: Vec<u64>,
}

impl Misrule {
    fn sin(&self) -> Result<Outcome, String> {
        let mut outcome = Outcome::empty();
        match self.vice.as_str() {
            "refuse" => return Err("told to\u{1b}[2J".to_owned()),
            "stranger" => outcome.prompts.push(&prompt(99, 0)),
            "prompts" => outcome.prompts.extend((0..MANY).map(|seat| prompt(0, seat))),
            "events" => (0..MANY).for_each(|_| outcome.event("flood", Content::text(""))),
            "signals" => (0..MANY / 32).for_each(|at| outcome.signal(&format!("flood.{at}"), 1.0)),
            // It comes when the state is asked for, or at every step.
            "snapshot" | "chance" | "gossip" => {}
            "no-number" => outcome.signal("rate", f64::NAN),
            vice => drop(misbehave(vice).ok_or("an unknown vice")?),
        }
        Ok(outcome)
    }
}

/// Whatever might differ from one run to the next: the clock, the seed and the order of a hash table, the bits
/// of what is no number, where memory lies, and how much of it there is until it is refused.
#[expect(clippy::disallowed_methods, reason = "what a guest sees of the clock is what is tested")]
fn chance() -> Vec<u64> {
    let zero = black_box(0.0_f64);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let table: HashSet<u64> = (0..16).collect();
    let block = black_box(vec![0_u8; 64]);
    let mut found = vec![
        time.as_nanos() as u64,
        RandomState::new().build_hasher().finish(),
        (zero / zero).to_bits(),
        (-(zero / zero)).sqrt().to_bits(),
        (f64::INFINITY - black_box(f64::INFINITY)).to_bits(),
        block.as_ptr() as u64,
        grow() as u64,
    ];
    found.extend(table);
    found
}

fn prompt(player: u32, seat: u32) -> Prompt<'static> {
    Prompt { player, seat, observation: &[], reward: 0.0, final_: false }
}

impl Rules for Misrule {
    fn describe() -> Description {
        described("misrule")
    }

    fn start(setup: Setup) -> Result<(Self, Outcome), String> {
        let (vice, when) = setup.config.trim_matches('"').split_once(' ').ok_or("say what, and when")?;
        let rules = Self { vice: vice.to_owned(), steps: 0, drawn: Vec::new() };
        let outcome = if when == "at-start" { rules.sin()? } else { Outcome::empty() };
        Ok((rules, outcome))
    }

    fn step(&mut self, _actions: &[Action<'_>]) -> Result<Outcome, String> {
        self.steps += 1;
        match self.vice.as_str() {
            "chance" => self.drawn.extend(chance()),
            "gossip" => {
                matrix_sdk::events::emit("step.done", &Content::text(self.steps.to_string()));
                matrix_sdk::info!("step {}", self.steps);
            }
            _ => {}
        }
        if self.steps == WHEN { self.sin() } else { Ok(Outcome::empty()) }
    }

    fn view(&self) -> Content {
        Content::text(&self.vice)
    }
}

impl Stateful for Misrule {
    const SCHEMA: &'static str = "misrule/1";

    fn snapshot(&self) -> Result<Vec<u8>, String> {
        if self.vice == "snapshot" && self.steps >= WHEN {
            return Ok(vec![0; 20 << 20]);
        }
        let drawn = self.drawn.iter().flat_map(|drawn| drawn.to_le_bytes());
        Ok(self.steps.to_le_bytes().into_iter().chain(drawn).collect())
    }
}

matrix_sdk::rules!(Misrule);
