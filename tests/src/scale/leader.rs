//! The leader's network thread, simulated: one server that takes messages in the order of their coming. Leases of
//! nodes whose renewals wait too long are lost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Constants;
use crate::realm::Chance;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Nodes, the leader among them.
    pub nodes: u64,
    /// Frames of the log a second, each sent to all others.
    pub frames: f64,
    /// Seconds that a message takes from one node to another.
    pub latency: f64,
    /// Seconds of the thread for one message.
    pub message: f64,
    /// Seconds that are simulated.
    pub time: f64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Messages that came to the thread, to be sent or taken.
    pub messages: u64,
    /// The part of the time that it worked.
    pub busy: f64,
    /// The longest that a message waited for it, in seconds.
    pub longest: f64,
    /// Nodes that lost their lease, because its renewal was answered too late.
    pub lost: u64,
}

/// Times are in nanoseconds, so that they have an order.
type Nanos = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The leader sends something to all others.
    Burst(Nanos),
    /// The answer of a node to what the leader sent comes.
    Answer,
    /// The renewal of a node comes.
    Renewal(u64),
}

/// Simulates it; chance says when each node's renewals are.
pub fn simulate(constants: &Constants, setup: Setup, seed: u64) -> Seen {
    let nanos = |seconds: f64| (seconds * 1e9) as Nanos;
    let others = setup.nodes - 1;
    let (end, cost, latency) = (nanos(setup.time), nanos(setup.message), nanos(setup.latency));
    let (renewal, lease) = (nanos(constants.renewal), nanos(constants.lease));
    let mut events = BinaryHeap::from([Reverse((0, Event::Burst(nanos(constants.heartbeat))))]);
    if setup.frames > 0.0 {
        let between = nanos(1.0 / setup.frames);
        events.push(Reverse((between / 2, Event::Burst(between))));
    }
    let mut chance = Chance::new(seed);
    for node in 0..others {
        let first = chance.below(renewal as usize) as Nanos;
        events.push(Reverse((first, Event::Renewal(node))));
    }
    let mut server = Server { free: 0, worked: 0, longest: 0, messages: 0 };
    let mut lost = vec![false; others as usize];
    while let Some(Reverse((now, event))) = events.pop() {
        if now >= end {
            break;
        }
        match event {
            Event::Burst(between) => {
                for _ in 0..others {
                    let sent = server.take(now, cost);
                    events.push(Reverse((sent + 2 * latency, Event::Answer)));
                }
                events.push(Reverse((now + between, event)));
            }
            Event::Answer => drop(server.take(now, cost)),
            Event::Renewal(node) => {
                // Taken, and answered. The node asked a while ago, and its lease lasts from the renewal before.
                server.take(now, cost);
                let heard = server.take(now, cost) + latency;
                lost[node as usize] |= heard > now - latency.min(now) + lease - renewal;
                events.push(Reverse((now + renewal, event)));
            }
        }
    }
    let busy = server.worked.min(end) as f64 / end as f64;
    let lost = lost.into_iter().filter(|lost| *lost).count() as u64;
    Seen { messages: server.messages, busy, longest: server.longest as f64 / 1e9, lost }
}

/// The fewest nodes, up to `most`, of which one loses its lease, all else being as in `setup`.
pub fn breaks_at(constants: &Constants, setup: Setup, most: u64) -> Option<u64> {
    let breaks = |nodes| simulate(constants, Setup { nodes, ..setup }, 1).lost > 0;
    if !breaks(most) {
        return None;
    }
    let (mut holds, mut broken) = (2, most);
    while broken - holds > 1 + holds / 100 {
        let middle = holds + (broken - holds) / 2;
        if breaks(middle) { broken = middle } else { holds = middle }
    }
    Some(broken)
}

struct Server {
    free: Nanos,
    worked: Nanos,
    longest: Nanos,
    messages: u64,
}

impl Server {
    /// Takes a message that comes at `now`; returns when it is done.
    fn take(&mut self, now: Nanos, cost: Nanos) -> Nanos {
        let begins = self.free.max(now);
        self.longest = self.longest.max(begins - now);
        self.free = begins + cost;
        self.worked += cost;
        self.messages += 1;
        self.free
    }
}
