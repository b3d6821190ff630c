//! Probabilities and their logits, in integers: the same on every machine.
//!
//! A probability is that the next bit is 1, of [`ONE`] parts, and never 0 or 1 itself. A logit is `ln(p / (1 - p))`
//! in 256ths.

/// Certainty, which no probability reaches.
pub(crate) const ONE: i32 = 1 << 16;

/// The largest logit that [`Logistic::squash`] tells from others: 11.
pub(crate) const LOGIT_MAX: i32 = 11 * 256 - 1;

/// `exp(-1/256)`, of 2^60 parts.
const STEP: u128 = 1_148_426_689_630_428_644;

/// The tables of both functions.
#[derive(Debug, Clone)]
pub(crate) struct Logistic {
    squash: Vec<u16>,
    stretch: Vec<i16>,
}

impl Logistic {
    pub(crate) fn new() -> Self {
        let mut decay = 1_u128 << 60;
        let mut upper = Vec::new();
        for _ in 0..=LOGIT_MAX {
            upper.push((1_u128 << 76) / ((1 << 60) + decay));
            decay = (decay * STEP) >> 60;
        }
        let upper: Vec<u16> = upper.into_iter().map(|p| u16::try_from(p).unwrap_or(u16::MAX)).collect();
        let lower = upper.iter().skip(1).rev().map(|p| (u16::MAX - p).saturating_add(1).max(1));
        let squash: Vec<u16> = lower.chain(upper.iter().copied()).collect();
        let mut logit = 0;
        let stretch = (0..4096_u32)
            .map(|p| {
                while logit + 1 < squash.len() && u32::from(squash[logit]) < p * 16 + 8 {
                    logit += 1;
                }
                i16::try_from(logit).unwrap_or(i16::MAX) - i16::try_from(LOGIT_MAX).unwrap_or_default()
            })
            .collect();
        Self { squash, stretch }
    }

    /// The probability of a logit.
    pub(crate) fn squash(&self, logit: i32) -> i32 {
        let place = logit.clamp(-LOGIT_MAX, LOGIT_MAX) + LOGIT_MAX;
        i32::from(self.squash[place as usize])
    }

    /// The logit of a probability.
    pub(crate) fn stretch(&self, p: i32) -> i32 {
        i32::from(self.stretch[(p >> 4) as usize & 4095])
    }
}

/// What it costs to be told that something of probability `p` is so: 2^-16 bits.
pub(crate) fn cost(p: i32) -> u64 {
    let p = u64::from(p.clamp(1, ONE - 1).unsigned_abs());
    let mut whole = 15 - u64::from(p.ilog2());
    // The mantissa in [1, 2), of 2^31 parts; squared again and again it gives the bits of its logarithm.
    let mut mantissa = p << (16 + whole);
    let mut log = 0_u64;
    for _ in 0..16 {
        mantissa = (mantissa * mantissa) >> 31;
        log <<= 1;
        if mantissa >> 32 != 0 {
            mantissa >>= 1;
            log |= 1;
        }
    }
    whole += 1;
    (whole << 16) - log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_each_others_inverse() {
        let logistic = Logistic::new();
        assert_eq!(logistic.squash(0), ONE / 2);
        for logit in -2000..=2000 {
            let p = logistic.squash(logit);
            assert!((logistic.squash(-logit) - (ONE - p)).abs() <= 1, "{logit}");
            assert!((logistic.stretch(p) - logit).abs() <= 2 + 4096 / p.min(ONE - p), "{logit} {p}");
        }
        assert!(logistic.squash(i32::MIN / 2) >= 1 && logistic.squash(i32::MAX / 2) < ONE);
    }

    #[test]
    fn costs_are_logarithms() {
        assert_eq!(cost(ONE / 2), 1 << 16);
        assert_eq!(cost(ONE / 8), 3 << 16);
        for p in [1, 7, 300, 4097, 50_000, 65_535] {
            let exact = -(f64::from(p) / 65_536.0).log2();
            assert!((cost(p) as f64 / 65_536.0 - exact).abs() < 1e-4, "{p}");
        }
    }
}
