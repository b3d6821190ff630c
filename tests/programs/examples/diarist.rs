//! Remembers what it is told, and recalls it.

use matrix_sdk::memory::{self, Cue, Impression};
use matrix_sdk::prelude::*;
use programs::{command, misbehave, say};

/// How many turns it has had, which its state changes with.
#[derive(Default, Serialize, Deserialize)]
struct Diarist {
    turns: u64,
    /// Who it is, and how honest: its manifest's, not its state's.
    #[serde(skip)]
    persona: String,
}

impl Soul for Diarist {
    fn init(birth: Birth) -> Result<Self, String> {
        // At a birth nothing happens that could be remembered: whoever wants to try says so.
        if birth.setting("remembers-at-birth").is_some() {
            memory::remember(&Impression::new("I was born"))?;
        }
        let honesty = birth.persona.values.weight("honesty").unwrap_or(0.0);
        Ok(Self { turns: 0, persona: format!("{} {honesty}", birth.persona.description) })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        self.turns += 1;
        let (word, argument) = command(&message)?;
        match word.as_str() {
            // `remember TEXT`, half as important as can be.
            "remember" => say(memory::remember(&Impression::new(argument))?),
            // `weighed IMPORTANCE TEXT`.
            "weighed" => {
                let (importance, text) = argument.split_once(' ').ok_or("say `weighed IMPORTANCE TEXT`")?;
                let importance = importance.parse().map_err(|_| "an importance is a number")?;
                say(memory::remember(&Impression::new(text).importance(importance))?)
            }
            // `placed X,Y,... TEXT`: with an embedding.
            "placed" => {
                let (place, text) = argument.split_once(' ').ok_or("say `placed X,Y TEXT`")?;
                say(memory::remember(&Impression::new(text).embedding(numbers(place)?))?)
            }
            "recall" => recall(&Cue { text: argument, embedding: Vec::new() }),
            // The same with how often: `ID TIMES TEXT`.
            "often" => {
                let found = memory::recall(&argument, 10)?.into_iter().map(|found| found.episode);
                let lines: Vec<_> = found.map(|it| format!("{} {} {}", it.id, it.times, it.text)).collect();
                say(lines.join("\n"))
            }
            "recall-near" => recall(&Cue { text: String::new(), embedding: numbers(&argument)? }),
            "forget" => say(memory::forget(argument.parse().map_err(|_| "say which")?)?),
            // `instead ID,ID TEXT`.
            "instead" => {
                let (ids, text) = argument.split_once(' ').ok_or("say `instead ID,ID TEXT`")?;
                let ids: Result<Vec<_>, _> = ids.split(',').map(str::parse).collect();
                say(memory::remember_instead(&ids.map_err(|_| "say which")?, &Impression::new(text))?)
            }
            "usage" => {
                let usage = memory::usage()?;
                say(format!("{} {}", usage.episodes, usage.bytes))
            }
            "turns" => say(self.turns),
            "who" => say(&self.persona),
            // Remembers in this turn, and does not survive it.
            "remember-and-trap" => {
                memory::remember(&Impression::new(argument))?;
                misbehave("trap").unwrap_or(Ok(None))
            }
            "flood" => say(flood(argument.parse().map_err(|_| "say how often")?)),
            "giant" => say(memory::remember(&Impression::new("x".repeat(1 << 20)))?),
            "tags" => {
                let tags = vec!["tag".to_owned(); argument.parse().map_err(|_| "say how many")?];
                say(memory::remember(&Impression { tags, ..Impression::new("tagged") })?)
            }
            "embed" => {
                let numbers = vec![1.0; argument.parse().map_err(|_| "say how many")?];
                say(memory::remember(&Impression::new("placed").embedding(numbers))?)
            }
            "count" => say(memory::recall("", argument.parse().map_err(|_| "say how many")?)?.len()),
            "long-cue" => say(memory::recall(&"x".repeat(1 << 20), 1)?.len()),
            _ => misbehave(&word).unwrap_or(Ok(None)),
        }
    }
}

/// Remembers as often as it is told in one turn. Says how often it was let, and why not the first time that it was not.
fn flood(times: u32) -> String {
    let (mut done, mut refusal) = (0, None);
    for turn in 0..times {
        match memory::remember(&Impression::new(format!("flood {turn}"))) {
            Ok(_) => done += 1,
            Err(error) => refusal = refusal.or_else(|| Some(String::from(error))),
        }
    }
    format!("{done} {}", refusal.unwrap_or_default())
}

fn numbers(text: &str) -> Result<Vec<f32>, String> {
    text.split(',').map(|number| number.parse().map_err(|_| format!("{number} is no number"))).collect()
}

/// What it recalls, best first: `ID TEXT`, a line each.
fn recall(cue: &Cue) -> Reply {
    let found = memory::recall_by(cue, 10)?;
    let lines: Vec<_> =
        found.iter().map(|found| format!("{} {}", found.episode.id, found.episode.text)).collect();
    say(lines.join("\n"))
}

impl Stateful for Diarist {
    const SCHEMA: &'static str = "diarist/1";

    fn adopt(&mut self, state: Self) {
        self.turns = state.turns;
    }
}

matrix_sdk::soul!(Diarist: stateful);
