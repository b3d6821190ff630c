//! What places are worth.

use crate::grid::{Action, Grid};

/// After how many rounds over all places a search ends though values change still: with a discount of 1 and a goal
/// that cannot be reached, costs would add up for ever.
const ROUNDS_MAX: u32 = 10_000;
/// How little values may change in a round to be the last ones.
const TOLERANCE: f64 = 1e-12;

impl Grid {
    /// What an action at a place is worth, where places are worth `values`.
    #[must_use]
    pub fn worth(&self, at: u32, action: Action, discount: f64, values: &[f64]) -> f64 {
        let outcomes = self.outcomes(at, action).into_iter();
        outcomes
            .map(|(likely, step)| {
                let later = if step.ends { 0.0 } else { discount * values[step.to as usize] };
                likely * (step.reward + later)
            })
            .sum()
    }

    /// What each place is worth to whoever acts best from there on, by value iteration; 0 where nobody can stand.
    #[must_use]
    pub fn optimum(&self, discount: f64) -> Vec<f64> {
        self.iterate(|values, at| {
            let worth = Action::ALL.map(|action| self.worth(at, action, discount, values));
            worth.into_iter().fold(f64::NEG_INFINITY, f64::max)
        })
    }

    /// What each place is worth to whoever always acts as `policy` says, which has an action for each place.
    #[must_use]
    pub fn value(&self, policy: &[Action], discount: f64) -> Vec<f64> {
        self.iterate(|values, at| self.worth(at, policy[at as usize], discount, values))
    }

    /// The best action at each place where one can stand; the first of several.
    #[must_use]
    pub fn best(&self, discount: f64, optimum: &[f64]) -> Vec<Option<Action>> {
        let best = |at: u32| {
            let worth = |action| self.worth(at, action, discount, optimum);
            Action::ALL.into_iter().reduce(|best, next| if worth(next) > worth(best) { next } else { best })
        };
        (0..self.cells().len() as u32).map(|at| self.is_floor(at).then(|| best(at)).flatten()).collect()
    }

    /// Sets each place to what `next` makes of all, again and again until nothing changes.
    fn iterate(&self, next: impl Fn(&[f64], u32) -> f64) -> Vec<f64> {
        let mut values = vec![0.0; self.cells().len()];
        for _ in 0..ROUNDS_MAX {
            let mut changed = 0.0_f64;
            for at in (0..values.len() as u32).filter(|at| self.is_floor(*at)) {
                let value = next(&values, at);
                changed = changed.max((value - values[at as usize]).abs());
                values[at as usize] = value;
            }
            if changed < TOLERANCE {
                break;
            }
        }
        values
    }
}
