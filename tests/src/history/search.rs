//! The search for an order of the operations on one key.
//!
//! Three facts keep it small, and lose no order:
//! - An operation that changes nothing and whose answer is right now can come now: it is taken without alternative.
//! - A value is written once. While an answered operation is left that needs the present value, nothing may
//!   overwrite it.
//! - An operation of unknown outcome is needed only right before one that needs what it does: anywhere else it can
//!   be moved later, or left out. So it is never a choice of its own, but comes in a chain that makes the next
//!   answered operation possible.

mod chains;
mod problem;
mod sets;
mod zones;

use std::collections::HashSet;

use chains::Chains;
pub(super) use problem::Problem;
use problem::{Effect, Need, Slot, Step};
use sets::Bits;

/// What the search came to.
pub(super) enum Found {
    /// An order, which needs this many operations of unknown outcome.
    Order { assumed: usize },
    /// There is none.
    Nothing(End),
    /// The bound was reached first.
    OutOfSteps,
}

/// Where the longest order ends. Operations are named by their place in the history.
#[derive(Default)]
pub(super) struct End {
    pub(super) explained: usize,
    pub(super) holds: Option<u64>,
    pub(super) order: Vec<usize>,
    pub(super) next: Vec<usize>,
    /// Who needs what the key then holds, and has no place yet.
    pub(super) waiting: Vec<usize>,
}

/// The next answered operation, and those of unknown outcome that come right before it.
struct Move {
    chain: Vec<usize>,
    step: usize,
}

/// A configuration: what has its place already, and what the key holds after it.
struct Config {
    placed: Bits,
    used: Bits,
    value: Option<Slot>,
    /// The first answered operation, by call, that has no place yet.
    first: usize,
    explained: usize,
    /// For each value, the answered operations without a place that need it.
    pending: Vec<u32>,
}

/// A configuration's moves, and what to restore when the one taken is taken back.
struct Frame {
    moves: Vec<Move>,
    /// How many of them have been tried; the last of these is the one taken.
    tried: usize,
    value: Option<Slot>,
    first: usize,
}

impl Problem {
    /// Searches, in at most `steps_max` steps; says also how many it took.
    pub(super) fn solve(&self, steps_max: u64) -> (Found, u64) {
        let mut search = Search {
            problem: self,
            config: Config {
                placed: Bits::new(self.required.len()),
                used: Bits::new(self.optional.len()),
                value: None,
                first: 0,
                explained: 0,
                pending: self.needed.clone(),
            },
            frames: Vec::new(),
            seen: HashSet::new(),
            steps: 0,
            steps_max,
            longest: None,
        };
        let found = search.run();
        (found, search.steps)
    }
}

struct Search<'a> {
    problem: &'a Problem,
    config: Config,
    frames: Vec<Frame>,
    /// Configurations met before: from none of them does an order lead to the end.
    seen: HashSet<Box<[u64]>>,
    steps: u64,
    steps_max: u64,
    longest: Option<End>,
}

impl Search<'_> {
    fn run(&mut self) -> Found {
        if !self.open() {
            return Found::OutOfSteps;
        }
        loop {
            if self.config.explained == self.problem.required.len() {
                return Found::Order { assumed: self.config.used.count() };
            }
            let Some(frame) = self.frames.last_mut() else {
                return Found::Nothing(self.longest.take().unwrap_or_default());
            };
            if frame.tried == frame.moves.len() {
                self.note_dead_end();
                self.frames.pop();
                self.take_back();
                continue;
            }
            frame.tried += 1;
            self.take();
            if !self.seen.insert(self.config.key()) {
                self.take_back();
            } else if !self.open() {
                return Found::OutOfSteps;
            }
        }
    }

    /// Begins with the moves of the present configuration; false where the steps are used up.
    fn open(&mut self) -> bool {
        self.steps += 1;
        let moves = self.moves();
        let (value, first) = (self.config.value, self.config.first);
        self.frames.push(Frame { moves, tried: 0, value, first });
        self.steps < self.steps_max
    }

    /// Answered operations that can come next: all that are called before any answer that has no place yet; and the
    /// time of the first of these answers.
    fn callable(&self) -> (Vec<usize>, u64) {
        let mut answer = u64::MAX;
        let mut callable = Vec::new();
        for (place, step) in self.problem.required.iter().enumerate().skip(self.config.first) {
            // Sorted by call: none of the rest is called in time, nor answered before.
            if step.invoked > answer {
                break;
            }
            if !self.config.placed.has(place) {
                answer = answer.min(step.returned);
                callable.push(place);
            }
        }
        callable.retain(|&place| self.problem.required[place].invoked <= answer);
        (callable, answer)
    }

    fn moves(&mut self) -> Vec<Move> {
        let (mut callable, answer) = self.callable();
        let required = &self.problem.required;
        // Whose answer came first is most likely to have come first.
        callable.sort_unstable_by_key(|&place| required[place].returned);
        let (mut direct, mut chained) = (Vec::new(), Vec::new());
        for place in callable {
            let step = &required[place];
            if self.problem.meets(self.config.value, step.need) {
                if step.effect == Effect::Keep {
                    return vec![Move { chain: Vec::new(), step: place }];
                }
                if self.config.may_leave(step) {
                    direct.push(Move { chain: Vec::new(), step: place });
                }
            } else if self.config.value.is_none_or(|slot| self.config.pending[slot] == 0) {
                let mut chains = Chains::new(
                    self.problem,
                    &self.config,
                    answer,
                    self.steps_max.saturating_sub(self.steps),
                );
                let found = chains.before(step);
                self.steps += chains.steps();
                chained.extend(found.into_iter().map(|chain| Move { chain, step: place }));
            }
            if self.steps >= self.steps_max {
                break;
            }
        }
        direct.append(&mut chained);
        direct
    }

    /// Makes the move that the last frame is at.
    fn take(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        let chosen = &frame.moves[frame.tried - 1];
        for &place in &chosen.chain {
            self.config.used.set(place);
            self.config.value = self.problem.optional[place].effect.on(self.config.value);
        }
        let step = &self.problem.required[chosen.step];
        self.config.place(chosen.step, step);
    }

    /// Undoes the move that the last frame is at; there is none below the first frame.
    fn take_back(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        let chosen = &frame.moves[frame.tried - 1];
        self.config.remove(chosen.step, &self.problem.required[chosen.step]);
        chosen.chain.iter().for_each(|&place| self.config.used.clear(place));
        self.config.value = frame.value;
        self.config.first = frame.first;
    }

    /// Keeps the present order if it is the longest so far. The last frame has no move left.
    fn note_dead_end(&mut self) {
        if self.longest.as_ref().is_some_and(|end| end.explained >= self.config.explained) {
            return;
        }
        let Problem { required, optional, .. } = self.problem;
        let mut order = Vec::new();
        for frame in &self.frames[..self.frames.len() - 1] {
            let taken = &frame.moves[frame.tried - 1];
            order.extend(taken.chain.iter().map(|&place| optional[place].id));
            order.push(required[taken.step].id);
        }
        let waits = |place: usize, step: &Step| {
            !self.config.placed.has(place)
                && self.config.value.is_some_and(|slot| step.need == Need::Value(slot))
        };
        let waiting = required.iter().enumerate().filter(|(place, step)| waits(*place, step));
        self.longest = Some(End {
            explained: self.config.explained,
            holds: self.config.value.map(|slot| self.problem.values[slot]),
            order,
            next: self.callable().0.into_iter().map(|place| required[place].id).collect(),
            waiting: waiting.map(|(_, step)| step.id).collect(),
        });
    }
}

impl Config {
    /// Whether `step` may overwrite the present value: nobody else may be left who needs it.
    fn may_leave(&self, step: &Step) -> bool {
        self.value.is_none_or(|slot| self.pending[slot] == u32::from(step.need == Need::Value(slot)))
    }

    fn place(&mut self, place: usize, step: &Step) {
        self.placed.set(place);
        self.explained += 1;
        if let Need::Value(slot) = step.need {
            self.pending[slot] -= 1;
        }
        self.value = step.effect.on(self.value);
        while self.placed.has(self.first) {
            self.first += 1;
        }
    }

    /// Takes `step` out; `value` and `first` are the caller's to restore.
    fn remove(&mut self, place: usize, step: &Step) {
        self.placed.clear(place);
        self.explained -= 1;
        if let Need::Value(slot) = step.need {
            self.pending[slot] += 1;
        }
    }

    /// All that decides what can follow, as one word string.
    fn key(&self) -> Box<[u64]> {
        let value = self.value.map_or(0, |slot| slot as u64 + 1);
        let mut words = vec![self.first as u64, value];
        self.placed.append_from(self.first, &mut words);
        // The length tells where the one set ends and the other begins.
        words.push(words.len() as u64);
        self.used.append_from(0, &mut words);
        words.into()
    }
}
