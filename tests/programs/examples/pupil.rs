//! Learns a number for each word, an exponentially weighted mean of what it is taught: easy to check, and easy to
//! mislead. `about WORD` answers it, `count` how much it was trained on. `note` changes its state by being told, as Souls do that remember conversations.
//! Experience whose input begins with `do ` misbehaves in the way that it names.

use std::collections::BTreeMap;
use std::hint::black_box;

use matrix_sdk::prelude::*;
use programs::{command, misbehave, say};

/// How far a mean moves towards a new number.
const RATE: f64 = 0.5;
/// What `do slow` takes, in rounds: some tens of milliseconds.
const ROUNDS: u32 = 40_000_000;

/// What it has learnt, from how much, and how often it was told to note something.
#[derive(Default, Serialize, Deserialize)]
struct Pupil {
    means: BTreeMap<String, f64>,
    trained: u64,
    noted: u64,
}

impl Pupil {
    fn about(&self, word: &str) -> f64 {
        self.means.get(word).copied().unwrap_or(0.0)
    }
}

impl Soul for Pupil {
    fn receive(&mut self, message: Message<'_>) -> Reply {
        let (word, argument) = command(&message)?;
        match word.as_str() {
            "about" => say(format!("{:.3}", self.about(&argument))),
            "count" => say(self.trained),
            "note" => {
                self.noted += 1;
                say(self.noted)
            }
            _ => Err("say `about WORD`, `count` or `note`".to_owned()),
        }
    }
}

impl Learner for Pupil {
    fn train(&mut self, batch: &[Experience]) -> Result<Vec<Metric>, String> {
        let loss = mean_loss(self, batch)?;
        for experience in batch {
            self.trained += 1;
            let word = experience.input_text()?;
            match word.strip_prefix("do ") {
                Some("slow") => (0..ROUNDS).for_each(|round| _ = black_box(round)),
                Some("refuse") => return Err("told to".to_owned()),
                Some("diverge") => return Ok(vec![Metric::new("loss", f64::NAN)]),
                Some("forget") => self.means.clear(),
                Some(misdeed) => drop(misbehave(misdeed)),
                None => {
                    let mean = self.means.entry(word.to_owned()).or_default();
                    *mean += RATE * experience.weight().clamp(0.0, 1.0) * (number(experience)? - *mean);
                }
            }
        }
        Ok(vec![Metric::new("loss", loss), Metric::new("words", self.means.len() as f64)])
    }

    fn evaluate(&self, batch: &[Experience]) -> Result<Vec<Metric>, String> {
        let near = |experience: &&Experience| {
            let word = experience.input_text().unwrap_or_default();
            number(experience).is_ok_and(|right| (right - self.about(word)).abs() < 0.5)
        };
        let accuracy = batch.iter().filter(near).count() as f64 / batch.len().max(1) as f64;
        Ok(vec![Metric::new("loss", mean_loss(self, batch)?), Metric::new("accuracy", accuracy)])
    }
}

/// The mean squared error over what it is taught numbers by.
fn mean_loss(pupil: &Pupil, batch: &[Experience]) -> Result<f64, String> {
    let (mut sum, mut count) = (0.0, 0.0);
    for experience in batch {
        let word = experience.input_text()?;
        if !word.starts_with("do ") {
            sum += (number(experience)? - pupil.about(word)).powi(2);
            count += 1.0;
        }
    }
    Ok(if count > 0.0 { sum / count } else { 0.0 })
}

fn number(experience: &Experience) -> Result<f64, String> {
    let text = experience.output_text()?;
    text.parse().map_err(|error| format!("`{text}` is no number: {error}"))
}

impl Stateful for Pupil {
    const SCHEMA: &'static str = "pupil/1";
}

matrix_sdk::soul!(Pupil: stateful, learner);
