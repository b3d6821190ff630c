//! The oracle without the log: goes along each key's answers by log index, and knows at each what the key must hold.

mod pools;

use std::collections::{BTreeMap, HashSet};

use super::facts::{Facts, Origin, Seen, Shown, Witness, who};
use super::report::{self, Rule, Violation};
use super::spans::{self, Span};
use super::{Expect, Kind};
use pools::Pools;

/// What stands in a key's line of events.
#[derive(Clone, Copy)]
enum Event {
    /// An acknowledged change, by this operation, at this log index, which left this.
    Change(usize, u64, Option<u64>),
    Seen(Seen),
}

/// A log index, and the order of what stands at one.
type Place = (u64, u8);

/// Checks all keys; returns how many operations of unknown outcome are proven to have been applied.
pub(super) fn check(facts: &Facts<'_>, seen: &[Seen], found: &mut Vec<Violation>) -> usize {
    let mut keys: BTreeMap<u32, Vec<(Place, Event)>> = BTreeMap::new();
    for (id, operation) in facts.history.operations().iter().enumerate() {
        if let (Some(done), Some((left, _))) = (operation.done(), operation.change()) {
            let event = Event::Change(id, done.log_index, left);
            keys.entry(operation.key).or_default().push(((done.log_index, 0), event));
        }
    }
    for seen in seen {
        // Who shows less comes after who shows all, and so knows what the key must have held.
        let rank = if matches!(seen.shown, Shown::Exactly(_)) { 1 } else { 2 };
        keys.entry(seen.key).or_default().push(((seen.after, rank), Event::Seen(*seen)));
    }
    let mut pools = Pools::of_keys(facts, seen);
    let mut spans = Vec::new();
    for (key, mut events) in keys {
        events.sort_by_key(|(place, _)| *place);
        let pools = pools.remove(&key).unwrap_or_default();
        let mut walk = Walk { facts, key, pools, at: At::default(), placed: HashSet::new(), spans, found };
        events.into_iter().for_each(|(_, event)| walk.step(event));
        spans = walk.spans;
    }
    let proven = spans.len();
    spans::check(facts, spans, found);
    proven
}

/// Where a walk stands.
#[derive(Default)]
struct At {
    /// What the key holds.
    value: Option<u64>,
    /// Who wrote that, or showed it first.
    from: Option<Witness>,
    /// The last log index after which the key is known to have held it.
    since: u64,
    /// Who showed that, if it was not the write itself.
    shown_by: Option<Witness>,
}

struct Walk<'a, 'b> {
    facts: &'a Facts<'a>,
    key: u32,
    pools: Pools,
    at: At,
    /// Operations of unknown outcome that have a place already.
    placed: HashSet<usize>,
    spans: Vec<Span>,
    found: &'b mut Vec<Violation>,
}

impl Walk<'_, '_> {
    fn step(&mut self, event: Event) {
        match event {
            Event::Change(id, index, left) => {
                self.at = At { value: left, from: Some(Witness::Answer(id)), since: index, shown_by: None };
            }
            Event::Seen(seen) => match seen.shown {
                Shown::Exactly(shown) => self.exactly(shown, &seen),
                Shown::Present => self.present(&seen),
                Shown::AtRevision(_) => self.at_revision(&seen),
            },
        }
    }

    fn exactly(&mut self, shown: Option<u64>, seen: &Seen) {
        let fits = match shown {
            _ if shown == self.at.value => true,
            Some(value) => self.another(value, seen),
            None => self.gone(seen),
        };
        if fits {
            (self.at.since, self.at.shown_by) = (seen.after, Some(seen.by));
        }
    }

    fn report(&mut self, rule: Rule, why: String, by: &[Option<Witness>]) {
        let violation = self.facts.violation(rule, why, by);
        self.found.push(violation);
    }

    /// Where the walk stands, in words.
    fn known(&self) -> String {
        let held = report::state(self.at.value);
        let from = self.at.from.map_or(String::new(), |by| format!(" (from {})", who(by)));
        format!("key {} held {held}{from} after log index {}", self.key, self.at.since)
    }

    /// Reports two who show different states after the same log index; false where it is not so.
    fn disagrees(&mut self, seen: &Seen, shown: Option<u64>) -> bool {
        let Some(other) = self.at.shown_by.filter(|_| self.at.since == seen.after) else { return false };
        let why = format!(
            "after log index {}, {} shows {} in key {} and {} shows {}",
            seen.after,
            who(seen.by),
            report::state(shown),
            self.key,
            who(other),
            report::state(self.at.value)
        );
        let rule = self.facts.rule(seen.by, Rule::Disagree);
        self.report(rule, why, &[Some(seen.by), Some(other), self.at.from]);
        true
    }

    /// `value` is shown, and the key was known to hold something else. False where nothing new is known by it.
    fn another(&mut self, value: u64, seen: &Seen) -> bool {
        if let Some(violation) = self.facts.unfounded(value, seen) {
            self.found.push(violation);
            return false;
        }
        let by = who(seen.by);
        let shows = format!("{by} shows value {value} after log index {}", seen.after);
        match self.facts.origin(value, self.key) {
            Origin::Written(id, index) if index > seen.after => {
                let rule = self.facts.rule(seen.by, Rule::FutureRead);
                let why = format!("{shows}, and #{id} wrote it only at {index}");
                self.report(rule, why, &[Some(seen.by), Some(Witness::Answer(id))]);
                false
            }
            Origin::Open(id) if !self.placed.contains(&id) => self.first_shown(id, value, &shows, seen),
            Origin::Written(id, _) | Origin::Open(id) => {
                let rule = self.facts.rule(seen.by, Rule::StaleRead);
                let why = format!("{shows}, written by #{id}, and {}", self.known());
                self.report(rule, why, &[Some(seen.by), Some(Witness::Answer(id)), self.at.from]);
                false
            }
            Origin::Nobody | Origin::OtherKey(_) | Origin::NotApplied(_) => false,
        }
    }

    /// The value of a write of unknown outcome is shown for the first time.
    fn first_shown(&mut self, id: usize, value: u64, shows: &str, seen: &Seen) -> bool {
        if self.disagrees(seen, Some(value)) {
            return false;
        }
        let writer = Some(Witness::Answer(id));
        if self.at.since >= seen.after {
            let rule = self.facts.rule(seen.by, Rule::StaleRead);
            let why = format!("{shows}, and {}", self.known());
            self.report(rule, why, &[Some(seen.by), writer, self.at.from]);
            return false;
        }
        if self.facts.floor(id) >= seen.after {
            let rule = self.facts.rule(seen.by, Rule::FutureRead);
            let told = self.facts.floor_by(id);
            let why = format!(
                "{shows}, and its write #{id} was called only after log index {} had been told",
                self.facts.floor(id)
            );
            self.report(rule, why, &[Some(seen.by), writer, told]);
            return false;
        }
        if let Err(swap) = self.place(id, seen) {
            let why = format!(
                "{shows}, which needs the swap #{swap} to have succeeded, and {}; its expectation cannot have held",
                self.known()
            );
            self.report(Rule::WrongSwap, why, &[Some(seen.by), Some(Witness::Answer(swap)), self.at.from]);
        }
        (self.at.value, self.at.from) = (Some(value), writer);
        true
    }

    /// Gives the operation its place between what is known and `seen`, and with a swap also what it needs. Fails
    /// with a swap whose expectation cannot have held there.
    fn place(&mut self, id: usize, seen: &Seen) -> Result<(), usize> {
        let mut next = id;
        loop {
            self.placed.insert(next);
            let after = self.at.since.max(self.facts.floor(next));
            self.spans.push(Span { after, upto: seen.after, id: next, by: seen.by });
            let Kind::Cas { expect, .. } = self.facts.operation(next).kind else { return Ok(()) };
            let needed = match expect {
                Expect::Absent if self.at.value.is_none() || self.deleted(seen) => return Ok(()),
                Expect::Absent => return Err(next),
                Expect::Value(value) => value,
                Expect::Revision(revision) => match self.facts.value_at(revision) {
                    Some(value) => value,
                    // Of an operation whose revision nobody told.
                    None => return Ok(()),
                },
            };
            if self.at.value == Some(needed) {
                return Ok(());
            }
            match self.facts.origin(needed, self.key) {
                Origin::Open(writer)
                    if !self.placed.contains(&writer) && self.facts.floor(writer) < seen.after =>
                {
                    next = writer;
                }
                _ => return Err(next),
            }
        }
    }

    /// Nothing is shown, and the key was known to hold a value. False where nothing new is known by it.
    fn gone(&mut self, seen: &Seen) -> bool {
        if self.disagrees(seen, None) {
            return false;
        }
        if self.at.since >= seen.after || !self.deleted(seen) {
            let rule = self.facts.rule(seen.by, Rule::LostValue);
            let why = format!(
                "{} shows nothing after log index {}, and {}; nobody can have deleted it",
                who(seen.by),
                seen.after,
                self.known()
            );
            self.report(rule, why, &[Some(seen.by), self.at.from]);
        }
        (self.at.value, self.at.from) = (None, Some(seen.by));
        true
    }

    /// Takes an operation of unknown outcome that can have deleted what the key is known to hold; false if there is
    /// none left.
    fn deleted(&mut self, seen: &Seen) -> bool {
        let Some(value) = self.at.value else { return false };
        let (facts, placed, key) = (self.facts, &self.placed, self.key);
        let possible = |expected: Option<u64>| {
            expected.is_none_or(
                |expected| matches!(facts.origin(expected, key), Origin::Open(id) if !placed.contains(&id)),
            )
        };
        let Some(id) = self.pools.deleter(value, seen.after, placed, possible) else { return false };
        self.placed.insert(id);
        self.spans.push(Span { after: self.at.since, upto: seen.after, id, by: seen.by });
        true
    }

    /// A delete found a value. Which one, it does not tell: where something else was written unseen, that.
    fn present(&mut self, seen: &Seen) {
        if self.at.value.is_some() || (self.at.since < seen.after && self.maker(seen)) {
            return;
        }
        let rule = self.facts.rule(seen.by, Rule::WrongDelete);
        let why =
            format!("{} found a value after log index {}, and {}", who(seen.by), seen.after, self.known());
        self.report(rule, why, &[Some(seen.by), self.at.from]);
    }

    /// Takes a write of unknown outcome whose value is never shown; false if there is none left.
    fn maker(&mut self, seen: &Seen) -> bool {
        let Some(id) = self.pools.maker(seen.after) else { return false };
        self.spans.push(Span { after: self.at.since, upto: seen.after, id, by: seen.by });
        true
    }

    /// A swap found a revision that no answer tells, and so a value that no answer shows.
    fn at_revision(&mut self, seen: &Seen) {
        let untold = self.at.value.is_some_and(|value| self.facts.revision_of(value).is_none());
        if untold || (self.at.since < seen.after && self.maker(seen)) {
            return;
        }
        let found =
            format!("{} found a revision that nobody told after log index {}", who(seen.by), seen.after);
        let why = format!("{found}, and {}", self.known());
        self.report(Rule::WrongSwap, why, &[Some(seen.by), self.at.from]);
    }
}
