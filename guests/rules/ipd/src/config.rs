//! `setup.config`.

use dilemma::game::{Move, Payoffs};
use dilemma::tournament::Settings;
use matrix_sdk::Setup;
use serde::{Deserialize, Serialize};

/// What may be configured, as `describe` tells it.
pub(crate) const SCHEMA: &str = include_str!("config.schema.json");

/// Most turns of a match: a run log of more would outgrow what anybody replays.
const TURNS_MAX: u32 = 1_000_000;
/// Largest payoff, up or down: a million turns of it are still exact in a double.
const PAYOFF_MAX: f64 = 1e9;

/// The configuration as it is written.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    turns: u32,
    payoffs: Payoffs,
    self_play: bool,
    on_invalid: OnInvalid,
}

/// What a move counts as that is none.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnInvalid {
    Defect,
    Cooperate,
}

impl Default for Config {
    fn default() -> Self {
        Self { turns: 200, payoffs: Payoffs::default(), self_play: true, on_invalid: OnInvalid::Defect }
    }
}

/// Reads and checks the configuration.
pub(crate) fn read(setup: &Setup) -> Result<Settings, String> {
    let config: Config = setup.settings()?;
    if !(1..=TURNS_MAX).contains(&config.turns) {
        return Err(format!("config: `turns` is {}: it must be from 1 to {TURNS_MAX}", config.turns));
    }
    if config.payoffs.to_array().iter().any(|payoff| payoff.abs() > PAYOFF_MAX) {
        return Err(format!("config: `payoffs` must be from -{PAYOFF_MAX} to {PAYOFF_MAX}"));
    }
    let on_invalid = match config.on_invalid {
        OnInvalid::Defect => Move::Defect,
        OnInvalid::Cooperate => Move::Cooperate,
    };
    let Config { turns, payoffs, self_play, .. } = config;
    Ok(Settings { turns, payoffs, self_play, on_invalid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_speaks_of_the_settings() {
        check::schema_speaks_of::<Config>(SCHEMA);
    }

    #[test]
    fn wrong_configurations_are_named() {
        let read = |json: &str| super::read(&Setup { config: json.to_owned(), seed: 0, players: Vec::new() });
        let wrong = [
            "{",
            "{\"turn\": 3}",
            "{\"turns\": 0}",
            "{\"turns\": 1000001}",
            "{\"payoffs\": {\"reward\": 1e10}}",
            "{\"payoffs\": {\"rewards\": 1}}",
            "{\"on_invalid\": \"forgive\"}",
        ];
        for json in wrong {
            assert!(read(json).is_err_and(|message| message.starts_with("config: ")), "{json}");
        }
        let partial = read("{\"payoffs\": {\"reward\": 4}}").unwrap();
        assert_eq!(partial.payoffs, Payoffs { reward: 4.0, ..Payoffs::default() });
    }
}
