//! What was learnt of how far to trust what: maps from a small number to the probability that a bit is 1.

use crate::logistic::{Logistic, ONE};

/// Reciprocals of counts, of 2^16 parts.
fn rate(count: u32) -> i64 {
    65_536 * 2 / i64::from(2 * count + 3)
}

/// Adaptive probabilities. Each moves towards the bits that come, the more slowly the more have come.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    /// A probability of 2^22 parts, and a count in the low ten bits.
    entries: Vec<u32>,
    limit: u32,
}

impl Map {
    /// Starts from what `guess` says of each number, of [`ONE`] parts.
    pub(crate) fn new(length: usize, limit: u32, guess: impl Fn(usize) -> i32) -> Self {
        let entry = |at| (guess(at).clamp(1, ONE - 1).unsigned_abs() << 6) << 10;
        Self { entries: (0..length).map(entry).collect(), limit }
    }

    pub(crate) fn p(&self, at: usize) -> i32 {
        (self.entries[at] >> 16) as i32
    }

    pub(crate) fn learn(&mut self, at: usize, bit: u32) {
        let entry = self.entries[at];
        let (p, count) = (entry >> 10, entry & 1023);
        let target = if bit == 0 { 0 } else { (1_i64 << 22) - 1 };
        let moved = i64::from(p) + (((target - i64::from(p)) * rate(count)) >> 16);
        let count = if count < self.limit { count + 1 } else { count };
        self.entries[at] = (moved.clamp(64, (1 << 22) - 65) as u32) << 10 | count;
    }
}

/// Steps between which [`Refinement`] interpolates.
const STEPS: usize = 33;

/// How fast a [`Refinement`] learns: by a 64th of what it was wrong.
const SPEED: u32 = 6;

/// Corrects a probability by what came of such ones before in the same context.
#[derive(Debug, Clone)]
pub(crate) struct Refinement {
    entries: Vec<u16>,
}

/// Where a probability lies in a [`Refinement`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    low: usize,
    weight: i32,
}

impl Refinement {
    pub(crate) fn new(contexts: usize, logistic: &Logistic) -> Self {
        let row = (0..STEPS as i32).map(|step| logistic.squash((step - 16) * 144) as u16);
        let row: Vec<u16> = row.collect();
        Self { entries: row.iter().copied().cycle().take(contexts * STEPS).collect() }
    }

    /// The corrected probability, of [`ONE`] parts.
    pub(crate) fn refine(&self, context: usize, logit: i32) -> (i32, Place) {
        let position = logit.clamp(-16 * 144, 16 * 144 - 1) + 16 * 144;
        let (step, weight) = (position / 144, position % 144);
        let low = context * STEPS + step as usize;
        let (a, b) = (i32::from(self.entries[low]), i32::from(self.entries[low + 1]));
        ((a * (144 - weight) + b * weight) / 144, Place { low, weight })
    }

    pub(crate) fn learn(&mut self, place: Place, bit: u32) {
        let target = if bit == 0 { 0 } else { ONE - 1 };
        let near = if place.weight >= 72 { place.low + 1 } else { place.low };
        let p = i32::from(self.entries[near]);
        self.entries[near] = (p + ((target - p) >> SPEED)).clamp(1, ONE - 1) as u16;
    }
}
