//! The rules, through what the node would pass to players and back.

use auction::{Kind, Observation, Trader};

use super::*;

fn start(config: &str, players: &[&str]) -> Result<(Market, Outcome), String> {
    let players = players.iter().map(|player| (*player).to_owned()).collect();
    Market::start(Setup { config: config.to_owned(), seed: 42, players })
}

/// What traders of a kind answer, each in its seat.
fn answers(traders: &mut [Trader], prompts: &Prompts) -> Vec<(u32, u32, Vec<u8>)> {
    let asked = prompts.iter().filter(|prompt| !prompt.final_);
    asked
        .map(|prompt| {
            let seen: Observation = serde_json::from_slice(prompt.observation).unwrap();
            let price = traders[prompt.seat as usize].decide(&seen);
            let named = price.map_or_else(Vec::new, |price| price.to_string().into_bytes());
            (prompt.player, prompt.seat, named)
        })
        .collect()
}

fn actions(answers: &[(u32, u32, Vec<u8>)]) -> Vec<Action<'_>> {
    answers
        .iter()
        .map(|(player, seat, named)| Action { player: *player, seat: *seat, choice: Some(named) })
        .collect()
}

fn traders(kind: Kind) -> Vec<Trader> {
    (0..12).map(|seat| Trader::new(kind, 7, seat)).collect()
}

#[test]
fn through_the_wire_the_market_is_that_of_the_core_however_traders_are_dealt() {
    let mut core = Auction::new(Settings::default(), 42).unwrap();
    let mut own = traders(Kind::Zip);
    while !core.is_over() {
        let quotes: Vec<_> =
            own.iter_mut().enumerate().map(|(at, trader)| trader.decide(&core.observation(at))).collect();
        core.round(&quotes);
    }
    let crowd: Vec<String> = (0..12).map(|place| place.to_string()).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    for players in [&["a"][..], &["a", "b", "c", "d", "e"], &crowd] {
        let (mut rules, mut outcome) = start("", players).unwrap();
        let mut traders = traders(Kind::Zip);
        let mut periods = 0;
        while !outcome.finished {
            assert_eq!(outcome.prompts.len(), 12);
            let answers = answers(&mut traders, &outcome.prompts);
            outcome = rules.step(&actions(&answers)).unwrap();
            periods += outcome.events.iter().filter(|event| event.kind == "period.finished").count();
        }
        assert_eq!((rules.auction.periods(), periods), (core.periods(), 6));
        assert!(outcome.prompts.iter().all(|prompt| prompt.final_));
        let told: serde_json::Value = serde_json::from_slice(&outcome.events[1].content.body).unwrap();
        assert_eq!(outcome.events[1].kind, "market.finished");
        let gains = told["players"].as_array().unwrap().iter().map(|gain| gain["profit"].as_i64().unwrap());
        assert_eq!(gains.sum::<i64>(), (0..12).map(|trader| core.profit(trader)).sum::<i64>());
        assert!(rules.step(&[]).unwrap().finished);
    }
}

#[test]
fn what_is_no_price_or_of_another_seat_is_nothing() {
    let (mut rules, _) = start("", &["a", "b"]).unwrap();
    let named = |player, seat, choice| Action { player, seat, choice: Some(choice) };
    let wrong = [
        named(0, 0, b"much"),
        named(0, 1, b"100"),
        named(1, 1, b"201"),
        named(0, 12, b"100"),
        named(9, u32::MAX, b"100"),
        Action { choice: None, ..named(0, 2, b"") },
    ];
    let outcome = rules.step(&wrong).unwrap();
    let seen: Observation =
        serde_json::from_slice(outcome.prompts.iter().next().unwrap().observation).unwrap();
    assert_eq!((seen.bid, seen.ask, seen.shouts), (None, None, vec![]));
    rules.step(&[named(0, 0, b"100"), named(1, 1, b"90")]).unwrap();
    assert_eq!(rules.auction.observation(5).bid, Some(100));
}

#[test]
fn a_restored_state_goes_on_alike_and_a_damaged_one_is_refused_or_harmless() {
    let (mut rules, mut outcome) = start("{\"rounds\": 20}", &["a"]).unwrap();
    let mut traders = traders(Kind::ZiC);
    for _ in 0..10 {
        let answers = answers(&mut traders, &outcome.prompts);
        outcome = rules.step(&actions(&answers)).unwrap();
    }
    let bytes = rules.snapshot().unwrap();
    let mut twin = Market::decode(Market::SCHEMA, &bytes).unwrap();
    for _ in 0..30 {
        let answers = answers(&mut traders, &outcome.prompts);
        outcome = rules.step(&actions(&answers)).unwrap();
        assert_eq!(twin.step(&actions(&answers)).unwrap(), outcome);
    }
    assert_eq!(twin.snapshot().unwrap(), rules.snapshot().unwrap());
    let crossing = [
        Action { player: 0, seat: 0, choice: Some(b"102") },
        Action { player: 0, seat: 6, choice: Some(b"1") },
    ];
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x81;
        if let Ok(mut accepted) = Market::decode(Market::SCHEMA, &damaged) {
            accepted.step(&crossing).unwrap();
            accepted.view();
        }
    }
}

#[test]
fn the_schema_speaks_of_the_settings() {
    check::schema_speaks_of::<Settings>(CONFIG_SCHEMA);
}

#[test]
fn wrong_setups_are_named() {
    assert!(start("", &[]).is_err() && start("", &["x"; 13]).is_err());
    for config in ["{\"value\": []}", "{\"values\": []}", "{\"costs\": [[0]]}", "{"] {
        assert!(start(config, &["a"]).is_err_and(|why| why.starts_with("config: ")), "{config}");
    }
}

#[test]
fn the_view_is_a_picture() {
    let (mut rules, _) = start("", &["a"]).unwrap();
    let named = |seat, choice| Action { player: 0, seat, choice: Some(choice) };
    rules.step(&[named(0, b"120"), named(6, b"80")]).unwrap();
    let view = rules.view();
    assert_eq!(view.content_type, "image/svg+xml");
    let svg = String::from_utf8(view.body).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<circle").count(), 1);
}
