//! Who gets new code when.

use std::ops::Range;

use super::{BATCH_MAX, Plan};

/// Some users that get new code at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stage {
    /// Their places among all.
    pub(super) users: Range<usize>,
    /// Whether all that came so far are watched then.
    pub(super) watched: bool,
}

impl Plan {
    /// How many get new code at the same time.
    pub(super) fn size(&self) -> usize {
        self.batch.clamp(1, BATCH_MAX)
    }
}

/// The stages of a rollout to so many users: those that come first, and the others. Both are watched at their end.
pub(super) fn stages(plan: &Plan, total: usize) -> Vec<Stage> {
    let share = total * plan.canary_percent.min(100) as usize / 100;
    let first = share.max(1).min(total);
    let cut = |from: usize, to: usize| {
        let starts = (from..to).step_by(plan.size());
        starts.map(move |start| {
            let end = to.min(start + plan.size());
            Stage { users: start..end, watched: end == to }
        })
    };
    cut(0, first).chain(cut(first, total)).collect()
}
