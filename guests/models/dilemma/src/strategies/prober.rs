//! Prober.

use serde::{Deserialize, Serialize};

use crate::game::Move;
use crate::past::Past;

/// The opponent's second and third move, in [`Past::their_recent`] once three were made.
const ANSWERS: u8 = 0b11;
/// How many moves the probe is: defect, cooperate, cooperate.
const PROBE_TURNS: u32 = 3;

/// Whether the opponent let the first defection pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prober {
    exploits: bool,
}

impl Prober {
    pub(super) fn decide(&mut self, past: &Past) -> Move {
        if past.turns() == PROBE_TURNS {
            self.exploits = past.their_recent() & ANSWERS == 0;
        }
        match past.turns() {
            0 => Move::Defect,
            1 | 2 => Move::Cooperate,
            _ if self.exploits => Move::Defect,
            _ => past.their_last().unwrap_or(Move::Cooperate),
        }
    }
}
