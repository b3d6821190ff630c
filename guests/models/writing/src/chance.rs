//! Chance that a seed decides.

/// A source of chance: SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One of `weights`, each as probable as it weighs; 0 if all weigh nothing.
    pub(crate) fn choose(&mut self, weights: &[u64]) -> usize {
        let sum: u64 = weights.iter().sum();
        let mut at = ((u128::from(self.next()) * u128::from(sum)) >> 64) as u64;
        let chosen = weights.iter().position(|&weight| {
            let found = at < weight;
            at = at.saturating_sub(weight);
            found
        });
        chosen.unwrap_or(0)
    }
}
