//! Other shapes that a realm could have, built and walked through: a tree in which learners pass the log on, a mesh of
//! few neighbours in which everybody tells everything on, a look-up in the manner of Kademlia, a directory in shards.

use std::collections::VecDeque;

use crate::realm::Chance;

/// Neighbours of a node in a mesh of gossipsub, as its specification and libp2p have it (`D`).
pub const MESH_DEGREE: usize = 6;
/// Contacts in a bucket of Kademlia, as its paper and libp2p have it (`k`).
pub const BUCKET: usize = 20;

/// How something told to one node came to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Nodes that it came to, the first one included.
    pub reached: usize,
    /// Steps until the last one had it.
    pub steps: usize,
    /// Messages, those that told nothing new included.
    pub messages: usize,
    /// The most messages that one node sent.
    pub most_sent: usize,
}

/// A tree in which each node passes things on to at most `children`, the leader first.
pub fn tree(nodes: usize, children: usize) -> Spread {
    let (mut waiting, mut next) = (VecDeque::from([(0, 0)]), 1);
    let mut seen = Spread { reached: 0, steps: 0, messages: 0, most_sent: 0 };
    while let Some((_, depth)) = waiting.pop_front() {
        (seen.reached, seen.steps) = (seen.reached + 1, depth);
        let sent = children.min(nodes - next);
        waiting.extend((next..next + sent).map(|node| (node, depth + 1)));
        (next, seen.messages, seen.most_sent) = (next + sent, seen.messages + sent, seen.most_sent.max(sent));
    }
    seen
}

/// A mesh in which each node chooses half of `degree` neighbours, and is chosen by about as many.
pub fn mesh(nodes: usize, degree: usize, seed: u64) -> Vec<Vec<usize>> {
    let (mut chance, mut links) = (Chance::new(seed), vec![Vec::new(); nodes]);
    for node in 0..nodes {
        let mut wanted = degree.div_ceil(2).min(nodes - 1 - links[node].len());
        while wanted > 0 {
            let other = chance.below(nodes);
            if other != node && !links[node].contains(&other) {
                links[node].push(other);
                links[other].push(node);
                wanted -= 1;
            }
        }
    }
    links
}

/// Tells something to node 0 of a mesh; each tells it on, once, to all neighbours but the one it has it from.
pub fn gossip(links: &[Vec<usize>]) -> Spread {
    let mut heard = vec![false; links.len()];
    let mut waiting = VecDeque::from([(0, usize::MAX, 0)]);
    heard[0] = true;
    let mut seen = Spread { reached: 0, steps: 0, messages: 0, most_sent: 0 };
    while let Some((node, from, step)) = waiting.pop_front() {
        (seen.reached, seen.steps) = (seen.reached + 1, step);
        let mut sent = 0;
        for &other in links[node].iter().filter(|other| **other != from) {
            sent += 1;
            if !std::mem::replace(&mut heard[other], true) {
                waiting.push_back((other, node, step + 1));
            }
        }
        (seen.messages, seen.most_sent) = (seen.messages + sent, seen.most_sent.max(sent));
    }
    seen
}

/// Nodes by ids of Kademlia, in order.
#[derive(Debug)]
pub struct Kademlia {
    ids: Vec<u64>,
    chance: Chance,
}

/// How look-ups went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LookUps {
    /// Nodes asked one after the other, on average.
    pub steps: f64,
    /// The most.
    pub most: usize,
    /// The most contacts that a node of those walked through could hold.
    pub contacts: usize,
}

impl Kademlia {
    /// So many nodes.
    pub fn new(nodes: usize, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut ids: Vec<u64> = (0..nodes).map(|_| chance.draw()).collect();
        ids.sort_unstable();
        ids.dedup();
        Self { ids, chance }
    }

    /// Looks the nearest node to so many ids up, each from a node chosen by chance, one step at a time.
    pub fn look_up(&mut self, times: usize) -> LookUps {
        let (mut sum, mut most, mut contacts) = (0, 0, 0);
        for _ in 0..times {
            let target = self.ids[self.chance.below(self.ids.len())];
            let mut at = self.ids[self.chance.below(self.ids.len())];
            contacts = contacts.max(self.contacts(at));
            let mut steps = 0;
            while at != target {
                at = self.nearest_known(at, target);
                steps += 1;
            }
            (sum, most) = (sum + steps, most.max(steps));
        }
        LookUps { steps: sum as f64 / times as f64, most, contacts }
    }

    /// The nearest to `target` of whom `at` knows in the bucket that `target` is in: [`BUCKET`] nodes by chance, or
    /// all where there are no more.
    fn nearest_known(&mut self, at: u64, target: u64) -> u64 {
        let (low, high) = self.bucket(at, (at ^ target).leading_zeros());
        let known: Vec<u64> = if high - low <= BUCKET {
            self.ids[low..high].to_vec()
        } else {
            (0..BUCKET).map(|_| self.ids[low + self.chance.below(high - low)]).collect()
        };
        known.into_iter().min_by_key(|id| id ^ target).expect("the target is in its bucket")
    }

    /// Where those ids stand that agree with `at` in exactly so many leading bits.
    fn bucket(&self, at: u64, agree: u32) -> (usize, usize) {
        let width = 63 - agree;
        let first = ((at ^ 1 << width) >> width) << width;
        let last = first | ((1_u64 << width) - 1);
        (self.ids.partition_point(|id| *id < first), self.ids.partition_point(|id| *id <= last))
    }

    fn contacts(&self, at: u64) -> usize {
        let full = (0..64).map(|agree| self.bucket(at, agree)).map(|(low, high)| (high - low).min(BUCKET));
        full.sum()
    }
}

/// The most entries that a node holds of `entries`, each kept by `copies` nodes chosen by its hash.
pub fn fullest_shard(nodes: usize, entries: usize, copies: usize, seed: u64) -> usize {
    let (mut chance, mut held) = (Chance::new(seed), vec![0; nodes]);
    for _ in 0..entries {
        let first = chance.below(nodes);
        // The copies are the next ones on the ring.
        (0..copies.min(nodes)).for_each(|copy| held[(first + copy) % nodes] += 1);
    }
    held.into_iter().max().unwrap_or(0)
}
