//! A quick look before the search, that of Gibbons and Korach ("Testing Shared Memories", 1997): a value is written
//! once, so the key holds it without a break from its first answer to its last call, and nothing else meanwhile.

use super::problem::{Effect, Need, Problem, Slot, Step};

/// Two things that cannot both be. Operations are named by their place in the history.
pub(in crate::history) struct Clash {
    pub(in crate::history) value: u64,
    /// The key holds the value from the answer to the first to the call of the second.
    pub(in crate::history) held: [usize; 2],
    /// It would have to be otherwise meanwhile, for these.
    pub(in crate::history) against: Vec<usize>,
}

/// The times of the operations that write or need one value.
#[derive(Clone, Copy)]
struct Zone {
    slot: Slot,
    /// The first answer, and whose.
    answer: (u64, usize),
    /// The last call, and whose.
    call: (u64, usize),
}

impl Zone {
    /// Whether there is a time during which the key must hold the value.
    fn lasts(&self) -> bool {
        self.answer.0 < self.call.0
    }
}

impl Problem {
    /// Finds a value that the key must hold, and something else at the same time. Finding none proves nothing.
    pub(in crate::history) fn clash(&self) -> Option<Clash> {
        let (mut lasting, short): (Vec<Zone>, Vec<Zone>) = self.zones().into_iter().partition(Zone::lasts);
        lasting.sort_unstable_by_key(|zone| zone.answer);
        for pair in lasting.windows(2) {
            if pair[1].answer.0 < pair[0].call.0 {
                return Some(self.between(&pair[0], vec![pair[1].answer.1, pair[1].call.1]));
            }
        }
        // None overlap now, so that the last to begin before a time is the only one that can include it.
        let around = |from: u64, to: u64| {
            let before = lasting.partition_point(|zone| zone.answer.0 < from);
            before.checked_sub(1).map(|place| &lasting[place]).filter(|zone| to < zone.call.0)
        };
        for zone in short {
            if let Some(holds) = around(zone.call.0, zone.answer.0) {
                return Some(self.between(holds, vec![zone.answer.1, zone.call.1]));
            }
        }
        let absent = |step: &&Step| step.need == Need::Absent || step.effect == Effect::Clear;
        self.required.iter().filter(absent).find_map(|step| {
            around(step.invoked, step.returned).map(|holds| self.between(holds, vec![step.id]))
        })
    }

    fn between(&self, zone: &Zone, mut against: Vec<usize>) -> Clash {
        against.dedup();
        Clash { value: self.values[zone.slot], held: [zone.answer.1, zone.call.1], against }
    }

    /// The zones of all values that an answer tells of.
    fn zones(&self) -> Vec<Zone> {
        let mut zones: Vec<Option<Zone>> = vec![None; self.values.len()];
        for step in &self.required {
            let needs = if let Need::Value(slot) = step.need { Some(slot) } else { None };
            for slot in needs.into_iter().chain(step.effect.on(None)) {
                let (answer, call) = ((step.returned, step.id), (step.invoked, step.id));
                let zone = zones[slot].get_or_insert(Zone { slot, answer, call });
                zone.answer = zone.answer.min(answer);
                zone.call = zone.call.max(call);
            }
        }
        for step in &self.optional {
            if let Some(zone) = step.effect.on(None).and_then(|slot| zones[slot].as_mut()) {
                zone.call = zone.call.max((step.invoked, step.id));
            }
        }
        zones.into_iter().flatten().collect()
    }
}
