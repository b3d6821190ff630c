//! Chains of operations of unknown outcome that make an answered one possible.

use super::Config;
use super::problem::{Effect, Need, Problem, Slot, Step};

/// Looks for chains at one configuration.
pub(super) struct Chains<'a> {
    problem: &'a Problem,
    config: &'a Config,
    /// What is called later than this cannot come yet.
    answer: u64,
    steps: u64,
    steps_max: u64,
    found: Vec<Vec<usize>>,
    /// The chain being built, from its end.
    chain: Vec<usize>,
}

impl<'a> Chains<'a> {
    /// For the moves before `answer`, the first answer without a place, in at most about `steps_max` steps.
    pub(super) fn new(problem: &'a Problem, config: &'a Config, answer: u64, steps_max: u64) -> Chains<'a> {
        Chains { problem, config, answer, steps: 0, steps_max, found: Vec::new(), chain: Vec::new() }
    }

    /// The chains after which `step`, which cannot come now, can.
    pub(super) fn before(&mut self, step: &Step) -> Vec<Vec<usize>> {
        self.extend(step, step.effect == Effect::Keep);
        std::mem::take(&mut self.found)
    }

    /// Steps taken.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Puts before `step`, whose need is not met, each operation that meets it; `stays` says that `step` leaves
    /// the value where it is, so that others who need it may follow.
    fn extend(&mut self, step: &Step, stays: bool) {
        self.steps += 1;
        if self.steps > self.steps_max {
            return;
        }
        let mut candidates = Vec::new();
        match step.need {
            Need::Any | Need::Never => {}
            Need::Value(slot) => candidates.extend(self.problem.writer[slot]),
            Need::Absent => candidates = self.deleters(),
            Need::Present => candidates = self.makers(),
            Need::Unrevealed => candidates = (0..self.problem.optional.len()).collect(),
        }
        let last = self.chain.is_empty();
        for place in candidates {
            let before = &self.problem.optional[place];
            if !self.usable(place) || !self.provides(before, step, last, stays) {
                continue;
            }
            self.chain.push(place);
            if self.problem.meets(self.config.value, before.need) {
                self.found.push(self.chain.iter().rev().copied().collect());
            } else {
                self.extend(before, false);
            }
            self.chain.pop();
        }
    }

    /// Whether `step` can follow `before`, and nobody is left who needs what it then overwrites. Only the answered
    /// operation at the end of the chain, the `last`, may be among those who need it.
    fn provides(&self, before: &Step, step: &Step, last: bool, stays: bool) -> bool {
        let value = before.effect.on(None);
        let left = value.map_or(0, |slot| self.config.pending[slot]);
        let own = u32::from(last && value.is_some_and(|slot| step.need == Need::Value(slot)));
        self.problem.meets(value, step.need) && (stays || left == own)
    }

    fn usable(&self, place: usize) -> bool {
        self.problem.optional[place].invoked <= self.answer
            && !self.config.used.has(place)
            && !self.chain.contains(&place)
    }

    /// What can delete the value that the key holds now.
    fn deleters(&self) -> Vec<usize> {
        let mut deleters = Vec::new();
        let mut deletes = false;
        for (place, step) in
            self.problem.optional.iter().enumerate().filter(|(_, step)| step.effect == Effect::Clear)
        {
            if !self.usable(place) {
                continue;
            }
            match step.need {
                // It can delete this value only, which never comes back: whatever else could do it is better kept.
                Need::Value(slot) if self.config.value == Some(slot) => return vec![place],
                // Deletes differ only in when they were called: what the first can do, no other needs to.
                Need::Present if deletes => {}
                Need::Present => {
                    deletes = true;
                    deleters.push(place);
                }
                _ => deleters.push(place),
            }
        }
        deleters
    }

    /// What can make a key that is absent now hold a value, no matter which.
    fn makers(&self) -> Vec<usize> {
        let mut makers = Vec::new();
        for (place, step) in self.problem.optional.iter().enumerate() {
            let Effect::Put(slot) = step.effect else { continue };
            if !matches!(step.need, Need::Any | Need::Absent) || !self.usable(place) {
                continue;
            }
            // A value that nobody needs serves for nothing else: whatever has another use is better kept.
            if self.is_idle(slot) {
                return vec![place];
            }
            makers.push(place);
        }
        makers
    }

    fn is_idle(&self, slot: Slot) -> bool {
        self.problem.needed[slot] == 0 && !self.problem.expected[slot] && !self.problem.unrevealed
    }
}
