//! Weighs predictions against each other, and learns from each bit whom to trust. Most of the time goes into this:
//! compiled for WebAssembly, four weights are looked at in one step.

use crate::logistic::{LOGIT_MAX, Logistic, ONE};

/// Some sets of weights for the same inputs: which are in use depends on the context.
#[derive(Debug, Clone)]
pub(crate) struct Mixer {
    weights: Vec<i32>,
    inputs: usize,
    /// How fast it learns: at first, and in the end.
    rate: i32,
    least: i32,
    /// Bits learnt by each set.
    counts: Vec<u16>,
}

/// One weight, of 2^16 parts.
const WEIGHT_MAX: i32 = 8 << 16;

impl Mixer {
    /// `sets` sets of `inputs` weights, each at first `weight`.
    pub(crate) fn new(sets: usize, inputs: usize, weight: i32, rate: i32, least: i32) -> Self {
        Self { weights: vec![weight; sets * inputs], inputs, rate, least, counts: vec![0; sets] }
    }

    /// The logit that a set makes of the inputs.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    pub(crate) fn mix(&self, set: usize, inputs: &[i32]) -> i32 {
        let weights = &self.weights[set * self.inputs..][..self.inputs];
        let sum: i32 = weights.iter().zip(inputs).map(|(weight, input)| (weight * input) >> 8).sum();
        (sum >> 8).clamp(-LOGIT_MAX, LOGIT_MAX)
    }

    /// Moves a set's weights towards what would have said `bit`, after it said `logit`.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    pub(crate) fn learn(&mut self, set: usize, inputs: &[i32], logit: i32, bit: u32, logistic: &Logistic) {
        let target = if bit == 0 { 0 } else { ONE - 1 };
        let count = &mut self.counts[set];
        let rate = self.least + (self.rate - self.least) * 256 / (256 + i32::from(*count));
        *count = count.saturating_add(1);
        let error = ((target - logistic.squash(logit)) * rate) >> 8;
        let weights = &mut self.weights[set * self.inputs..][..self.inputs];
        for (weight, input) in weights.iter_mut().zip(inputs) {
            *weight = (*weight + ((input * error + (1 << 13)) >> 14)).clamp(-WEIGHT_MAX, WEIGHT_MAX);
        }
    }
}
