//! What a world is made of.

use serde::{Deserialize, Serialize};

/// The most cells of a map: the value of so many is found in well under a second.
pub const CELLS_MAX: usize = 400;
/// The most episodes of a walker: a run log of more would outgrow what anybody replays.
pub const EPISODES_MAX: u32 = 1_000_000;
/// The most steps of an episode.
pub const STEPS_MAX: u32 = 1_000_000;
/// The largest reward, up or down: sums of a million of it are still exact enough in a double.
const REWARD_MAX: f64 = 1e6;

/// How a world is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The map, row after row: `S` the start, `F` floor, `H` a hole, which ends an episode, `G` a goal, which ends it
    /// too, `#` a wall, `C` a cliff, from which one falls back to the start. All rows are as long; there is one
    /// start; cells are at most [`CELLS_MAX`].
    pub map: Vec<String>,
    /// How likely a step goes aside, from 0 to 1: half of it to either side of where it was meant to go.
    pub slip: f64,
    /// What steps earn.
    pub rewards: Rewards,
    /// What a reward one step later is worth, from 0 to 1.
    pub discount: f64,
    /// How many episodes each walker has, from 1 to [`EPISODES_MAX`].
    pub episodes: u32,
    /// After how many steps an episode is cut off, from 1 to [`STEPS_MAX`].
    pub steps_max: u32,
}

/// What a step earns, by where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rewards {
    /// To the floor or the start, and against a wall or the edge.
    pub step: f64,
    /// To a goal.
    pub goal: f64,
    /// Into a hole.
    pub hole: f64,
    /// Over a cliff.
    pub cliff: f64,
}

impl Default for Rewards {
    fn default() -> Self {
        Self { step: 0.0, goal: 1.0, hole: 0.0, cliff: -100.0 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            map: ["SFFF", "FHFH", "FFFH", "HFFG"].map(str::to_owned).to_vec(),
            slip: 2.0 / 3.0,
            rewards: Rewards::default(),
            discount: 0.99,
            episodes: 1000,
            steps_max: 100,
        }
    }
}

impl Settings {
    /// Whether a world can be made of them, but for the map, which [`Grid::read`](crate::Grid::read) judges.
    ///
    /// # Errors
    /// Names what is wrong, and its bounds.
    pub fn check(&self) -> Result<(), String> {
        for (name, share) in [("slip", self.slip), ("discount", self.discount)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("`{name}` is {share}: it must be from 0 to 1"));
            }
        }
        let Rewards { step, goal, hole, cliff } = self.rewards;
        for (name, reward) in [("step", step), ("goal", goal), ("hole", hole), ("cliff", cliff)] {
            if !(-REWARD_MAX..=REWARD_MAX).contains(&reward) {
                return Err(format!(
                    "`rewards.{name}` is {reward}: it must be from -{REWARD_MAX} to {REWARD_MAX}"
                ));
            }
        }
        for (name, count, max) in
            [("episodes", self.episodes, EPISODES_MAX), ("steps_max", self.steps_max, STEPS_MAX)]
        {
            if !(1..=max).contains(&count) {
                return Err(format!("`{name}` is {count}: it must be from 1 to {max}"));
            }
        }
        Ok(())
    }
}
