//! The predictor: many contexts each say what they expect, mixers weigh them by how right they were, and each bit
//! teaches all of them. It is of the family of PAQ.

use crate::contexts::{CONTEXTS, KINDS, ORDERS, PAIRS};
use crate::cursor::{Cursor, MATCHES};
use crate::history::{Histories, State};
use crate::logistic::{Logistic, ONE};
use crate::maps::{Map, Place, Refinement};
use crate::matching::{LENGTH_MAX, MISSED_MAX, Places};
use crate::mixer::Mixer;
use crate::table::{NONE, Table};

/// What the mixers are told: two figures of each context and each match, one of each pair, one of all bytes, and a
/// constant.
const INPUTS: usize = 2 * CONTEXTS + 2 * MATCHES + PAIRS.len() + 2;

/// Sets of weights of each mixer of the first layer.
const SETS: [usize; 6] = [256 * 3, 256 * (ORDERS + 1), 16 * 8 * 4, KINDS * KINDS * KINDS, 7 * 256, 8 * 256];

/// Contexts of the last correction: two bytes and what there is of the third, hashed.
const HASHED: u32 = 14;

/// What was learnt.
#[derive(Debug, Clone)]
pub(crate) struct Knowledge {
    pub(crate) logistic: Logistic,
    pub(crate) histories: Histories,
    pub(crate) table: Table,
    pub(crate) skill: Skill,
}

/// What was learnt of how to predict, beside what was seen.
#[derive(Debug, Clone)]
pub(crate) struct Skill {
    /// How often a 1 follows what there is of a byte.
    bytes: Map,
    /// What to make of a history, for each context: how often a 1 follows it, where the byte that came last in this
    /// context says nothing, 0, or 1.
    maps: Vec<Map>,
    pairs: Vec<Map>,
    pub(crate) places: [Places; MATCHES],
    matched: Vec<Map>,
    mixers: Vec<Mixer>,
    last: Mixer,
    refinements: [Refinement; 3],
}

/// What a prediction was made of, to be learnt from.
#[derive(Debug, Clone)]
pub(crate) struct Thought {
    inputs: [i32; INPUTS],
    /// Where in the map of each context one is; 0: it never came.
    maps: [usize; CONTEXTS],
    /// Whether the contexts of a pair came.
    pairs: [usize; PAIRS.len()],
    /// Where in the map of each match one is, doubled, plus the bit that is expected; 0: none is.
    matched: [usize; MATCHES],
    sets: [usize; SETS.len()],
    logits: [i32; SETS.len()],
    logit: i32,
    places: [Place; 3],
}

impl Thought {
    pub(crate) fn new() -> Self {
        Self {
            inputs: [0; INPUTS],
            maps: [0; CONTEXTS],
            pairs: [0; PAIRS.len()],
            matched: [0; MATCHES],
            sets: [0; SETS.len()],
            logits: [0; SETS.len()],
            logit: 0,
            places: [Place::default(); 3],
        }
    }
}

/// What one would guess of a bit after so many zeros and ones.
fn guess(zeros: i32, ones: i32) -> i32 {
    (2 * ones + 1) * ONE / (2 * zeros + 2 * ones + 2)
}

impl Skill {
    /// That of one who has read nothing.
    fn new(logistic: &Logistic, histories: &Histories) -> Self {
        let counts = |state: usize| histories.counts(state.min(histories.len() - 1) as State).map(i32::from);
        let map = Map::new(histories.len() * 3, 255, |at| {
            let [zeros, ones] = counts(at / 3);
            guess(zeros, ones)
        });
        let pair = Map::new(1 << 16, 255, |at| {
            let ([zeros, ones], [more_zeros, more_ones]) = (counts(at & 255), counts(at >> 8));
            guess(2 * zeros + more_zeros, 2 * ones + more_ones)
        });
        let matched = Map::new(64 * (MISSED_MAX as usize + 1), 1023, |at| ONE - ONE / ((at as i32 & 63) + 4));
        Self {
            bytes: Map::new(256, 1023, |_| ONE / 2),
            maps: vec![map; CONTEXTS],
            pairs: vec![pair; PAIRS.len()],
            places: [Places::new(17, 6), Places::new(17, 12)],
            matched: vec![matched; MATCHES],
            mixers: SETS.iter().map(|&sets| Mixer::new(sets, INPUTS, 5500, 100, 14)).collect(),
            last: Mixer::new(256, SETS.len(), 65_536 / SETS.len() as i32, 20, 4),
            refinements: [256, 1 << 16, 1 << HASHED].map(|contexts| Refinement::new(contexts, logistic)),
        }
    }
}

impl Knowledge {
    /// That of one who has read nothing, with room for 2^`bits` slots.
    pub(crate) fn new(bits: u32) -> Self {
        let (logistic, histories) = (Logistic::new(), Histories::new());
        let skill = Skill::new(&logistic, &histories);
        Self { table: Table::new(bits), skill, histories, logistic }
    }

    /// Becomes that of one who has read nothing.
    pub(crate) fn forget(&mut self) {
        self.table.clear();
        self.skill = Skill::new(&self.logistic, &self.histories);
    }

    /// How probable it is, of [`ONE`] parts, that the next bit is 1. `text`: what was learnt.
    pub(crate) fn predict(&self, cursor: &Cursor, text: &[u8], thought: &mut Thought) -> i32 {
        let known = self.ask_contexts(cursor, thought);
        let (longest, expected) = self.ask_matches(cursor, text, thought);
        let past = &cursor.past;
        let (partial, bits) = (cursor.partial as usize, cursor.bits as usize);
        let last = (past.recent & 0xff) as usize;
        let length = match longest {
            0 => 0,
            1..8 => 1,
            8..12 => 2,
            12..16 => 3,
            16..24 => 4,
            24..32 => 5,
            _ => 6,
        };
        thought.sets = [
            partial * 3 + expected,
            known * 256 + partial,
            (past.letters.min(15) as usize * 8 + bits) * 4 + past.kind(0).min(3),
            (past.kind(0) * KINDS + past.kind(1)) * KINDS + past.kind(2),
            length * 256 + last,
            bits * 256 + last,
        ];
        for (at, mixer) in self.skill.mixers.iter().enumerate() {
            thought.logits[at] = mixer.mix(thought.sets[at], &thought.inputs);
        }
        let logit = self.skill.last.mix(partial, &thought.logits);
        thought.logit = logit;
        let two = ((past.recent & 0xffff) as u32) << 8 | cursor.partial;
        let two = (two.wrapping_mul(0x9E37_79B1) >> (32 - HASHED)) as usize;
        let mut refined = [0; 3];
        for (at, context) in [partial, last << 8 | partial, two].into_iter().enumerate() {
            (refined[at], thought.places[at]) = self.skill.refinements[at].refine(context, logit);
        }
        let p = 2 * self.logistic.squash(logit) + refined[0] + 2 * refined[1] + 3 * refined[2];
        (p / 8).clamp(1, ONE - 1)
    }

    /// What the contexts say; returns how many of the orders came before.
    fn ask_contexts(&self, cursor: &Cursor, thought: &mut Thought) -> usize {
        let (node, done) = cursor.node();
        let (mut known, mut states) = (0, [0; CONTEXTS]);
        for (at, seen) in states.iter_mut().enumerate() {
            let (state, expected) = match cursor.slots[at] {
                NONE => cursor.seen_once(at, &self.histories),
                slot => {
                    let slot = self.table.get(slot);
                    let last = u32::from(slot[0]);
                    let agrees = last >> (4 - done) == node as u32;
                    (slot[node], if agrees { 1 + (last >> (3 - done) & 1) } else { 0 })
                }
            };
            let (mut first, mut second, mut place) = (0, 0, 0);
            if state != 0 {
                place = usize::from(state) * 3 + expected as usize;
                first = self.logistic.stretch(self.skill.maps[at].p(place));
                let [zeros, ones] = self.histories.counts(state);
                // Where only one bit was ever seen: how much that means is learnt apart.
                second = if zeros == 0 || ones == 0 { first } else { 0 };
                if at < ORDERS {
                    known = at + 1;
                }
            }
            *seen = usize::from(state);
            thought.maps[at] = place;
            thought.inputs[2 * at] = first;
            thought.inputs[2 * at + 1] = second;
        }
        let base = 2 * (CONTEXTS + MATCHES);
        thought.inputs[base] = self.logistic.stretch(self.skill.bytes.p(cursor.partial as usize));
        thought.inputs[base + 1] = 256;
        for (at, (one, other)) in PAIRS.into_iter().enumerate() {
            let place = states[one] << 8 | states[other];
            thought.pairs[at] = place;
            thought.inputs[base + 2 + at] = self.logistic.stretch(self.skill.pairs[at].p(place));
        }
        known
    }

    /// What the matches say; returns the length of the longest, and the bit that it expects, plus 1.
    fn ask_matches(&self, cursor: &Cursor, text: &[u8], thought: &mut Thought) -> (u32, usize) {
        let (mut longest, mut expected) = (0, 0);
        for (at, found) in cursor.matches.iter().enumerate() {
            let (mut first, mut second, mut doubled) = (0, 0, 0);
            let byte = text.get(found.at as usize).map_or(0, |&byte| u32::from(byte) | 256);
            if found.at > 0 && byte >> (8 - cursor.bits) == cursor.partial {
                let bit = byte >> (7 - cursor.bits) & 1;
                let length = found.length.min(LENGTH_MAX);
                let place = (1 + length + 64 * found.missed) as usize;
                let p = self.skill.matched[at].p(place);
                let sign = if bit == 1 { 1 } else { -1 };
                first = self.logistic.stretch(p) * sign;
                second = ((p - ONE / 2) >> 5) * sign;
                doubled = place * 2 + bit as usize;
                if length >= longest {
                    (longest, expected) = (length, 1 + bit as usize);
                }
            }
            thought.matched[at] = doubled;
            thought.inputs[2 * (CONTEXTS + at)] = first;
            thought.inputs[2 * (CONTEXTS + at) + 1] = second;
        }
        (longest, expected)
    }

    /// Learns from the bit that came after a thought.
    pub(crate) fn learn(&mut self, cursor: &Cursor, thought: &Thought, bit: u32) {
        let (node, _) = cursor.node();
        let skill = &mut self.skill;
        for at in 0..CONTEXTS {
            if thought.maps[at] != 0 {
                skill.maps[at].learn(thought.maps[at], bit);
            }
            if cursor.slots[at] != NONE {
                let slot = self.table.change(cursor.slots[at]);
                slot[node] = self.histories.next(slot[node], bit);
            }
        }
        for (pair, &place) in skill.pairs.iter_mut().zip(&thought.pairs) {
            pair.learn(place, bit);
        }
        for (map, &doubled) in skill.matched.iter_mut().zip(&thought.matched) {
            if doubled != 0 {
                map.learn(doubled / 2, u32::from(doubled & 1 == bit as usize));
            }
        }
        skill.bytes.learn(cursor.partial as usize, bit);
        let logistic = &self.logistic;
        for (at, mixer) in skill.mixers.iter_mut().enumerate() {
            mixer.learn(thought.sets[at], &thought.inputs, thought.logits[at], bit, logistic);
        }
        skill.last.learn(cursor.partial as usize, &thought.logits, thought.logit, bit, logistic);
        for (refinement, place) in skill.refinements.iter_mut().zip(thought.places) {
            refinement.learn(place, bit);
        }
    }
}
