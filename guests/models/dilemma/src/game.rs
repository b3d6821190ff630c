//! The game of one turn.

use serde::{Deserialize, Serialize};

/// What a side does in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    /// `C`
    Cooperate,
    /// `D`
    Defect,
}

/// What a side earns, by what both did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Payoffs {
    /// Both cooperated.
    pub reward: f64,
    /// It cooperated, the other defected.
    pub sucker: f64,
    /// It defected, the other cooperated.
    pub temptation: f64,
    /// Both defected.
    pub punishment: f64,
}

/// Those of Axelrod's tournaments.
impl Default for Payoffs {
    fn default() -> Self {
        Self { reward: 3.0, sucker: 0.0, temptation: 5.0, punishment: 1.0 }
    }
}

impl Payoffs {
    /// What the side earns that did `mine`, where the other did `theirs`.
    #[must_use]
    pub fn score(&self, mine: Move, theirs: Move) -> f64 {
        match (mine, theirs) {
            (Move::Cooperate, Move::Cooperate) => self.reward,
            (Move::Cooperate, Move::Defect) => self.sucker,
            (Move::Defect, Move::Cooperate) => self.temptation,
            (Move::Defect, Move::Defect) => self.punishment,
        }
    }

    /// The four, in the order of the fields.
    #[must_use]
    pub fn to_array(&self) -> [f64; 4] {
        [self.reward, self.sucker, self.temptation, self.punishment]
    }
}

impl Move {
    /// The letter of the move, as it is written and sent.
    #[must_use]
    pub fn letter(self) -> u8 {
        match self {
            Self::Cooperate => b'C',
            Self::Defect => b'D',
        }
    }

    /// The move of a letter; none for any byte but `C` and `D`.
    #[must_use]
    pub fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'C' => Some(Self::Cooperate),
            b'D' => Some(Self::Defect),
            _ => None,
        }
    }

    /// The other move.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Cooperate => Self::Defect,
            Self::Defect => Self::Cooperate,
        }
    }

    /// To defect if `condition` holds, and to cooperate if not.
    #[must_use]
    pub fn defect_if(condition: bool) -> Self {
        if condition { Self::Defect } else { Self::Cooperate }
    }
}
