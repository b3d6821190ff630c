//! Walkers on a grid, each in a world of its own, episode after episode.

use std::collections::VecDeque;

use chance::Chance;
use serde::{Deserialize, Serialize};

use crate::grid::{Action, Grid};
use crate::settings::Settings;

/// Over how many of a walker's last episodes means are taken.
pub const RECENT: usize = 100;

/// One walker. Nothing that others do changes its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Walker {
    chance: Chance,
    at: u32,
    /// Of this episode.
    steps: u32,
    /// From 0; all are over where it is the number of episodes.
    episode: u32,
    /// What was earned in this episode, discounted.
    earned: f64,
    /// What the next reward is worth at the start.
    weight: f64,
    goals: u32,
    total: f64,
    /// Of the last episodes: what each earned, discounted, and whether a goal was reached.
    recent: VecDeque<(f64, bool)>,
}

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In a hole or at a goal: nothing comes after it.
    Over,
    /// For want of steps, at this place: it would have gone on.
    CutOff(u32),
}

/// What a step led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taken {
    /// What it earned.
    pub reward: f64,
    /// How the episode ended with it, if it did.
    pub end: Option<End>,
}

/// A grid and its walkers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct World {
    settings: Settings,
    grid: Grid,
    optimum: Vec<f64>,
    walkers: Vec<Walker>,
}

/// A world without what can be found again.
#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    settings: Settings,
    walkers: Vec<Walker>,
}

impl World {
    /// As many walkers, each at the start of its first episode.
    ///
    /// # Errors
    /// Where the settings are wrong.
    pub fn new(settings: Settings, walkers: u32, seed: u64) -> Result<Self, String> {
        let mut world = Self::try_from(Saved { settings, walkers: Vec::new() })?;
        // A seed for each, drawn in order: how many come after it changes nothing for a walker.
        let mut seeds = Chance::new(seed);
        let at = world.grid.start();
        world.walkers = (0..walkers).map(|_| Walker::new(Chance::new(seeds.next_u64()), at)).collect();
        Ok(world)
    }

    /// What it was made of.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The map.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// What each place is worth to whoever acts best.
    #[must_use]
    pub fn optimum(&self) -> &[f64] {
        &self.optimum
    }

    /// What an episode is worth to whoever acts best, where none is cut off.
    #[must_use]
    pub fn optimum_at_start(&self) -> f64 {
        self.optimum[self.grid.start() as usize]
    }

    /// All walkers.
    #[must_use]
    pub fn walkers(&self) -> &[Walker] {
        &self.walkers
    }

    /// Whether a walker has walked all its episodes; true for one that does not exist.
    #[must_use]
    pub fn is_done(&self, walker: usize) -> bool {
        self.walkers.get(walker).is_none_or(|walker| walker.episode >= self.settings.episodes)
    }

    /// Whether all have.
    #[must_use]
    pub fn is_over(&self) -> bool {
        (0..self.walkers.len()).all(|walker| self.is_done(walker))
    }

    /// One step of a walker that is not done; without an action it stands still, which takes a step too.
    pub fn step(&mut self, walker: usize, action: Option<Action>) -> Taken {
        let (grid, settings) = (&self.grid, &self.settings);
        let walker = &mut self.walkers[walker];
        let step = match action {
            Some(action) => grid.outcome(walker.at, action, walker.chance.unit()),
            None => grid.rest(walker.at),
        };
        walker.at = step.to;
        walker.steps += 1;
        walker.earned += walker.weight * step.reward;
        walker.weight *= settings.discount;
        let end = if step.ends {
            Some(End::Over)
        } else {
            (walker.steps >= settings.steps_max).then_some(End::CutOff(step.to))
        };
        if end.is_some() {
            walker.begin_again(grid.cells()[step.to as usize] == crate::Cell::Goal, grid.start());
        }
        Taken { reward: step.reward, end }
    }

    /// What an episode earned, discounted, on average over the last ones of all walkers; none before any ended.
    #[must_use]
    pub fn recent_return(&self) -> Option<f64> {
        self.recent(|(earned, _)| *earned)
    }

    /// Which share of the last episodes of all walkers reached a goal; none before any ended.
    #[must_use]
    pub fn recent_success(&self) -> Option<f64> {
        self.recent(|(_, reached)| f64::from(u8::from(*reached)))
    }

    fn recent(&self, figure: impl Fn(&(f64, bool)) -> f64) -> Option<f64> {
        let recent = || self.walkers.iter().flat_map(|walker| &walker.recent);
        let count = recent().count();
        (count > 0).then(|| recent().map(figure).sum::<f64>() / count as f64)
    }
}

impl Walker {
    fn new(chance: Chance, at: u32) -> Self {
        Self {
            chance,
            at,
            steps: 0,
            episode: 0,
            earned: 0.0,
            weight: 1.0,
            goals: 0,
            total: 0.0,
            recent: VecDeque::new(),
        }
    }

    /// Counts the episode, and stands at the start of the next one.
    fn begin_again(&mut self, reached: bool, start: u32) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((self.earned, reached));
        self.goals = self.goals.saturating_add(u32::from(reached));
        self.total += self.earned;
        self.episode += 1;
        (self.at, self.steps, self.earned, self.weight) = (start, 0, 0.0, 1.0);
    }

    /// Where it stands.
    #[must_use]
    pub fn at(&self) -> u32 {
        self.at
    }

    /// Which episode it walks, from 0: so many are over.
    #[must_use]
    pub fn episode(&self) -> u32 {
        self.episode
    }

    /// How many episodes ended at a goal.
    #[must_use]
    pub fn goals(&self) -> u32 {
        self.goals
    }

    /// What an episode earned on average, discounted; 0 before any ended.
    #[must_use]
    pub fn mean_return(&self) -> f64 {
        if self.episode == 0 { 0.0 } else { self.total / f64::from(self.episode) }
    }

    /// What its last episodes earned, discounted, the latest last; at most [`RECENT`].
    pub fn recent_returns(&self) -> impl Iterator<Item = f64> + '_ {
        self.recent.iter().map(|(earned, _)| *earned)
    }
}

/// What was saved may have been damaged since: a walker that stands where nobody can is refused.
impl TryFrom<Saved> for World {
    type Error = String;

    fn try_from(saved: Saved) -> Result<Self, String> {
        let Saved { settings, walkers } = saved;
        settings.check()?;
        let grid = Grid::read(&settings)?;
        for walker in &walkers {
            let sound = walker.steps < settings.steps_max && walker.recent.len() <= RECENT;
            if !sound || !grid.is_floor(walker.at) || walker.episode > settings.episodes {
                return Err(format!("a saved walker stands at place {}, where none can", walker.at));
            }
        }
        let optimum = grid.optimum(settings.discount);
        Ok(Self { settings, grid, optimum, walkers })
    }
}

impl From<World> for Saved {
    fn from(world: World) -> Self {
        Self { settings: world.settings, walkers: world.walkers }
    }
}
