//! Twenty-four strategies of the literature. They behave, move by move, as those of the same names in
//! Axelrod-Python 4.14.0 do, which the tests hold against tables made with it.
//!
//! A strategy that needs to remember more than [`Past`] has a file, and its memory in its variant.

mod contrite;
mod gradual;
mod prober;
mod shubik;
mod tideman;

use serde::{Deserialize, Serialize};

use crate::game::Move;
use crate::past::Past;
use contrite::Contrite;
use gradual::Gradual;
use prober::Prober;
use shubik::Shubik;
use tideman::Tideman;

/// For how many turns Davis trusts whatever happens.
const DAVIS_TRUSTS_TURNS: u32 = 10;

/// One strategy, in one game.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Strategy {
    /// Always cooperates.
    Cooperator,
    /// Always defects.
    Defector,
    /// Cooperates, then does what the opponent did last.
    TitForTat,
    /// Defects after two defections in a row.
    TitFor2Tats,
    /// Answers each defection by two.
    TwoTitsForTat,
    /// As `TitForTat`, but defects first.
    SuspiciousTitForTat,
    /// Never forgives a defection.
    Grudger,
    /// Cooperates and defects by turns.
    Alternator,
    /// Cooperates after a turn in which both did the same.
    WinStayLoseShift,
    /// Defects while the opponent has defected more often than not.
    GoByMajority,
    /// As `GoByMajority`, but defects on a tie, and so first.
    HardGoByMajority,
    /// Defects, then does the opposite of what the opponent did last.
    Bully,
    /// As `Bully`, but cooperates first.
    AntiTitForTat,
    /// Cooperates, cooperates, defects, over and over.
    CyclerCCD,
    /// Defects, cooperates, over and over.
    CyclerDC,
    /// Retaliates ever longer, and offers a fresh start under conditions.
    FirstByTidemanAndChieruzzi(Tideman),
    /// Retaliates ever longer.
    FirstByShubik(Shubik),
    /// As `Grudger`, after ten turns of trust.
    FirstByDavis,
    /// Punishes each defection by as many as there were, then calms down for two turns.
    Gradual(Gradual),
    /// Defects if the opponent did in the last three turns.
    HardTitForTat,
    /// Defects if the opponent did twice in a row in the last three turns.
    HardTitFor2Tats,
    /// Changes its move whenever the opponent defects.
    Appeaser,
    /// Defects, cooperates twice, and then exploits whoever did not retaliate.
    Prober(Prober),
    /// As `TitForTat`, but accepts retaliation for what it did by accident.
    ContriteTitForTat(Contrite),
}

impl Strategy {
    /// Every strategy's name, in the order of the variants.
    pub const NAMES: [&str; 24] = [
        "Cooperator",
        "Defector",
        "TitForTat",
        "TitFor2Tats",
        "TwoTitsForTat",
        "SuspiciousTitForTat",
        "Grudger",
        "Alternator",
        "WinStayLoseShift",
        "GoByMajority",
        "HardGoByMajority",
        "Bully",
        "AntiTitForTat",
        "CyclerCCD",
        "CyclerDC",
        "FirstByTidemanAndChieruzzi",
        "FirstByShubik",
        "FirstByDavis",
        "Gradual",
        "HardTitForTat",
        "HardTitFor2Tats",
        "Appeaser",
        "Prober",
        "ContriteTitForTat",
    ];

    /// The strategy of this name, at the beginning of a game; none where the name is unknown.
    /// `turns` is how many turns the game will have, where that is known: one strategy plays by it.
    #[must_use]
    pub fn named(name: &str, turns: Option<u32>) -> Option<Self> {
        Some(match name {
            "Cooperator" => Self::Cooperator,
            "Defector" => Self::Defector,
            "TitForTat" => Self::TitForTat,
            "TitFor2Tats" => Self::TitFor2Tats,
            "TwoTitsForTat" => Self::TwoTitsForTat,
            "SuspiciousTitForTat" => Self::SuspiciousTitForTat,
            "Grudger" => Self::Grudger,
            "Alternator" => Self::Alternator,
            "WinStayLoseShift" => Self::WinStayLoseShift,
            "GoByMajority" => Self::GoByMajority,
            "HardGoByMajority" => Self::HardGoByMajority,
            "Bully" => Self::Bully,
            "AntiTitForTat" => Self::AntiTitForTat,
            "CyclerCCD" => Self::CyclerCCD,
            "CyclerDC" => Self::CyclerDC,
            "FirstByTidemanAndChieruzzi" => Self::FirstByTidemanAndChieruzzi(Tideman::new(turns)),
            "FirstByShubik" => Self::FirstByShubik(Shubik::default()),
            "FirstByDavis" => Self::FirstByDavis,
            "Gradual" => Self::Gradual(Gradual::default()),
            "HardTitForTat" => Self::HardTitForTat,
            "HardTitFor2Tats" => Self::HardTitFor2Tats,
            "Appeaser" => Self::Appeaser,
            "Prober" => Self::Prober(Prober::default()),
            "ContriteTitForTat" => Self::ContriteTitForTat(Contrite::default()),
            _ => return None,
        })
    }

    /// The next move. To be called once a turn, with every turn so far in `past`.
    pub fn decide(&mut self, past: &Past) -> Move {
        use Move::{Cooperate, Defect};
        let recent = past.their_recent();
        match self {
            Self::Cooperator => Cooperate,
            Self::Defector => Defect,
            Self::TitForTat => past.their_last().unwrap_or(Cooperate),
            Self::TitFor2Tats => Move::defect_if(recent & 0b11 == 0b11),
            Self::TwoTitsForTat => Move::defect_if(recent & 0b11 != 0),
            Self::SuspiciousTitForTat => past.their_last().unwrap_or(Defect),
            Self::Grudger => Move::defect_if(past.their_defections() > 0),
            Self::Alternator => past.my_last().map_or(Cooperate, Move::opposite),
            Self::WinStayLoseShift => Move::defect_if(past.my_last() != past.their_last()),
            Self::GoByMajority => Move::defect_if(defections_twice(past) > u64::from(past.turns())),
            Self::HardGoByMajority => Move::defect_if(defections_twice(past) >= u64::from(past.turns())),
            Self::Bully => past.their_last().map_or(Defect, Move::opposite),
            Self::AntiTitForTat => past.their_last().map_or(Cooperate, Move::opposite),
            Self::CyclerCCD => Move::defect_if(past.turns() % 3 == 2),
            Self::CyclerDC => Move::defect_if(past.turns().is_multiple_of(2)),
            Self::FirstByTidemanAndChieruzzi(memory) => memory.decide(past),
            Self::FirstByShubik(memory) => memory.decide(past),
            Self::FirstByDavis => {
                Move::defect_if(past.turns() >= DAVIS_TRUSTS_TURNS && past.their_defections() > 0)
            }
            Self::Gradual(memory) => memory.decide(past),
            Self::HardTitForTat => Move::defect_if(recent & 0b111 != 0),
            Self::HardTitFor2Tats => Move::defect_if(recent & 0b11 == 0b11 || recent & 0b110 == 0b110),
            Self::Appeaser => appease(past),
            Self::Prober(memory) => memory.decide(past),
            Self::ContriteTitForTat(memory) => memory.decide(past),
        }
    }
}

/// Twice the opponent's defections: to be held against the number of turns.
fn defections_twice(past: &Past) -> u64 {
    2 * u64::from(past.their_defections())
}

/// The own last move again, or its opposite where the opponent was not content with it.
fn appease(past: &Past) -> Move {
    let last = past.my_last().unwrap_or(Move::Cooperate);
    if past.their_last() == Some(Move::Defect) { last.opposite() } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_strategy() {
        for name in Strategy::NAMES {
            let strategy = Strategy::named(name, None).expect(name);
            let shown = format!("{strategy:?}");
            assert_eq!(shown.split(['(', ' ']).next(), Some(name));
        }
        assert_eq!(Strategy::named("titfortat", None), None);
    }
}
