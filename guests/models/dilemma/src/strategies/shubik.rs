//! Shubik's strategy of Axelrod's first tournament.

use serde::{Deserialize, Serialize};

use crate::game::Move;
use crate::past::Past;

/// Retaliates for one turn, then for two, and so on: each defection while it was cooperating makes
/// the next retaliation longer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shubik {
    /// How long the last retaliation was.
    length: u32,
    /// How many turns of it are still owed.
    remaining: u32,
}

impl Shubik {
    pub(super) fn decide(&mut self, past: &Past) -> Move {
        if self.remaining > 0 {
            self.remaining -= 1;
            return Move::Defect;
        }
        if past.their_last() == Some(Move::Defect) && past.my_last() == Some(Move::Cooperate) {
            self.remaining = self.length;
            self.length = self.length.saturating_add(1);
            return Move::Defect;
        }
        Move::Cooperate
    }
}
