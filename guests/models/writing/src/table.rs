//! What was seen in which context: the memory of the predictor, a hash table that forgets what was seen least.
//!
//! Most contexts of a text come once. Of these only the byte that followed is kept, in four bytes; a context that comes
//! again gets slots with histories, in which the first time is entered as if they had been there.

use crate::contexts::second;
use crate::history::{Histories, State};

/// The slot of a context that has none.
pub(crate) const NONE: u32 = 0;

/// Places in which a hash may lie.
const WAYS: usize = 4;

/// How many slots are put aside in one piece.
const PIECE: usize = 4_096;

/// Fifteen histories, one for each beginning of a nibble (1, 10, 11, 100, …), and, in place 0, the nibble that came
/// last, plus 16.
pub(crate) type Slot = [State; 16];

/// Slots, and contexts that were seen once.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    checks: Vec<u16>,
    slots: Vec<Slot>,
    /// A check in the upper 24 bits, and the byte that followed.
    seeds: Vec<u32>,
    undo: Option<Undo>,
}

/// What was there before it was changed.
#[derive(Debug, Clone)]
struct Undo {
    /// In pieces of [`PIECE`], as a list that grows is for a moment there twice.
    slots: Vec<Vec<(u32, u16, Slot)>>,
    /// One bit a slot: it is kept already.
    kept: Vec<u64>,
    seeds: Vec<(u32, u32)>,
}

/// What is known of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It came more than once: its slot.
    Slot(u32),
    /// It came once: 256, plus the byte that followed.
    Once(u32),
    /// It never came.
    Never,
}

impl Table {
    /// Room for 2^`bits` slots of 18 bytes, and for twice as many contexts of 4 bytes.
    pub(crate) fn new(bits: u32) -> Self {
        let length = 1_usize << bits;
        Self { checks: vec![0; length], slots: vec![[0; 16]; length], seeds: vec![0; 2 * length], undo: None }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.checks.fill(0);
        self.slots.fill([0; 16]);
        self.seeds.fill(0);
        self.undo = None;
    }

    /// Where a hash may lie among the slots, and what shows that it does.
    fn place(&self, hash: u64) -> (usize, u16) {
        let bucket = (hash >> (64 - self.slots.len().ilog2())) as usize & !(WAYS - 1);
        (bucket, (hash as u16).max(1))
    }

    /// The same among the contexts that came once.
    fn seed_place(&self, hash: u64) -> (usize, u32) {
        let bucket = (hash >> (64 - self.seeds.len().ilog2())) as usize & !(WAYS - 1);
        (bucket, ((hash as u32) >> 8).max(1))
    }

    fn seed(&self, hash: u64) -> Option<usize> {
        let (bucket, check) = self.seed_place(hash);
        (bucket..bucket + WAYS).find(|&at| self.seeds[at] >> 8 == check)
    }

    /// The slot with this hash.
    pub(crate) fn slot(&self, hash: u64) -> Option<u32> {
        let (bucket, check) = self.place(hash);
        (bucket..bucket + WAYS).find(|&at| self.checks[at] == check).map(|at| at as u32)
    }

    /// What is known of a context.
    pub(crate) fn find(&self, hash: u64) -> Found {
        if let Some(slot) = self.slot(hash) {
            return Found::Slot(slot);
        }
        self.seed(hash).map_or(Found::Never, |at| Found::Once(256 | self.seeds[at] & 255))
    }

    /// The slot of a context that comes now: it is made when the context comes for the second time, and [`NONE`] if
    /// this is the first, of which [`came`](Self::came) is to be told.
    pub(crate) fn enter(&mut self, hash: u64, histories: &Histories) -> u32 {
        if let Some(slot) = self.slot(hash) {
            return slot;
        }
        let Some(at) = self.seed(hash) else { return NONE };
        let byte = self.seeds[at] & 255 | 256;
        self.set_seed(at, 0);
        let low = self.make(second(hash, byte >> 4), histories);
        self.enter_nibble(low, byte & 15, histories);
        let high = self.make(hash, histories);
        self.enter_nibble(high, byte >> 4 & 15, histories);
        high
    }

    /// Remembers the first time of a context.
    pub(crate) fn came(&mut self, hash: u64, byte: u8) {
        let (bucket, check) = self.seed_place(hash);
        let free = (bucket..bucket + WAYS).find(|&at| self.seeds[at] == 0 || self.seeds[at] >> 8 == check);
        // Where there is no room, chance says what is forgotten, so that both old and young remain.
        let at = free.unwrap_or(bucket + (hash >> 32) as usize % WAYS);
        self.set_seed(at, check << 8 | u32::from(byte));
    }

    fn enter_nibble(&mut self, slot: u32, nibble: u32, histories: &Histories) {
        let slot = self.change(slot);
        for done in 0..4 {
            let node = (1 << done | nibble >> (4 - done)) as usize;
            slot[node] = histories.next(slot[node], nibble >> (3 - done));
        }
        slot[0] = nibble as u8 | 16;
    }

    /// The slot with this hash, made where there is none, in the place of the one that was seen least.
    pub(crate) fn make(&mut self, hash: u64, histories: &Histories) -> u32 {
        let (bucket, check) = self.place(hash);
        let mut least = (u32::MAX, bucket);
        for at in bucket..bucket + WAYS {
            if self.checks[at] == check {
                return at as u32;
            }
            let [zeros, ones] = histories.counts(self.slots[at][1]);
            let seen = u32::from(zeros) + u32::from(ones);
            if seen < least.0 && at as u32 != NONE {
                least = (seen, at);
            }
        }
        let (_, at) = least;
        *self.change(at as u32) = [0; 16];
        self.checks[at] = check;
        at as u32
    }

    pub(crate) fn get(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    /// The slot, to be changed.
    pub(crate) fn change(&mut self, slot: u32) -> &mut Slot {
        let at = slot as usize;
        if let Some(undo) = &mut self.undo {
            let (word, bit) = (at / 64, 1 << (at % 64));
            if undo.kept[word] & bit == 0 {
                undo.kept[word] |= bit;
                if undo.slots.last().is_none_or(|piece| piece.len() == PIECE) {
                    undo.slots.push(Vec::with_capacity(PIECE));
                }
                if let Some(piece) = undo.slots.last_mut() {
                    piece.push((slot, self.checks[at], self.slots[at]));
                }
            }
        }
        &mut self.slots[at]
    }

    fn set_seed(&mut self, at: usize, seed: u32) {
        if let Some(undo) = &mut self.undo {
            undo.seeds.push((at as u32, self.seeds[at]));
        }
        self.seeds[at] = seed;
    }

    /// From now on keeps what is changed, for [`roll_back`](Self::roll_back).
    pub(crate) fn keep(&mut self) {
        let kept = vec![0; self.slots.len().div_ceil(64)];
        self.undo = Some(Undo { slots: Vec::new(), kept, seeds: Vec::new() });
    }

    /// Makes the table again what it was at [`keep`](Self::keep).
    pub(crate) fn roll_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for (slot, check, before) in undo.slots.into_iter().flatten() {
            (self.checks[slot as usize], self.slots[slot as usize]) = (check, before);
        }
        for (at, before) in undo.seeds.into_iter().rev() {
            self.seeds[at as usize] = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_new_then_seen_once_then_has_a_slot() {
        let histories = Histories::new();
        let mut table = Table::new(8);
        assert_eq!(table.find(77), Found::Never);
        assert_eq!(table.enter(77, &histories), NONE);
        table.came(77, b'x');
        assert_eq!(table.find(77), Found::Once(256 | u32::from(b'x')));
        let slot = table.enter(77, &histories);
        assert_eq!(table.find(77), Found::Slot(slot));
        assert_eq!(table.get(slot)[0], 16 | b'x' >> 4);
        assert_eq!(table.get(slot)[1], histories.next(0, 0));
        let low = table.slot(second(77, u32::from(b'x') >> 4 | 16)).unwrap();
        assert_eq!(table.get(low)[0], 16 | b'x' & 15);
    }

    #[test]
    fn rolled_back_it_is_what_it_was() {
        let histories = Histories::new();
        let mut table = Table::new(4);
        let hash = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let enter = |table: &mut Table, from: u64, to: u64| {
            for n in from..to {
                if table.enter(hash(n % 40), &histories) == NONE {
                    table.came(hash(n % 40), n as u8);
                }
            }
        };
        enter(&mut table, 0, 100);
        let before = table.clone();
        table.keep();
        enter(&mut table, 100, 300);
        table.roll_back();
        assert_eq!(table.slots, before.slots);
        assert_eq!((table.checks, table.seeds), (before.checks, before.seeds));
    }
}
