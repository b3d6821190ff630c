//! What the events of these rules tell, as JSON.

use dilemma::tournament::{Match, Tournament};
use serde::Serialize;

/// `match.finished`: side by side, the player with the lower number first.
#[derive(Serialize)]
pub(crate) struct MatchReport<'a> {
    players: [&'a str; 2],
    scores: [f64; 2],
    cooperations: [u32; 2],
}

/// `tournament.finished`.
#[derive(Serialize)]
pub(crate) struct TournamentReport<'a> {
    turns: u32,
    matches: usize,
    self_play: bool,
    /// The best first, by what was earned against all others.
    ranking: Vec<Rank<'a>>,
}

#[derive(Serialize)]
struct Rank<'a> {
    rank: u32,
    player: &'a str,
    total_without_self_play: f64,
    /// With the mean of the two sides of self-play; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_with_self_play: Option<f64>,
    cooperation_rate: f64,
}

pub(crate) fn of_match<'a>(game: &Match, players: &'a [String]) -> MatchReport<'a> {
    MatchReport {
        players: game.players.map(|player| name(players, player)),
        scores: game.scores,
        cooperations: game.cooperations,
    }
}

pub(crate) fn of_tournament<'a>(tournament: &Tournament, players: &'a [String]) -> TournamentReport<'a> {
    let self_play = tournament.settings().self_play;
    let ranks = (1..).zip(tournament.standings()).map(|(rank, standing)| Rank {
        rank,
        player: name(players, standing.player),
        total_without_self_play: standing.total,
        total_with_self_play: self_play.then_some(standing.total_with_self_play),
        cooperation_rate: standing.cooperation,
    });
    TournamentReport {
        turns: tournament.turn(),
        matches: tournament.matches().len(),
        self_play,
        ranking: ranks.collect(),
    }
}

/// A player's name; empty for a number that no player has.
pub(crate) fn name(players: &[String], player: u32) -> &str {
    players.get(player as usize).map_or("", String::as_str)
}
