//! Tideman and Chieruzzi's strategy of Axelrod's first tournament.

use serde::{Deserialize, Serialize};

use crate::game::Move;
use crate::past::Past;

/// How far ahead it must be to be generous.
const LEAD_MIN: f64 = 10.0;
/// How many turns lie between two fresh starts, at least.
const BETWEEN_STARTS_TURNS: u32 = 20;
/// How many turns must still be to come for a fresh start to be worth it.
const TO_COME_TURNS: u32 = 10;
/// How far from chance the opponent's defections must be, in standard deviations.
const DEVIATIONS: f64 = 3.0;
/// How many turns it defects in at the end of a game whose length it knows.
const LAST_TURNS: u32 = 2;

/// Retaliates ever longer, and offers a fresh start when it is well ahead, the opponent cooperates
/// again, and does not seem to play at random.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tideman {
    /// How many turns the game has, where that is known.
    turns: Option<u32>,
    /// How long the last retaliation was.
    length: u32,
    /// How many turns of it are still owed.
    remaining: u32,
    /// The opponent's defections since the last fresh start.
    defections: u32,
    /// The turn, counted from 1, in which it last offered a fresh start; 0 is never.
    last_start: u32,
    /// It owes the second cooperation of a fresh start.
    starting: bool,
}

impl Tideman {
    pub(super) fn new(turns: Option<u32>) -> Self {
        Self { turns, length: 0, remaining: 0, defections: 0, last_start: 0, starting: false }
    }

    pub(super) fn decide(&mut self, past: &Past) -> Move {
        let decided = self.respond(past);
        let to_come = self.turns.and_then(|turns| turns.checked_sub(past.turns()));
        match to_come {
            Some(1..=LAST_TURNS) => Move::Defect,
            _ => decided,
        }
    }

    fn respond(&mut self, past: &Past) -> Move {
        let Some(theirs) = past.their_last() else { return Move::Cooperate };
        let defected = theirs == Move::Defect;
        self.defections = self.defections.saturating_add(u32::from(defected));
        if self.starting {
            self.starting = false;
            return Move::Cooperate;
        }
        if !defected && self.deserves_start(past) {
            *self = Self { last_start: past.turns() + 1, starting: true, ..Self::new(self.turns) };
            return Move::Cooperate;
        }
        if self.remaining > 0 {
            self.remaining -= 1;
            return Move::Defect;
        }
        if defected {
            self.remaining = self.length;
            self.length = self.length.saturating_add(1);
            return Move::Defect;
        }
        Move::Cooperate
    }

    /// Whether the moment is right for a fresh start, but for the opponent's last move.
    fn deserves_start(&self, past: &Past) -> bool {
        let turn = past.turns().saturating_add(1);
        let rested = self.last_start == 0 || turn - self.last_start >= BETWEEN_STARTS_TURNS;
        let worth_it = self.turns.is_none_or(|turns| turns >= turn.saturating_add(TO_COME_TURNS));
        let played = f64::from(past.turns());
        let far = DEVIATIONS * played.sqrt() / 2.0;
        let defections = f64::from(self.defections);
        let not_chance = defections <= played / 2.0 - far || defections >= played / 2.0 + far;
        rested && worth_it && past.lead() >= LEAD_MIN && not_chance
    }
}
