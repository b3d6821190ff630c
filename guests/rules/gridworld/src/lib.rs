//! Rules of walks over a grid whose best value is known: the frozen lake, a cliff walk, or any map. One tick is one step
//! of each player, in a world of its own; every episode is a seat of its own, numbered from 0.
//!
//! What a seat sees is the number of its place, row after row from 0, as decimal text; what it answers is `left`,
//! `down`, `right` or `up`. The type of both says that they are discrete, as `matrix_sdk::discrete` has it: so the last
//! observation of an episode is empty where the walk ended in a hole or at a goal, and the place where it was cut off.
//! Another answer, or none, is a step in which the walker stands still.

mod view;

use gridwalk::{Action as Walk, CELLS_MAX, End, Settings, Taken, World};
use matrix_sdk::discrete;
use matrix_sdk::prelude::*;

/// What may be configured, as `describe` tells it.
const CONFIG_SCHEMA: &str = include_str!("config.schema.json");
/// Media type of observations, but for how many there are.
const OBSERVATION_TYPE: &str = "application/vnd.matrix.gridworld.observation";
/// Media type of actions, but for their words.
const ACTION_TYPE: &str = "application/vnd.matrix.gridworld.action";
/// The most players: each has a map to itself in the picture of all.
const PLAYERS_MAX: u32 = 100;

/// A running world.
#[derive(Serialize, Deserialize)]
pub struct Gridworld {
    players: Vec<String>,
    world: World,
}

/// The event that ends a run.
#[derive(Serialize)]
struct Finished<'a> {
    /// What the start is worth to whoever acts best.
    optimum: f64,
    players: Vec<Walked<'a>>,
}

/// How a player did.
#[derive(Serialize)]
struct Walked<'a> {
    player: &'a str,
    episodes: u32,
    goals: u32,
    /// What an episode earned, discounted: on average over all, and over the last hundred.
    mean_return: f64,
    recent_return: f64,
}

impl Rules for Gridworld {
    fn describe() -> Description {
        Description {
            name: "gridworld".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            observation_type: discrete::observation_type(OBSERVATION_TYPE, CELLS_MAX + 1),
            action_type: discrete::action_type(ACTION_TYPE, &Walk::ALL.map(Walk::word)),
            players_min: 1,
            players_max: PLAYERS_MAX,
            config_schema: CONFIG_SCHEMA.to_owned(),
        }
    }

    fn start(setup: Setup) -> Result<(Self, Outcome), String> {
        let count = u32::try_from(setup.players.len()).unwrap_or(u32::MAX);
        if !(1..=PLAYERS_MAX).contains(&count) {
            return Err(format!("{count} players given: these rules take 1 to {PLAYERS_MAX}"));
        }
        let settings: Settings = setup.settings()?;
        let world = World::new(settings, count, setup.seed).map_err(|error| format!("config: {error}"))?;
        let mut outcome = Outcome::empty();
        for player in 0..count {
            ask(&mut outcome, player, 0, Some(world.grid().start()), 0.0, false);
        }
        Ok((Self { players: setup.players, world }, outcome))
    }

    fn step(&mut self, actions: &[Action<'_>]) -> Result<Outcome, String> {
        let mut outcome = Outcome::empty();
        let mut ended = false;
        for (player, walker) in (0..self.players.len() as u32).zip(0..) {
            if self.world.is_done(walker) {
                continue;
            }
            let seat = self.world.walkers()[walker].episode();
            let meant = actions.iter().find(|action| (action.player, action.seat) == (player, seat));
            let action = meant.and_then(|action| Walk::from_word(action.choice?));
            let Taken { reward, end } = self.world.step(walker, action);
            let at = self.world.walkers()[walker].at();
            match end {
                None => ask(&mut outcome, player, seat, Some(at), reward, false),
                Some(end) => {
                    ended = true;
                    let seen = if let End::CutOff(at) = end { Some(at) } else { None };
                    ask(&mut outcome, player, seat, seen, reward, true);
                    if !self.world.is_done(walker) {
                        ask(&mut outcome, player, seat + 1, Some(at), 0.0, false);
                    }
                }
            }
        }
        if ended {
            self.report(&mut outcome)?;
        }
        outcome.finished = self.world.is_over();
        Ok(outcome)
    }

    fn view(&self) -> Content {
        Content::svg(view::draw(&self.world))
    }
}

impl Stateful for Gridworld {
    const SCHEMA: &'static str = "gridworld/1";
}

impl Gridworld {
    /// Tells how walks go, each time that one ended.
    fn report(&self, outcome: &mut Outcome) -> Result<(), String> {
        let world = &self.world;
        outcome.signal("return.mean", world.recent_return().unwrap_or_default());
        outcome.signal("return.optimum", world.optimum_at_start());
        outcome.signal("success.rate", world.recent_success().unwrap_or_default());
        if world.is_over() {
            let walked = self.players.iter().zip(world.walkers()).map(|(player, walker)| {
                let recent: Vec<f64> = walker.recent_returns().collect();
                let recent_return = recent.iter().sum::<f64>() / recent.len().max(1) as f64;
                let (episodes, goals, mean_return) = (walker.episode(), walker.goals(), walker.mean_return());
                Walked { player, episodes, goals, mean_return, recent_return }
            });
            let finished = Finished { optimum: world.optimum_at_start(), players: walked.collect() };
            outcome.event("walks.finished", Content::json(&finished)?);
        }
        Ok(())
    }
}

/// Tells a seat where it stands; nothing where its walk is over for good.
fn ask(outcome: &mut Outcome, player: u32, seat: u32, at: Option<u32>, reward: f64, final_: bool) {
    let observation = at.map_or_else(String::new, |at| at.to_string());
    outcome.prompts.push(&Prompt { player, seat, observation: observation.as_bytes(), reward, final_ });
}

matrix_sdk::rules!(Gridworld);

#[cfg(test)]
mod tests;
