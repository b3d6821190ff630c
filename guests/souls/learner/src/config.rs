//! Settings, as the manifest has them.

use std::str::FromStr;

use matrix_sdk::Birth;
use matrix_sdk::discrete::{self, Actions};
use tabular::{Epsilon, Method, Settings};

/// The most actions that are tried one by one.
const ACTIONS_MAX: usize = 256;

/// What a Soul learns by, and what it may do.
pub(crate) struct Config {
    pub(crate) settings: Settings,
    pub(crate) actions: Actions,
    pub(crate) seed: u64,
}

/// Reads and checks a manifest's settings.
pub(crate) fn read(birth: &Birth) -> Result<Config, String> {
    let required = |name: &str| {
        birth.setting(name).ok_or_else(|| {
            format!("set `{name}` in the Soul's config to what the description of the rules says")
        })
    };
    discrete::observations(required("observation_type")?)?;
    let actions = Actions::of(required("action_type")?, ACTIONS_MAX)?;
    let known = Settings::default();
    let method = match birth.setting("method").unwrap_or("q") {
        "q" => Method::Q {
            alpha: number(birth, "alpha", 0.1)?,
            half: number(birth, "alpha_half", 0.0)?,
            gamma: number(birth, "gamma", 0.95)?,
            memory: number(birth, "memory", 1)?,
        },
        "bandit" => Method::Bandit,
        other => return Err(format!("`method` is `{other}`: it must be `q` or `bandit`")),
    };
    let epsilon = Epsilon {
        start: number(birth, "epsilon_start", known.epsilon.start)?,
        end: number(birth, "epsilon_end", known.epsilon.end)?,
        turns: number(birth, "epsilon_turns", known.epsilon.turns)?,
    };
    let settings = Settings {
        method,
        epsilon,
        optimism: number(birth, "optimism", known.optimism)?,
        apart: number(birth, "apart", known.apart)?,
        states_max: number(birth, "states_max", known.states_max)?,
    };
    settings.check()?;
    Ok(Config { settings, actions, seed: number(birth, "seed", birth.seed)? })
}

/// A setting that is not text; left out, what is `usual`.
fn number<T: FromStr<Err: std::fmt::Display>>(birth: &Birth, name: &str, usual: T) -> Result<T, String> {
    let Some(text) = birth.setting(name) else { return Ok(usual) };
    text.parse().map_err(|error| format!("`{name} = {text}` in the config: {error}"))
}
