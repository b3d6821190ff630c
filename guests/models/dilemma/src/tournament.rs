//! A round robin: every player against every other, all matches side by side, one turn at a time.
//!
//! A player's seats are numbered by its opponents: in seat `i` it plays against player `i`. With
//! self-play it also plays against itself, in the seat of its own number and in one more, whose number
//! is the count of players.

use serde::{Deserialize, Serialize};

use crate::game::{Move, Payoffs};
use crate::wire::Observation;

/// How a tournament is played.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How many turns every match has; at least 1.
    pub turns: u32,
    /// What a turn earns.
    pub payoffs: Payoffs,
    /// Whether every player also meets itself.
    pub self_play: bool,
    /// What a move counts as that did not come, or is none.
    pub on_invalid: Move,
}

/// One match: side 0 is the player with the lower number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// The two players; the same number twice in self-play.
    pub players: [u32; 2],
    /// What each side has earned.
    pub scores: [f64; 2],
    /// How often each side cooperated.
    pub cooperations: [u32; 2],
    /// What each side did in the last turn; cooperation before the first.
    pub last: [Move; 2],
}

/// A side of a match, by the number of the match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Place in [`Tournament::matches`].
    pub game: usize,
    /// 0 or 1.
    pub side: usize,
}

/// The state of a whole tournament.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tournament {
    settings: Settings,
    players: u32,
    turn: u32,
    matches: Vec<Match>,
}

/// How a player did.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its number.
    pub player: u32,
    /// What it earned against all others.
    pub total: f64,
    /// The same, and what it earned against itself, as the mean of its two sides; without self-play
    /// it is the same number.
    pub total_with_self_play: f64,
    /// The share of cooperation in all its moves, self-play included.
    pub cooperation: f64,
}

impl Tournament {
    /// A tournament that has not begun.
    #[must_use]
    pub fn new(settings: Settings, players: u32) -> Self {
        let mut matches = Vec::new();
        for a in 0..players {
            let first = if settings.self_play { a } else { a + 1 };
            for b in first..players {
                matches.push(Match {
                    players: [a, b],
                    scores: [0.0; 2],
                    cooperations: [0; 2],
                    last: [Move::Cooperate; 2],
                });
            }
        }
        Self { settings, players, turn: 0, matches }
    }

    /// How it is played.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many players there are.
    #[must_use]
    pub fn players(&self) -> u32 {
        self.players
    }

    /// How many turns were played.
    #[must_use]
    pub fn turn(&self) -> u32 {
        self.turn
    }

    /// Whether every match is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.turn >= self.settings.turns
    }

    /// Every match, ordered by its players.
    #[must_use]
    pub fn matches(&self) -> &[Match] {
        &self.matches
    }

    /// Every seat of a player, in ascending order.
    pub fn seats(&self, player: u32) -> impl Iterator<Item = u32> + use<> {
        let (players, self_play) = (self.players, self.settings.self_play);
        (0..=players).filter(move |seat| self_play || (*seat != player && *seat != players))
    }

    /// The side that a player's seat plays; none where there is no such seat.
    #[must_use]
    pub fn side(&self, player: u32, seat: u32) -> Option<Side> {
        let self_play = self.settings.self_play;
        let against_itself = seat == player || seat == self.players;
        if player >= self.players || seat > self.players || (against_itself && !self_play) {
            return None;
        }
        let opponent = if seat == self.players { player } else { seat };
        let (low, high) = (player.min(opponent), player.max(opponent));
        let is_second = player > opponent || seat == self.players;
        Some(Side { game: self.place(low, high), side: usize::from(is_second) })
    }

    /// What a side sees now.
    #[must_use]
    pub fn observation(&self, at: Side) -> Observation {
        if self.turn == 0 {
            return Observation::First(self.settings.payoffs);
        }
        let last = self.matches[at.game].last;
        Observation::Later { mine: last[at.side], theirs: last[1 - at.side] }
    }

    /// What a side earned in the last turn; 0 before the first.
    #[must_use]
    pub fn reward(&self, at: Side) -> f64 {
        if self.turn == 0 {
            return 0.0;
        }
        let last = self.matches[at.game].last;
        self.settings.payoffs.score(last[at.side], last[1 - at.side])
    }

    /// Plays one turn of every match. Moves come in any order; of several for one side the last
    /// counts, and a side without any does what [`Settings::on_invalid`] says.
    pub fn play(&mut self, moves: impl IntoIterator<Item = (Side, Move)>) {
        for game in &mut self.matches {
            game.last = [self.settings.on_invalid; 2];
        }
        for (at, choice) in moves {
            self.matches[at.game].last[at.side] = choice;
        }
        for game in &mut self.matches {
            let [a, b] = game.last;
            game.scores[0] += self.settings.payoffs.score(a, b);
            game.scores[1] += self.settings.payoffs.score(b, a);
            for (count, choice) in game.cooperations.iter_mut().zip(game.last) {
                *count += u32::from(choice == Move::Cooperate);
            }
        }
        self.turn += 1;
    }

    /// The share of sides that cooperated in the last turn; 0 before the first.
    #[must_use]
    pub fn cooperation_rate(&self) -> f64 {
        self.mean_of_sides(|game, side| f64::from(u8::from(game.last[side] == Move::Cooperate)))
    }

    /// What a side earned in the last turn, on average; 0 before the first.
    #[must_use]
    pub fn payoff_mean(&self) -> f64 {
        let payoffs = self.settings.payoffs;
        self.mean_of_sides(|game, side| payoffs.score(game.last[side], game.last[1 - side]))
    }

    /// How the players did so far: the best first, by what they earned against all others; those who
    /// earned the same in the order of their numbers.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        let mut standings: Vec<Standing> = (0..self.players).map(|player| self.standing(player)).collect();
        standings.sort_by(|a, b| b.total.total_cmp(&a.total));
        standings
    }

    /// How often a player cooperated with an opponent, as a share of the turns; in self-play the mean
    /// of both sides. None where they do not meet, or have not yet.
    #[must_use]
    pub fn cooperation_with(&self, player: u32, opponent: u32) -> Option<f64> {
        let at = self.side(player, opponent)?;
        let game = &self.matches[at.game];
        let turns = (self.turn > 0).then(|| f64::from(self.turn))?;
        let counted = if player == opponent {
            f64::midpoint(f64::from(game.cooperations[0]), f64::from(game.cooperations[1]))
        } else {
            f64::from(game.cooperations[at.side])
        };
        Some(counted / turns)
    }

    fn standing(&self, player: u32) -> Standing {
        let (mut total, mut own, mut cooperations, mut sides) = (0.0, 0.0, 0.0, 0.0);
        for at in self.seats(player).filter_map(|seat| self.side(player, seat)) {
            let game = &self.matches[at.game];
            if game.players[0] == game.players[1] {
                own += game.scores[at.side] / 2.0;
            } else {
                total += game.scores[at.side];
            }
            cooperations += f64::from(game.cooperations[at.side]);
            sides += 1.0;
        }
        let moves = sides * f64::from(self.turn);
        Standing {
            player,
            total,
            total_with_self_play: total + own,
            cooperation: if moves > 0.0 { cooperations / moves } else { 0.0 },
        }
    }

    /// The mean over both sides of all matches; 0 before the first turn.
    fn mean_of_sides(&self, figure: impl Fn(&Match, usize) -> f64) -> f64 {
        if self.turn == 0 || self.matches.is_empty() {
            return 0.0;
        }
        let (mut sum, mut sides) = (0.0, 0.0);
        for game in &self.matches {
            sum += figure(game, 0) + figure(game, 1);
            sides += 2.0;
        }
        sum / sides
    }

    /// Where the match of two players is, `low` not above `high`. The matches of players before `low`
    /// fill the triangle above it.
    fn place(&self, low: u32, high: u32) -> usize {
        let (low, high, players) = (low as usize, high as usize, self.players as usize);
        if self.settings.self_play {
            low * players - low * low.saturating_sub(1) / 2 + high - low
        } else {
            low * players - low * (low + 1) / 2 + high - low - 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tournament(players: u32, self_play: bool) -> Tournament {
        let settings =
            Settings { turns: 2, payoffs: Payoffs::default(), self_play, on_invalid: Move::Defect };
        Tournament::new(settings, players)
    }

    proptest! {
        #[test]
        fn every_side_is_one_seat(players in 2_u32..20, self_play: bool) {
            let tournament = tournament(players, self_play);
            let mut seen = vec![[0; 2]; tournament.matches().len()];
            for player in 0..players {
                for seat in tournament.seats(player) {
                    let at = tournament.side(player, seat).unwrap();
                    prop_assert_eq!(tournament.matches()[at.game].players[at.side], player);
                    seen[at.game][at.side] += 1;
                }
                prop_assert_eq!(tournament.side(player, players + 1), None);
            }
            prop_assert!(seen.iter().all(|sides| *sides == [1, 1]));
            prop_assert_eq!(tournament.side(players, 0), None);
        }
    }

    #[test]
    fn a_missing_move_counts_as_the_default() {
        let mut tournament = tournament(2, false);
        tournament.play([(Side { game: 0, side: 0 }, Move::Cooperate)]);
        assert_eq!(tournament.matches()[0].last, [Move::Cooperate, Move::Defect]);
        assert_eq!(tournament.matches()[0].scores, [0.0, 5.0]);
        assert!((tournament.cooperation_rate() - 0.5).abs() < 1e-12);
        assert!((tournament.payoff_mean() - 2.5).abs() < 1e-12);
        assert!(!tournament.is_over());
        tournament.play([]);
        assert!(tournament.is_over());
    }
}
