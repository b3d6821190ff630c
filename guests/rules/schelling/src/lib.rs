//! Rules of Schelling's model of segregation: no players, the agents live in the rules. One tick is
//! one step of the model.

mod view;

use matrix_sdk::prelude::*;
use segregation::{Model, Settings};

/// What may be configured, as `describe` tells it.
const CONFIG_SCHEMA: &str = include_str!("config.schema.json");

/// A running model.
#[derive(Serialize, Deserialize)]
pub struct Schelling {
    model: Model,
}

/// The event that ends a run.
#[derive(Serialize)]
struct Finished {
    steps: u32,
    all_happy: bool,
    happiness: f64,
    similarity: f64,
}

impl Rules for Schelling {
    fn describe() -> Description {
        Description {
            name: "schelling".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            observation_type: "application/octet-stream".to_owned(),
            action_type: "application/octet-stream".to_owned(),
            players_min: 0,
            players_max: 0,
            config_schema: CONFIG_SCHEMA.to_owned(),
        }
    }

    fn start(setup: Setup) -> Result<(Self, Outcome), String> {
        if !setup.players.is_empty() {
            return Err(format!(
                "{} players given: the agents of these rules are their own",
                setup.players.len()
            ));
        }
        let settings: Settings = setup.settings()?;
        let model = Model::new(settings, setup.seed).map_err(|error| format!("config: {error}"))?;
        let rules = Self { model };
        let outcome = rules.outcome()?;
        Ok((rules, outcome))
    }

    fn step(&mut self, _actions: &[Action<'_>]) -> Result<Outcome, String> {
        if !self.model.is_over() {
            self.model.step();
        }
        self.outcome()
    }

    fn view(&self) -> Content {
        Content::svg(view::draw(&self.model))
    }
}

impl Stateful for Schelling {
    const SCHEMA: &'static str = "schelling/1";
}

impl Schelling {
    fn outcome(&self) -> Result<Outcome, String> {
        let (happiness, similarity) = (self.model.happiness(), self.model.similarity());
        let mut outcome = Outcome { finished: self.model.is_over(), ..Outcome::empty() };
        outcome.signal("happiness.rate", happiness);
        outcome.signal("similarity.mean", similarity);
        if outcome.finished {
            let (steps, all_happy) = (self.model.steps(), self.model.all_happy());
            let finished = Finished { steps, all_happy, happiness, similarity };
            outcome.event("segregation.finished", Content::json(&finished)?);
        }
        Ok(outcome)
    }
}

matrix_sdk::rules!(Schelling);

#[cfg(test)]
mod tests {
    use super::*;

    fn start(config: &str) -> Result<(Schelling, Outcome), String> {
        Schelling::start(Setup { config: config.to_owned(), seed: 42, players: Vec::new() })
    }

    #[test]
    fn runs_to_the_end() {
        let (mut rules, mut outcome) = start("{\"width\": 20, \"height\": 20}").unwrap();
        while !outcome.finished {
            outcome = rules.step(&[]).unwrap();
        }
        assert_eq!(outcome.events[0].kind, "segregation.finished");
        assert!(outcome.signals.iter().any(|signal| signal.name == "happiness.rate" && signal.value >= 1.0));
        let view = rules.view();
        assert_eq!(view.content_type, "image/svg+xml");
        assert!(view.body.starts_with(b"<svg") && view.body.ends_with(b"</svg>\n"));
    }

    #[test]
    fn a_restored_state_goes_on_alike() {
        let (mut rules, _) = start("").unwrap();
        rules.step(&[]).unwrap();
        let bytes = rules.snapshot().unwrap();
        let mut twin = Schelling::decode(Schelling::SCHEMA, &bytes).unwrap();
        for _ in 0..5 {
            assert_eq!(rules.step(&[]).unwrap(), twin.step(&[]).unwrap());
            assert_eq!(rules.snapshot().unwrap(), twin.snapshot().unwrap());
        }
    }

    #[test]
    fn damaged_states_are_refused() {
        let (rules, _) = start("{\"width\": 9, \"height\": 9}").unwrap();
        let bytes = rules.snapshot().unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x81;
            // Whatever is still accepted must not trap when it goes on.
            if let Ok(mut accepted) = Schelling::decode(Schelling::SCHEMA, &damaged) {
                accepted.step(&[]).unwrap();
                accepted.view();
            }
        }
        assert!(Schelling::decode(Schelling::SCHEMA, &bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn the_schema_speaks_of_the_settings() {
        check::schema_speaks_of::<Settings>(CONFIG_SCHEMA);
    }

    #[test]
    fn wrong_setups_are_named() {
        assert!(start("{\"widht\": 20}").is_err());
        assert!(start("{\"width\": 2}").is_err());
        let setup = Setup { config: String::new(), seed: 1, players: vec!["someone".to_owned()] };
        assert!(Schelling::start(setup).is_err());
    }
}
