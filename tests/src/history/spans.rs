//! Whether all operations that must have been applied somewhere have a log index each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::facts::{Facts, Witness, who};
use super::order;
use super::report::{Rule, Violation};

/// Where an operation of unknown outcome was applied: after one log index, and not after another.
pub(super) struct Span {
    pub(super) after: u64,
    pub(super) upto: u64,
    /// The operation; one of several that could be meant, where the answers leave a choice.
    pub(super) id: usize,
    /// Who proves that it was applied.
    pub(super) by: Witness,
}

/// Gives each span a log index of its own that no acknowledged mutation has, the most urgent first, which finds a
/// place for all if there is one. Reports those that are left without.
pub(super) fn check(facts: &Facts<'_>, mut spans: Vec<Span>, found: &mut Vec<Violation>) {
    spans.sort_unstable_by_key(|span| span.after);
    let taken = order::mutations(facts.history);
    let mut taken = taken.iter().map(|(index, _)| *index).peekable();
    let mut urgent: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let (mut next, mut index) = (0, 0);
    loop {
        if urgent.is_empty() {
            let Some(span) = spans.get(next) else { return };
            index = index.max(span.after + 1);
        }
        while taken.next_if(|used| *used < index).is_some() {}
        while taken.next_if(|used| *used == index).is_some() {
            // What follows may also be taken; a mutation that shares its index was reported already.
            while taken.next_if(|used| *used == index).is_some() {}
            index += 1;
        }
        while let Some(span) = spans.get(next).filter(|span| span.after < index) {
            urgent.push(Reverse((span.upto, next)));
            next += 1;
        }
        let Some(Reverse((upto, place))) = urgent.pop() else { continue };
        if index <= upto {
            index += 1;
            continue;
        }
        let Span { after, id, by, .. } = spans[place];
        let why = format!(
            "{} proves that #{id}, or one like it, was applied after log index {after} and not after {upto}, and \
             no index there is free",
            who(by)
        );
        found.push(facts.violation(Rule::OneIndex, why, &[Some(by), Some(Witness::Answer(id))]));
    }
}
