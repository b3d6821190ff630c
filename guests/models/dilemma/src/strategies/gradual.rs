//! Gradual, in its variant of the CRISTAL laboratory.

use serde::{Deserialize, Serialize};

use crate::game::Move;
use crate::past::Past;

/// For how many turns it is kind after a punishment, so that a grudge can end.
const CALM_TURNS: u32 = 2;

/// Punishes a defection by as many as the opponent has committed in all, then calms down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gradual {
    punish: u32,
    calm: u32,
}

impl Gradual {
    pub(super) fn decide(&mut self, past: &Past) -> Move {
        if self.punish > 0 {
            self.punish -= 1;
            return Move::Defect;
        }
        if self.calm > 0 {
            self.calm -= 1;
            return Move::Cooperate;
        }
        if past.their_last() == Some(Move::Defect) {
            // This turn is the first of the punishment.
            self.punish = past.their_defections().saturating_sub(1);
            self.calm = CALM_TURNS;
            return Move::Defect;
        }
        Move::Cooperate
    }
}
