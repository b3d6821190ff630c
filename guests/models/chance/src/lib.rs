//! The only source of chance of models and of Souls that draw: numbers from a seed, the same on every machine.

use serde::{Deserialize, Serialize};

/// The generator xoshiro256++ of David Blackman and Sebastiano Vigna, its state filled by their
/// SplitMix64 from a seed of 64 bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chance {
    state: [u64; 4],
}

impl Chance {
    /// The generator of a seed: the same seed, the same numbers, on every machine.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut at = seed;
        let state = std::array::from_fn(|_| {
            at = at.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = at;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        });
        Self { state }
    }

    /// The next 64 bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let drawn = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        drawn
    }

    /// A number below `bound`, each as likely as the others; 0 where the bound is 0. The method is
    /// Lemire's: the upper half of a product, drawn again in the few cases that would be biased.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        let mut product = self.upper_half() * u64::from(bound);
        let mut low = product & u64::from(u32::MAX);
        if low < u64::from(bound) {
            let biased = u64::from(bound.wrapping_neg() % bound.max(1));
            while low < biased {
                product = self.upper_half() * u64::from(bound);
                low = product & u64::from(u32::MAX);
            }
        }
        (product >> 32) as u32
    }

    /// A number from 0 up to, and without, 1: a multiple of 2⁻⁵³.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    fn upper_half(&mut self) -> u64 {
        self.next_u64() >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_what_the_reference_draws() {
        let mut chance = Chance { state: [1, 2, 3, 4] };
        let drawn: Vec<u64> = (0..4).map(|_| chance.next_u64()).collect();
        assert_eq!(drawn, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
        assert_eq!(Chance::new(0).state[0], 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn stays_below_the_bound_and_reaches_all() {
        let mut chance = Chance::new(7);
        let mut seen = [0_u32; 5];
        for _ in 0..5000 {
            seen[chance.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (850..1150).contains(count)), "{seen:?}");
        assert_eq!(chance.below(1), 0);
        assert_eq!(chance.below(0), 0);
        assert!((0..1000).map(|_| chance.unit()).all(|unit| (0.0..1.0).contains(&unit)));
    }
}
