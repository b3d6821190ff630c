//! Contrite Tit For Tat.

use serde::{Deserialize, Serialize};

use crate::game::Move;
use crate::past::Past;

/// Tit For Tat that knows when a defection of its own was none of its doing: where what was counted
/// differs from what it had decided, it bears the retaliation until it has cooperated again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contrite {
    contrite: bool,
    /// What it decided last.
    meant: Option<Move>,
}

impl Contrite {
    pub(super) fn decide(&mut self, past: &Past) -> Move {
        let decided = self.respond(past);
        self.meant = Some(decided);
        decided
    }

    fn respond(&mut self, past: &Past) -> Move {
        let (Some(mine), Some(theirs)) = (past.my_last(), past.their_last()) else {
            return Move::Cooperate;
        };
        if self.contrite && mine == Move::Cooperate {
            self.contrite = false;
            return Move::Cooperate;
        }
        let accident = self.meant != Some(mine);
        if accident && mine == Move::Defect && theirs == Move::Cooperate {
            self.contrite = true;
        }
        theirs
    }
}
