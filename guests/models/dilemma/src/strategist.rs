//! A player of many games at once, all by one strategy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::game::Move;
use crate::past::Past;
use crate::strategies::Strategy;
use crate::wire::Observation;

/// How many games are remembered at once: some hundred bytes each, and ten times what the largest
/// tournament seats a player for. Rules that ask for more are refused.
const GAMES_MAX: usize = 4096;

/// Plays every seat of every Matrix by one strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Strategist {
    /// By Matrix and seat. Ordered, so that the same games are saved as the same bytes.
    games: BTreeMap<String, BTreeMap<u32, Game>>,
}

/// One seat's game.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Game {
    past: Past,
    strategy: Strategy,
}

impl Strategist {
    /// The move of one seat that sees `observation`. A first observation begins a new game by a copy
    /// of `strategy`, whatever went on in that seat before.
    ///
    /// # Errors
    /// Where the observation is none, or of a game whose beginning was not seen, or too many games go
    /// on.
    pub fn decide(
        &mut self,
        matrix: &str,
        seat: u32,
        observation: &[u8],
        strategy: &Strategy,
    ) -> Result<Move, String> {
        let seen = Observation::from_bytes(observation).ok_or_else(|| {
            format!("seat {seat} of `{matrix}`: {} bytes that are no observation", observation.len())
        })?;
        match seen {
            Observation::First(payoffs) => {
                self.close(matrix, seat);
                if self.games.values().map(BTreeMap::len).sum::<usize>() >= GAMES_MAX {
                    return Err(format!("seat {seat} of `{matrix}`: {GAMES_MAX} games go on already"));
                }
                let mut game = Game { past: Past::new(payoffs), strategy: strategy.clone() };
                let decided = game.strategy.decide(&game.past);
                self.games.entry(matrix.to_owned()).or_default().insert(seat, game);
                Ok(decided)
            }
            Observation::Later { mine, theirs } => {
                let game =
                    self.games.get_mut(matrix).and_then(|seats| seats.get_mut(&seat)).ok_or_else(|| {
                        format!("seat {seat} of `{matrix}`: its game's first turn was never seen")
                    })?;
                game.past.push(mine, theirs);
                Ok(game.strategy.decide(&game.past))
            }
        }
    }

    /// Forgets a seat's game, which is over.
    pub fn close(&mut self, matrix: &str, seat: u32) {
        if let Some(seats) = self.games.get_mut(matrix) {
            seats.remove(&seat);
            if seats.is_empty() {
                self.games.remove(matrix);
            }
        }
    }

    /// How many games go on.
    #[must_use]
    pub fn games(&self) -> usize {
        self.games.values().map(BTreeMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::Payoffs;

    #[test]
    fn seats_and_matrices_do_not_mix() {
        let strategy = Strategy::named("TitForTat", None).unwrap();
        let first = Observation::First(Payoffs::default()).to_bytes();
        let mut player = Strategist::default();
        for (matrix, seat) in [("a", 0), ("a", 1), ("b", 0)] {
            assert_eq!(player.decide(matrix, seat, &first, &strategy), Ok(Move::Cooperate));
        }
        assert_eq!(player.decide("a", 0, b"CD", &strategy), Ok(Move::Defect));
        assert_eq!(player.decide("a", 1, b"CC", &strategy), Ok(Move::Cooperate));
        assert_eq!(player.decide("b", 0, b"CC", &strategy), Ok(Move::Cooperate));
        player.close("a", 0);
        assert!(player.decide("a", 0, b"CC", &strategy).is_err());
        assert_eq!(player.games(), 2);
    }

    #[test]
    fn a_first_turn_begins_anew() {
        let strategy = Strategy::named("Grudger", None).unwrap();
        let first = Observation::First(Payoffs::default()).to_bytes();
        let mut player = Strategist::default();
        player.decide("a", 0, &first, &strategy).unwrap();
        assert_eq!(player.decide("a", 0, b"CD", &strategy), Ok(Move::Defect));
        assert_eq!(player.decide("a", 0, &first, &strategy), Ok(Move::Cooperate));
        assert_eq!(player.games(), 1);
    }

    #[test]
    fn games_are_bounded() {
        let strategy = Strategy::named("Cooperator", None).unwrap();
        let first = Observation::First(Payoffs::default()).to_bytes();
        let mut player = Strategist::default();
        for seat in 0..4096 {
            player.decide("a", seat, &first, &strategy).unwrap();
        }
        assert!(player.decide("a", 4096, &first, &strategy).is_err());
        assert!(player.decide("a", 7, &first, &strategy).is_ok(), "a seat that is known begins anew");
    }
}
