//! What a context remembers of the bits that followed it, in one byte: about how many zeros and ones, and which
//! came last. Younger bits count for more: when one comes that was not expected, part of what spoke against it is
//! forgotten.

/// One history; 0: nothing seen yet.
pub(crate) type State = u8;

/// How many counts of the rarer bit are told apart, and for each how many of the more frequent one.
const MAX: [u8; 6] = [41, 24, 12, 8, 6, 5];

/// The table of all histories.
#[derive(Debug, Clone)]
pub(crate) struct Histories {
    next: Vec<[State; 2]>,
    counts: Vec<[u8; 2]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    counts: [u8; 2],
    last: u8,
}

impl Histories {
    pub(crate) fn new() -> Self {
        let mut states = vec![Seen { counts: [0, 0], last: 0 }];
        let mut next = Vec::new();
        let mut at = 0;
        while at < states.len() {
            let from = states[at];
            let mut pair = [0; 2];
            for bit in 0..2 {
                let to = after(from, bit);
                let place = states.iter().position(|&state| state == to).unwrap_or_else(|| {
                    states.push(to);
                    states.len() - 1
                });
                pair[usize::from(bit)] = State::try_from(place).unwrap_or_default();
            }
            next.push(pair);
            at += 1;
        }
        Self { next, counts: states.iter().map(|state| state.counts).collect() }
    }

    /// What `state` becomes when `bit` follows.
    pub(crate) fn next(&self, state: State, bit: u32) -> State {
        self.next[usize::from(state)][(bit & 1) as usize]
    }

    /// About how many zeros and ones.
    pub(crate) fn counts(&self, state: State) -> [u8; 2] {
        self.counts[usize::from(state)]
    }

    /// How many histories there are.
    pub(crate) fn len(&self) -> usize {
        self.next.len()
    }
}

fn after(from: Seen, bit: u8) -> Seen {
    let mut counts = from.counts;
    let (this, other) = (usize::from(bit), usize::from(1 - bit));
    counts[this] += 1;
    if counts[other] > 2 {
        counts[other] = 2 + (counts[other] - 2) * 2 / 3;
    }
    loop {
        let rare = usize::from(counts[1] <= counts[0]);
        let room = MAX.get(usize::from(counts[rare])).copied();
        match room {
            Some(room) if counts[1 - rare] <= room => break,
            // As many as can be told: what is more frequent is counted no further.
            Some(room) => counts[1 - rare] = room,
            None => counts[rare] -= 1,
        }
    }
    // With one kind seen, the last is known.
    Seen { counts, last: bit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_fit_into_a_byte() {
        let histories = Histories::new();
        assert!(histories.len() <= 256, "{}", histories.len());
        assert_eq!(histories.counts(0), [0, 0]);
        assert_eq!(histories.counts(histories.next(histories.next(0, 1), 0)), [1, 1]);
    }

    #[test]
    fn what_comes_again_and_again_is_believed_and_one_surprise_shakes_it() {
        let histories = Histories::new();
        let sure = (0..100).fold(0, |state, _| histories.next(state, 1));
        let [zeros, ones] = histories.counts(sure);
        assert!(zeros == 0 && ones > 30);
        let [zeros, ones_after] = histories.counts(histories.next(sure, 0));
        assert!(zeros == 1 && ones_after <= ones * 2 / 3 + 2);
    }
}
