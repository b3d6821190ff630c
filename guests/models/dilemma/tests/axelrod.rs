//! Every pair of strategies, score by score, against tables made with Axelrod-Python.

#![expect(clippy::unwrap_used, reason = "a test ends where its table is not as it should be")]

use std::collections::BTreeMap;

use dilemma::game::{Move, Payoffs};
use dilemma::strategies::Strategy;
use dilemma::strategist::Strategist;
use dilemma::tournament::{Settings, Tournament};
use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    turns: u32,
    payoffs: Payoffs,
    strategies: Vec<String>,
    matches: Vec<Row>,
    totals_without_self_play: BTreeMap<String, f64>,
    ranking_without_self_play: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Row {
    a: String,
    b: String,
    score_a: f64,
    score_b: f64,
    cooperations_a: u32,
    cooperations_b: u32,
}

#[test]
fn plays_as_in_200_turns() {
    check(include_str!("../../../../tests/data/axelrod-4.14.0-turns-200.json"));
}

#[test]
fn plays_as_in_37_turns_with_other_payoffs() {
    check(include_str!("../../../../tests/data/axelrod-4.14.0-turns-37.json"));
}

/// Plays the table's tournament, move by move over the wire format.
fn check(json: &str) {
    let table: Table = serde_json::from_str(json).unwrap();
    assert_eq!(table.strategies, Strategy::NAMES);
    let settings =
        Settings { turns: table.turns, payoffs: table.payoffs, self_play: true, on_invalid: Move::Defect };
    let mut tournament = Tournament::new(settings, 24);
    // One strategy ends its games by their length, which the table's players knew.
    let strategies: Vec<Strategy> =
        Strategy::NAMES.iter().map(|name| Strategy::named(name, Some(table.turns)).unwrap()).collect();
    let mut players = vec![Strategist::default(); 24];
    while !tournament.is_over() {
        let mut moves = Vec::new();
        for (number, (player, strategy)) in (0..).zip(players.iter_mut().zip(&strategies)) {
            for seat in tournament.seats(number) {
                let at = tournament.side(number, seat).unwrap();
                let seen = tournament.observation(at).to_bytes();
                moves.push((at, player.decide("m", seat, &seen, strategy).unwrap()));
            }
        }
        tournament.play(moves);
    }

    assert_eq!(tournament.matches().len(), 300);
    for (game, row) in tournament.matches().iter().zip(&table.matches) {
        let [a, b] = game.players.map(|player| table.strategies[player as usize].clone());
        let played = Row {
            a,
            b,
            score_a: game.scores[0],
            score_b: game.scores[1],
            cooperations_a: game.cooperations[0],
            cooperations_b: game.cooperations[1],
        };
        assert_eq!(&played, row);
    }
    let standings = tournament.standings();
    let ranking: Vec<&String> =
        standings.iter().map(|standing| &table.strategies[standing.player as usize]).collect();
    assert_eq!(ranking, table.ranking_without_self_play.iter().collect::<Vec<_>>());
    for (standing, name) in standings.iter().zip(ranking) {
        assert!((standing.total - table.totals_without_self_play[name]).abs() < f64::EPSILON, "{name}");
    }
}
