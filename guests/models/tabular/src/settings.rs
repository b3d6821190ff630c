//! How a table is learnt.

/// The most observations that make a state together.
pub const MEMORY_MAX: usize = 8;
/// The most states that a table may have: some hundred bytes each.
pub const STATES_MAX: usize = 100_000;

/// How to learn.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// By which method.
    pub method: Method,
    /// How often chance decides, and not the table.
    pub epsilon: Epsilon,
    /// What an action is thought to be worth before it was tried: above what can be earned, each is tried early.
    pub optimism: f64,
    /// Whether each seat learns for itself, as if it met other rules than the others do.
    pub apart: bool,
    /// The most states; what would be one more is refused. From 1 to [`STATES_MAX`].
    pub states_max: usize,
}

/// What is learnt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// What each action earns in each state, with all that follows it: the Q-learning of Watkins.
    Q {
        /// How far a value moves towards what was seen last, above 0 and up to 1.
        alpha: f64,
        /// After how many times that an action was tried in a state `alpha` is halved there: after `n` times it is
        /// `alpha * half / (half + n)`. 0: never.
        half: f64,
        /// What is earned one turn later is worth, from 0 and below 1.
        gamma: f64,
        /// How many of the last observations make a state, from 1 to [`MEMORY_MAX`].
        memory: usize,
    },
    /// What each action earns on average, whatever is seen: for games without states.
    Bandit,
}

/// How likely chance decides: from `start`, evenly down, or up, to `end` after so many turns, and then so for ever.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epsilon {
    /// At the first turn, from 0 to 1.
    pub start: f64,
    /// At last, from 0 to 1.
    pub end: f64,
    /// After how many turns, of all seats together.
    pub turns: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            method: Method::Q { alpha: 0.1, half: 0.0, gamma: 0.95, memory: 1 },
            epsilon: Epsilon { start: 1.0, end: 0.0, turns: 10_000 },
            optimism: 0.0,
            apart: false,
            states_max: 4096,
        }
    }
}

impl Settings {
    /// Whether one can learn by them.
    ///
    /// # Errors
    /// Names what is wrong, and its bounds.
    pub fn check(&self) -> Result<(), String> {
        if let Method::Q { alpha, half, gamma, memory } = self.method {
            if !(alpha > 0.0 && alpha <= 1.0) {
                return Err(format!("`alpha` is {alpha}: it must be above 0 and at most 1"));
            }
            if !(0.0..=1e12).contains(&half) {
                return Err(format!("`alpha_half` is {half}: it must be from 0 to 1e12"));
            }
            if !(0.0..1.0).contains(&gamma) {
                return Err(format!("`gamma` is {gamma}: it must be from 0 and below 1"));
            }
            if !(1..=MEMORY_MAX).contains(&memory) {
                return Err(format!("`memory` is {memory}: it must be from 1 to {MEMORY_MAX}"));
            }
        }
        for (name, share) in [("epsilon_start", self.epsilon.start), ("epsilon_end", self.epsilon.end)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("`{name}` is {share}: it must be from 0 to 1"));
            }
        }
        if !(-1e12..=1e12).contains(&self.optimism) {
            return Err(format!("`optimism` is {}: it must be from -1e12 to 1e12", self.optimism));
        }
        if !(1..=STATES_MAX).contains(&self.states_max) {
            return Err(format!("`states_max` is {}: it must be from 1 to {STATES_MAX}", self.states_max));
        }
        Ok(())
    }

    /// How many observations make a state.
    pub(crate) fn memory(&self) -> usize {
        if let Method::Q { memory, .. } = self.method { memory } else { 0 }
    }
}

impl Epsilon {
    /// How likely chance decides after so many turns.
    #[must_use]
    pub fn after(&self, turns: u64) -> f64 {
        if turns >= u64::from(self.turns) {
            return self.end;
        }
        self.start + (self.end - self.start) * (turns as f64 / f64::from(self.turns))
    }
}
