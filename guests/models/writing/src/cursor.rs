//! Where one is in a text, and what is known of it: all that changes as one reads without learning.

use crate::contexts::{CONTEXTS, Past, second};
use crate::history::{Histories, State};
use crate::matching::Match;
use crate::predictor::Knowledge;
use crate::table::{Found, NONE};

/// How many earlier places in the text are followed at a time.
pub(crate) const MATCHES: usize = 2;

/// How many of the last bytes are kept at least.
const TAIL: usize = 48;

/// Where one is.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    pub(crate) past: Past,
    hashes: [u64; CONTEXTS],
    /// Of each context; [`NONE`] where it has none.
    pub(crate) slots: [u32; CONTEXTS],
    /// Where a context came once and is not learnt from: 256, plus the byte that followed.
    once: [u32; CONTEXTS],
    pub(crate) matches: [Match; MATCHES],
    /// The last bytes.
    tail: Vec<u8>,
    /// A one, and behind it the bits of the byte so far.
    pub(crate) partial: u32,
    /// How many these are.
    pub(crate) bits: u32,
}

impl Cursor {
    /// Before the first byte.
    pub(crate) fn new() -> Self {
        let past = Past::new();
        Self {
            hashes: past.hashes(),
            past,
            slots: [NONE; CONTEXTS],
            once: [0; CONTEXTS],
            matches: [Match::default(); MATCHES],
            tail: Vec::new(),
            partial: 1,
            bits: 0,
        }
    }

    /// The place in a slot, and how many bits of the nibble are known.
    pub(crate) fn node(&self) -> (usize, u32) {
        let done = self.bits & 3;
        ((1 << done | self.partial & ((1 << done) - 1)) as usize, done)
    }

    /// The history of a context that came once, as a slot would have it, and the bit that is expected, plus 1.
    pub(crate) fn seen_once(&self, context: usize, histories: &Histories) -> (State, u32) {
        let byte = self.once[context];
        if byte == 0 || byte >> (8 - self.bits) != self.partial {
            return (0, 0);
        }
        let bit = byte >> (7 - self.bits) & 1;
        (histories.next(0, bit), 1 + bit)
    }

    /// Whether a bit came in a context before.
    pub(crate) fn came(&self, context: usize, bit: u32, knowledge: &Knowledge) -> bool {
        let (node, _) = self.node();
        let state = match self.slots[context] {
            NONE => self.seen_once(context, &knowledge.histories).0,
            slot => knowledge.table.get(slot)[node],
        };
        knowledge.histories.counts(state)[bit as usize] > 0
    }

    /// Goes on by one bit, and remembers what it saw: `text` grows.
    pub(crate) fn learn(&mut self, bit: u32, knowledge: &mut Knowledge, text: &mut Vec<u8>) {
        let Knowledge { table, histories, skill, .. } = knowledge;
        self.partial = self.partial << 1 | bit;
        self.bits += 1;
        if self.bits & 3 == 0 {
            for slot in self.slots.into_iter().filter(|&slot| slot != NONE) {
                table.change(slot)[0] = (self.partial & 15) as u8 | 16;
            }
        }
        if self.bits == 4 {
            for at in 0..CONTEXTS {
                if self.slots[at] != NONE {
                    self.slots[at] = table.make(second(self.hashes[at], self.partial), histories);
                }
            }
        }
        if self.bits == 8 {
            let byte = self.partial as u8;
            for at in 0..CONTEXTS {
                if self.slots[at] == NONE {
                    table.came(self.hashes[at], byte);
                }
            }
            text.push(byte);
            self.push(byte);
            for (places, found) in skill.places.iter_mut().zip(&mut self.matches) {
                *found = places.follow(*found, byte, text, &self.tail);
                places.remember(&self.tail, text.len());
            }
            for at in 0..CONTEXTS {
                self.slots[at] = table.enter(self.hashes[at], histories);
            }
        }
    }

    /// Goes on by one bit, and changes nothing but itself.
    pub(crate) fn read(&mut self, bit: u32, knowledge: &Knowledge, text: &[u8]) {
        self.partial = self.partial << 1 | bit;
        self.bits += 1;
        if self.bits == 4 {
            for at in 0..CONTEXTS {
                if self.slots[at] != NONE {
                    let slot = knowledge.table.slot(second(self.hashes[at], self.partial));
                    self.slots[at] = slot.unwrap_or(NONE);
                }
            }
        }
        if self.bits == 8 {
            let byte = self.partial as u8;
            self.push(byte);
            for (places, found) in knowledge.skill.places.iter().zip(&mut self.matches) {
                *found = places.follow(*found, byte, text, &self.tail);
            }
            for at in 0..CONTEXTS {
                (self.slots[at], self.once[at]) = match knowledge.table.find(self.hashes[at]) {
                    Found::Slot(slot) => (slot, 0),
                    Found::Once(byte) => (NONE, byte),
                    Found::Never => (NONE, 0),
                };
            }
        }
    }

    /// What reading and learning have in common at the end of a byte.
    fn push(&mut self, byte: u8) {
        self.tail.push(byte);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..TAIL);
        }
        self.past.push(byte);
        self.hashes = self.past.hashes();
        (self.partial, self.bits, self.once) = (1, 0, [0; CONTEXTS]);
    }
}
