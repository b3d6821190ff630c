//! Sets of places.

const WORD: usize = u64::BITS as usize;

/// A set of numbers below a bound that is fixed when it is made.
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set of numbers below `len`.
    pub(super) fn new(len: usize) -> Bits {
        Bits(vec![0; len.div_ceil(WORD)])
    }

    /// Whether `place` is in the set; false also for what is beyond the bound.
    pub(super) fn has(&self, place: usize) -> bool {
        self.0.get(place / WORD).is_some_and(|word| word >> (place % WORD) & 1 == 1)
    }

    pub(super) fn set(&mut self, place: usize) {
        self.0[place / WORD] |= 1 << (place % WORD);
    }

    pub(super) fn clear(&mut self, place: usize) {
        self.0[place / WORD] &= !(1 << (place % WORD));
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Appends the words from the one that holds `first` to the last that is not 0.
    pub(super) fn append_from(&self, first: usize, words: &mut Vec<u64>) {
        let end = self.0.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        words.extend(self.0.get(first / WORD..end).unwrap_or_default());
    }
}
