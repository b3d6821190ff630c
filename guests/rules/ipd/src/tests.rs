//! The rules against the players, through what the node would pass between them.

use dilemma::strategies::Strategy;
use dilemma::strategist::Strategist;

use super::*;

const FULL: &str = include_str!("../../../../tests/data/axelrod-4.14.0-turns-200.json");

fn setup(config: &str, players: &[&str]) -> Setup {
    let players = players.iter().map(|player| (*player).to_owned()).collect();
    Setup { config: config.to_owned(), seed: 42, players }
}

/// What players of these strategies answer.
fn answer(players: &mut [Strategist], strategies: &[&str], prompts: &Prompts) -> Vec<Action<'static>> {
    let asked = prompts.iter().filter(|prompt| !prompt.final_);
    asked
        .map(|prompt| {
            let place = prompt.player as usize;
            let strategy = Strategy::named(strategies[place], Some(200)).unwrap();
            let decided = players[place].decide("m", prompt.seat, prompt.observation, &strategy).unwrap();
            Action { player: prompt.player, seat: prompt.seat, choice: Some(letter(decided)) }
        })
        .collect()
}

fn letter(decided: Move) -> &'static [u8] {
    if decided == Move::Cooperate { b"C" } else { b"D" }
}

fn json(content: &Content) -> serde_json::Value {
    assert_eq!(content.content_type, "application/json");
    serde_json::from_slice(&content.body).unwrap()
}

#[test]
fn a_tournament_ends_as_the_reference_does() {
    let reference: serde_json::Value = serde_json::from_str(FULL).unwrap();
    let (mut rules, mut outcome) = Ipd::start(setup("", &Strategy::NAMES)).unwrap();
    let mut players = vec![Strategist::default(); 24];
    let mut ticks = 0;
    while !outcome.finished {
        assert_eq!(outcome.prompts.len(), 24 * 25);
        let actions = answer(&mut players, &Strategy::NAMES, &outcome.prompts);
        outcome = rules.step(&actions).unwrap();
        ticks += 1;
    }
    assert_eq!(ticks, 200);
    assert!(outcome.prompts.len() == 600 && outcome.prompts.iter().all(|prompt| prompt.final_));

    assert_eq!(outcome.events.len(), 301);
    for (event, row) in outcome.events.iter().zip(reference["matches"].as_array().unwrap()) {
        let told = json(&event.content);
        assert_eq!(event.kind, "match.finished");
        assert_eq!(told["players"], serde_json::json!([row["a"], row["b"]]));
        assert_eq!(told["scores"][0].as_f64(), row["score_a"].as_f64());
        assert_eq!(told["scores"][1].as_f64(), row["score_b"].as_f64());
        assert_eq!(told["cooperations"], serde_json::json!([row["cooperations_a"], row["cooperations_b"]]));
    }
    let last = outcome.events.last().unwrap();
    assert_eq!(last.kind, "tournament.finished");
    let told = json(&last.content);
    for (rank, name) in told["ranking"]
        .as_array()
        .unwrap()
        .iter()
        .zip(reference["ranking_without_self_play"].as_array().unwrap())
    {
        assert_eq!(&rank["player"], name);
        let total = &reference["totals_without_self_play"][name.as_str().unwrap()];
        assert_eq!(rank["total_without_self_play"].as_f64(), total.as_f64());
    }
}

#[test]
fn wrong_actions_are_the_players_loss() {
    for (config, expected) in [("", 0.0), ("{\"on_invalid\": \"cooperate\"}", 1.0)] {
        let (mut rules, outcome) = Ipd::start(setup(config, &["a", "b", "c"])).unwrap();
        let wrong: [Option<&[u8]>; 5] = [None, Some(b""), Some(b"c"), Some(b"CC"), Some(&[0; 4096])];
        let mut actions: Vec<Action<'_>> = outcome
            .prompts
            .iter()
            .zip(wrong.iter().cycle())
            .map(|(prompt, choice)| Action { player: prompt.player, seat: prompt.seat, choice: *choice })
            .collect();
        let cooperate = Some(&b"C"[..]);
        actions.push(Action { player: 3, seat: 0, choice: cooperate });
        actions.push(Action { player: u32::MAX, seat: u32::MAX, choice: cooperate });
        actions.push(Action { player: 0, seat: 4, choice: cooperate });
        let outcome = rules.step(&actions).unwrap();
        assert_eq!(outcome.signals[0].name, "cooperation.rate");
        assert!((outcome.signals[0].value - expected).abs() < 1e-12);
    }
}

#[test]
fn the_description_says_that_both_are_discrete() {
    let description = Ipd::describe();
    let actions = matrix_sdk::discrete::Actions::of(&description.action_type, 2).unwrap();
    assert_eq!(actions.words(), ["C", "D"]);
    assert_eq!(matrix_sdk::discrete::observations(&description.observation_type), Ok(5));
}

#[test]
fn self_play_is_an_option() {
    let (_, with) = Ipd::start(setup("", &["a", "b"])).unwrap();
    let (_, without) = Ipd::start(setup("{\"self_play\": false}", &["a", "b"])).unwrap();
    let seats = |outcome: &Outcome| -> Vec<(u32, u32)> {
        outcome.prompts.iter().map(|prompt| (prompt.player, prompt.seat)).collect()
    };
    assert_eq!(seats(&with), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
    assert_eq!(seats(&without), [(0, 1), (1, 0)]);
}

#[test]
fn a_restored_state_goes_on_alike() {
    let strategies = ["TitForTat", "Alternator", "Gradual"];
    let (mut rules, mut outcome) = Ipd::start(setup("{\"turns\": 9}", &strategies)).unwrap();
    let mut players = vec![Strategist::default(); 3];
    while !outcome.finished {
        let bytes = rules.snapshot().unwrap();
        let mut twin = Ipd::decode(Ipd::SCHEMA, &bytes).unwrap();
        assert_eq!(twin.snapshot().unwrap(), bytes);
        let actions = answer(&mut players, &strategies, &outcome.prompts);
        outcome = rules.step(&actions).unwrap();
        assert_eq!(twin.step(&actions).unwrap(), outcome);
    }
    assert!(rules.step(&[]).unwrap().finished, "a step too many changes nothing");
}

#[test]
fn too_few_and_too_many_players_are_refused() {
    let crowd = vec!["x"; 101];
    for players in [&[][..], &["a"], &crowd] {
        assert!(Ipd::start(setup("", players)).is_err());
    }
    assert!(Ipd::start(setup("", &crowd[..100])).is_ok());
}

#[test]
fn the_view_is_a_picture_without_foreign_markup() {
    let (mut rules, _) = Ipd::start(setup("", &["<script>", "b&b"])).unwrap();
    for _ in 0..2 {
        let view = rules.view();
        let svg = String::from_utf8(view.body).unwrap();
        assert_eq!(view.content_type, "image/svg+xml");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;") && svg.contains("b&amp;b"));
        rules.step(&[]).unwrap();
    }
}
