//! Rules of a moderated talk: one speaker a tick, whose turn it is, is shown the topic and what was said last, as JSON,
//! and answers with plain text. What is too long, says again what the speaker has said, or must not be said, does not
//! stand: the speaker is warned and may say something else once; then the turn is lost. The transcript is the run log,
//! and an event `talk.said` for each utterance that stands.
//!
//! An utterance that stands earns 1, a lost turn -1, silence nothing; a speaker learns it when it speaks next, or at the
//! end. What the signals mean is told at `parley::Measures`.

mod view;

use matrix_sdk::prelude::*;
use parley::{Heard, SPEAKERS_MAX, Settings, Talk, Utterance};

/// What may be configured, as `describe` tells it.
const CONFIG_SCHEMA: &str = include_str!("config.schema.json");

/// A running talk.
#[derive(Serialize, Deserialize)]
pub struct Parlour {
    players: Vec<String>,
    talk: Talk,
    /// What each speaker earned since it was told last.
    earned: Vec<i32>,
}

/// What a speaker is shown.
#[derive(Serialize)]
struct Scene<'a> {
    topic: &'a str,
    /// Who it is itself.
    you: &'a str,
    speakers: &'a [String],
    turns_left: u32,
    chars_max: u32,
    /// Why what it just said does not stand; absent where nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'a str>,
    said: Vec<Line<'a>>,
}

/// An utterance, by name.
#[derive(Serialize)]
struct Line<'a> {
    speaker: &'a str,
    text: &'a str,
}

/// Why something does not stand.
#[derive(Serialize)]
struct Objection<'a> {
    speaker: &'a str,
    why: &'a str,
    turn_lost: bool,
}

/// The event that ends a run.
#[derive(Serialize)]
struct Finished<'a> {
    evenness: f64,
    novelty: f64,
    agreement: f64,
    overlap: f64,
    speakers: Vec<Record<'a>>,
}

/// How a speaker did.
#[derive(Serialize)]
struct Record<'a> {
    speaker: &'a str,
    words: u64,
    warnings: u32,
    turns_lost: u32,
}

impl Rules for Parlour {
    fn describe() -> Description {
        Description {
            name: "parlour".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            observation_type: "application/vnd.matrix.parlour.scene+json".to_owned(),
            action_type: "text/plain".to_owned(),
            players_min: 2,
            players_max: SPEAKERS_MAX as u32,
            config_schema: CONFIG_SCHEMA.to_owned(),
        }
    }

    fn start(setup: Setup) -> Result<(Self, Outcome), String> {
        let settings: Settings = setup.settings()?;
        settings.check().map_err(|error| format!("config: {error}"))?;
        let talk = Talk::new(settings, setup.players.len(), setup.seed)?;
        let mut rules = Self { earned: vec![0; setup.players.len()], players: setup.players, talk };
        let mut outcome = Outcome::empty();
        rules.ask(&mut outcome)?;
        Ok((rules, outcome))
    }

    fn step(&mut self, actions: &[Action<'_>]) -> Result<Outcome, String> {
        let mut outcome = Outcome { finished: self.talk.is_over(), ..Outcome::empty() };
        if outcome.finished {
            return Ok(outcome);
        }
        let speaker = self.talk.speaker();
        let answer = actions.iter().find(|action| action.player == speaker && action.seat == 0);
        // What is no text is silence.
        let text = answer.and_then(|action| std::str::from_utf8(action.choice?).ok());
        match self.talk.hear(text) {
            Heard::Said => {
                self.earn(speaker, 1);
                let text = text.unwrap_or_default().trim();
                let line = Line { speaker: self.name(speaker), text };
                outcome.event("talk.said", Content::json(&line)?);
                let measures = self.talk.measures();
                outcome.signal("participation.evenness", measures.evenness);
                outcome.signal("novelty.rate", measures.novelty);
                outcome.signal("agreement.mean", measures.agreement);
                outcome.signal("overlap.mean", measures.overlap);
            }
            Heard::Silence => {}
            Heard::Warned(why) => self.object(&mut outcome, speaker, &why, false)?,
            Heard::Lost(why) => {
                self.earn(speaker, -1);
                self.object(&mut outcome, speaker, &why, true)?;
            }
        }
        self.ask(&mut outcome)?;
        if self.talk.is_over() {
            outcome.finished = true;
            outcome.event("talk.finished", Content::json(&self.summary())?);
        }
        Ok(outcome)
    }

    fn view(&self) -> Content {
        Content::svg(view::draw(&self.talk, &self.players))
    }
}

impl Stateful for Parlour {
    const SCHEMA: &'static str = "parlour/1";
}

impl Parlour {
    /// Asks whose turn it is; at the end tells all.
    fn ask(&mut self, outcome: &mut Outcome) -> Result<(), String> {
        let over = self.talk.is_over();
        let asked =
            if over { 0..self.players.len() as u32 } else { self.talk.speaker()..self.talk.speaker() + 1 };
        for player in asked {
            let earned = self.earned.get_mut(player as usize).map(std::mem::take).unwrap_or_default();
            let scene = Content::json(&self.scene(player))?;
            outcome.prompts.push(&Prompt {
                player,
                seat: 0,
                observation: &scene.body,
                reward: f64::from(earned),
                final_: over,
            });
        }
        Ok(())
    }

    fn scene(&self, player: u32) -> Scene<'_> {
        let settings = self.talk.settings();
        let said = self
            .talk
            .said()
            .iter()
            .map(|Utterance { speaker, text }| Line { speaker: self.name(*speaker), text });
        Scene {
            topic: &settings.topic,
            you: self.name(player),
            speakers: &self.players,
            turns_left: settings.turns - self.talk.turn(),
            chars_max: settings.chars_max,
            warning: self.talk.warning(),
            said: said.collect(),
        }
    }

    fn object(&self, outcome: &mut Outcome, speaker: u32, why: &str, turn_lost: bool) -> Result<(), String> {
        let objection = Objection { speaker: self.name(speaker), why, turn_lost };
        outcome.event("talk.objected", Content::json(&objection)?);
        Ok(())
    }

    fn earn(&mut self, speaker: u32, earned: i32) {
        if let Some(so_far) = self.earned.get_mut(speaker as usize) {
            *so_far = so_far.saturating_add(earned);
        }
    }

    fn name(&self, speaker: u32) -> &str {
        self.players.get(speaker as usize).map_or("", String::as_str)
    }

    fn summary(&self) -> Finished<'_> {
        let measures = self.talk.measures();
        let record = |(at, speaker)| {
            let (words, warnings, turns_lost) = self.talk.record(at);
            Record { speaker, words, warnings, turns_lost }
        };
        Finished {
            evenness: measures.evenness,
            novelty: measures.novelty,
            agreement: measures.agreement,
            overlap: measures.overlap,
            speakers: self.players.iter().map(String::as_str).enumerate().map(record).collect(),
        }
    }
}

matrix_sdk::rules!(Parlour);

#[cfg(test)]
mod tests;
