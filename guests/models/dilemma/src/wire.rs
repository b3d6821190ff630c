//! What a seat is shown and what it answers, as bytes.
//!
//! | bytes | length | meaning |
//! |---|---|---|
//! | observation of the first turn | 32 | reward, sucker, temptation, punishment: doubles, little-endian |
//! | observation of a later turn | 2 | the seat's own last move as it was counted, then the opponent's |
//! | action | 1 | `C` or `D` |
//!
//! A seat's own move is in it because it may not be what the player answered: a late or wrong answer
//! counts as the rules' default. How many turns a game has is not told: its last observation is as any other, as a game
//! that is cut off has it.

use crate::game::{Move, Payoffs};

/// Media type of observations. In a run there are five: a first one, and what both did.
pub const OBSERVATION_TYPE: &str = "application/vnd.matrix.ipd.observation;discrete=5";
/// Media type of actions, which are two.
pub const ACTION_TYPE: &str = "application/vnd.matrix.ipd.action;discrete=2;values=\"C D\"";

/// Bytes of a first observation: four doubles.
const FIRST_BYTES: usize = 32;

/// What a seat is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observation {
    /// A game begins; this is what its moves earn.
    First(Payoffs),
    /// A turn was played.
    Later {
        /// What the seat's own last move counted as.
        mine: Move,
        /// The opponent's last move.
        theirs: Move,
    },
}

impl Observation {
    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::First(payoffs) => payoffs.to_array().iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Later { mine, theirs } => vec![mine.letter(), theirs.letter()],
        }
    }

    /// From bytes; none where they are no observation.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let [mine, theirs] = bytes {
            return Some(Self::Later {
                mine: Move::from_letter(*mine)?,
                theirs: Move::from_letter(*theirs)?,
            });
        }
        let bytes: &[u8; FIRST_BYTES] = bytes.try_into().ok()?;
        let (values, _) = bytes.as_chunks::<8>();
        let [reward, sucker, temptation, punishment] = *values else { return None };
        Some(Self::First(Payoffs {
            reward: f64::from_le_bytes(reward),
            sucker: f64::from_le_bytes(sucker),
            temptation: f64::from_le_bytes(temptation),
            punishment: f64::from_le_bytes(punishment),
        }))
    }
}

/// The move that an action means; none where it is not exactly one known letter.
#[must_use]
pub fn action(bytes: &[u8]) -> Option<Move> {
    match bytes {
        [letter] => Move::from_letter(*letter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_survive_the_wire() {
        let seen = [
            Observation::First(Payoffs { reward: 3.5, sucker: -1.0, temptation: 5.0, punishment: 1e-9 }),
            Observation::Later { mine: Move::Cooperate, theirs: Move::Defect },
        ];
        for observation in seen {
            assert_eq!(Observation::from_bytes(&observation.to_bytes()), Some(observation));
        }
    }

    #[test]
    fn other_bytes_are_nothing() {
        for bytes in [&b""[..], b"C", b"CX", b"CDC", &[0; 31], &[0; 33]] {
            assert_eq!(Observation::from_bytes(bytes), None, "{bytes:?}");
        }
        for bytes in [&b""[..], b"c", b"CC", b"\0"] {
            assert_eq!(action(bytes), None, "{bytes:?}");
        }
        assert_eq!(action(b"D"), Some(Move::Defect));
    }
}
