//! What a strategy may look back on.

use serde::{Deserialize, Serialize};

use crate::game::{Move, Payoffs};

/// What happened so far in one game, from one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    payoffs: Payoffs,
    turns: u32,
    my_last: Move,
    /// The opponent's last moves, the latest in the lowest bit, a defection as 1.
    their_recent: u8,
    their_defections: u32,
    my_score: f64,
    their_score: f64,
}

impl Past {
    /// Of a game that has not begun.
    #[must_use]
    pub fn new(payoffs: Payoffs) -> Self {
        Self {
            payoffs,
            turns: 0,
            my_last: Move::Cooperate,
            their_recent: 0,
            their_defections: 0,
            my_score: 0.0,
            their_score: 0.0,
        }
    }

    /// Adds a turn.
    pub fn push(&mut self, mine: Move, theirs: Move) {
        let defected = theirs == Move::Defect;
        self.turns = self.turns.saturating_add(1);
        self.my_last = mine;
        self.their_recent = self.their_recent << 1 | u8::from(defected);
        self.their_defections = self.their_defections.saturating_add(u32::from(defected));
        self.my_score += self.payoffs.score(mine, theirs);
        self.their_score += self.payoffs.score(theirs, mine);
    }

    /// How many turns were played.
    #[must_use]
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// The own last move; none before the first turn.
    #[must_use]
    pub fn my_last(&self) -> Option<Move> {
        (self.turns > 0).then_some(self.my_last)
    }

    /// The opponent's last move; none before the first turn.
    #[must_use]
    pub fn their_last(&self) -> Option<Move> {
        (self.turns > 0).then_some(Move::defect_if(self.their_recent & 1 == 1))
    }

    /// The opponent's last eight moves, the latest in the lowest bit, a defection as 1; what was not
    /// yet played is 0.
    #[must_use]
    pub fn their_recent(&self) -> u8 {
        self.their_recent
    }

    /// How often the opponent defected.
    #[must_use]
    pub fn their_defections(&self) -> u32 {
        self.their_defections
    }

    /// How far the own score is ahead of the opponent's; negative where it is behind.
    #[must_use]
    pub fn lead(&self) -> f64 {
        self.my_score - self.their_score
    }
}
