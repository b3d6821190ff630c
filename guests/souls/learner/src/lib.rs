//! Learns by table what earns most, from the rewards of its turns alone, in any rules whose observations and actions are
//! discrete (`matrix_sdk::discrete`): Q-learning, or a bandit for games without states.
//!
//! | setting | meaning | left out |
//! |---|---|---|
//! | `observation_type`, `action_type` | the media types that the description of the rules has | required |
//! | `method` | `q`, or `bandit`, which minds no observation | `q` |
//! | `alpha` | how far a value moves towards what was seen last | 0.1 |
//! | `alpha_half` | after how many times that an action was tried in a state `alpha` is halved there; 0: never | 0 |
//! | `gamma` | what is earned one turn later is worth | 0.95 |
//! | `memory` | how many of the last observations make a state | 1 |
//! | `epsilon_start`, `epsilon_end`, `epsilon_turns` | how often chance decides: from, to, after so many turns | 1, 0, 10000 |
//! | `optimism` | what an action is thought to be worth before it was tried | 0 |
//! | `apart` | `true`: each seat learns for itself, such as one opponent each in `ipd` | `false` |
//! | `states_max` | the most states; a turn that shows one more is an error | 4096 |
//! | `seed` | of its chance | the Soul's |
//!
//! The table is its state: what it learnt in one Matrix it uses in the next. To `stats` it answers how far it is, to
//! `policy` what it learnt, both as JSON. A turn that it answered too late counts for it as if it had been in time.

mod config;

use chance::Chance;
use config::Config;
use matrix_sdk::prelude::*;
use tabular::Learner;

/// What a Soul answers that was restored without having been born; a node never does so.
const NOT_BORN: &str = "the settings were never read";

/// One Soul, any number of seats in any number of Matrices.
#[derive(Default, Serialize, Deserialize)]
pub struct Pupil {
    /// From the manifest, and so no part of the state.
    #[serde(skip)]
    config: Option<Config>,
    /// What the actions are called that were learnt about.
    words: Vec<String>,
    learner: Option<Learner>,
}

/// How far it is.
#[derive(Serialize)]
struct Stats {
    turns: u64,
    states: usize,
    epsilon: f64,
}

/// What it learnt of one state.
#[derive(Serialize)]
struct Learnt<'a> {
    state: Vec<String>,
    action: &'a str,
    values: &'a [f64],
    tried: &'a [u32],
}

impl Soul for Pupil {
    fn init(birth: Birth) -> Result<Self, String> {
        let config = config::read(&birth)?;
        let learner = Some(Learner::new(config.actions.count(), Chance::new(config.seed)));
        Ok(Self { words: config.actions.words().to_vec(), config: Some(config), learner })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        let (config, learner) = self.parts()?;
        match message.text()?.trim() {
            "stats" => {
                let (turns, states) = (learner.turns(), learner.states());
                let epsilon = config.settings.epsilon.after(turns);
                Content::json(&Stats { turns, states, epsilon }).map(Some)
            }
            "policy" => {
                let text = |part: &Vec<u8>| String::from_utf8_lossy(part).into_owned();
                let learnt = learner.seen().map(|seen| Learnt {
                    state: seen.state.iter().map(text).collect(),
                    action: config.actions.words().get(seen.best).map_or("", String::as_str),
                    values: seen.values,
                    tried: seen.tried,
                });
                Content::json(&learnt.collect::<Vec<_>>()).map(Some)
            }
            _ => Err("say `stats` or `policy`".to_owned()),
        }
    }
}

impl Player for Pupil {
    fn act(&mut self, matrix: &str, _tick: u64, turn: &Turn<'_>) -> Result<Vec<u8>, String> {
        let (config, learner) = self.parts()?;
        let at = (matrix, turn.seat);
        if turn.is_final() {
            learner.close(&config.settings, at, turn.observation, turn.reward)?;
            return Ok(Vec::new());
        }
        let decided = learner.decide(&config.settings, at, turn.observation, turn.reward)?;
        Ok(config.actions.words()[decided].clone().into_bytes())
    }
}

impl Stateful for Pupil {
    const SCHEMA: &'static str = "learner/1";

    /// What was learnt about other actions is of no use: the manifest has changed since.
    fn adopt(&mut self, state: Self) {
        let sound = state.learner.as_ref().is_some_and(|learner| learner.is_sound(self.words.len()));
        if sound && state.words == self.words {
            self.learner = state.learner;
        }
    }
}

impl Pupil {
    fn parts(&mut self) -> Result<(&Config, &mut Learner), String> {
        match (&self.config, &mut self.learner) {
            (Some(config), Some(learner)) => Ok((config, learner)),
            _ => Err(NOT_BORN.to_owned()),
        }
    }
}

matrix_sdk::soul!(Pupil: stateful, player);

#[cfg(test)]
mod tests;
