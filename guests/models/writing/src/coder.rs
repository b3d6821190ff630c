//! Arithmetic coding: bits of known probabilities become as few bytes as these probabilities allow.

use crate::logistic::ONE;

/// Where the code lies: within an interval that each bit narrows. Leading bytes that both ends share are out.
#[derive(Debug, Clone)]
pub(crate) struct Coder {
    low: u64,
    high: u64,
    out: Vec<u8>,
}

impl Coder {
    pub(crate) fn new() -> Self {
        Self { low: 0, high: u64::MAX, out: Vec::new() }
    }

    /// The last code of those that mean 1, if 1 has the probability `p`.
    fn middle(&self, p: i32) -> u64 {
        let parts = u64::from(p.clamp(1, ONE - 1).unsigned_abs());
        let range = self.high - self.low;
        self.low + (range >> 16) * parts + (((range & 0xffff) * parts) >> 16)
    }

    /// Codes a bit; returns how many bytes this put out.
    pub(crate) fn encode(&mut self, p: i32, bit: u32) -> usize {
        let middle = self.middle(p);
        if bit == 1 {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        let before = self.out.len();
        while (self.low ^ self.high) >> 56 == 0 {
            self.out.push((self.low >> 56) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
        self.out.len() - before
    }

    /// How long [`code`](Self::code) is.
    pub(crate) fn len(&self) -> usize {
        self.out.len() + 8
    }

    /// The whole code of what was coded up to now.
    pub(crate) fn code(&self) -> impl Iterator<Item = u8> + '_ {
        self.out.iter().copied().chain(self.low.to_be_bytes())
    }
}

/// Reads what a [`Coder`] has coded, beside a coder that codes the same again.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    value: u64,
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(code: &'a [u8]) -> Self {
        let mut decoder = Self { value: 0, rest: code };
        decoder.shift(8);
        decoder
    }

    /// The bit that the coder is to code next. Any code is read as some bits.
    pub(crate) fn bit(&self, coder: &Coder, p: i32) -> u32 {
        u32::from(self.value <= coder.middle(p))
    }

    /// Goes on by as many bytes as the coder did.
    pub(crate) fn shift(&mut self, bytes: usize) {
        for _ in 0..bytes {
            let (byte, rest) = self.rest.split_first().map_or((0, self.rest), |(byte, rest)| (*byte, rest));
            (self.value, self.rest) = (self.value << 8 | u64::from(byte), rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_coded_is_read() {
        let bits = |n: u32| u32::from(n.wrapping_mul(0x9E37_79B1) >> 28 < 3);
        let p = |n: u32| 1 + (n.wrapping_mul(0x85EB_CA6B) >> 16) as i32 % 65_535;
        let mut coder = Coder::new();
        for n in 0..20_000 {
            coder.encode(p(n), bits(n));
        }
        let code: Vec<u8> = coder.code().collect();
        assert_eq!(code.len(), coder.len());
        let (mut decoder, mut again) = (Decoder::new(&code), Coder::new());
        for n in 0..20_000 {
            let bit = decoder.bit(&again, p(n));
            assert_eq!(bit, bits(n), "{n}");
            decoder.shift(again.encode(p(n), bit));
        }
        assert!(again.code().eq(code));
    }
}
