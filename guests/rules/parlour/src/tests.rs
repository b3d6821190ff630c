//! The rules, through what the node would pass to players and back.

use super::*;

fn start(config: &str, players: &[&str]) -> Result<(Parlour, Outcome), String> {
    let players = players.iter().map(|player| (*player).to_owned()).collect();
    Parlour::start(Setup { config: config.to_owned(), seed: 42, players })
}

fn say(rules: &mut Parlour, player: u32, text: &str) -> Outcome {
    rules.step(&[Action { player, seat: 0, choice: Some(text.as_bytes()) }]).unwrap()
}

/// Who is asked, what it sees, and what it earned.
fn asked(outcome: &Outcome) -> Vec<(u32, serde_json::Value, f64)> {
    let asked = outcome.prompts.iter();
    asked
        .map(|prompt| (prompt.player, serde_json::from_slice(prompt.observation).unwrap(), prompt.reward))
        .collect()
}

fn event(outcome: &Outcome) -> (&str, serde_json::Value) {
    let event = &outcome.events[0];
    (event.kind.as_str(), serde_json::from_slice(&event.content.body).unwrap())
}

#[test]
fn a_talk_goes_from_turn_to_turn() {
    let config = "{\"topic\": \"bees\", \"turns\": 3, \"banned\": [\"wasp*\"]}";
    let (mut rules, outcome) = start(config, &["ada", "bob"]).unwrap();
    let (player, scene, _) = asked(&outcome).remove(0);
    assert_eq!(
        (player, &scene["topic"], &scene["you"], &scene["said"]),
        (0, &"bees".into(), &"ada".into(), &serde_json::json!([]))
    );
    let outcome = say(&mut rules, 0, " Bees dance. ");
    assert_eq!(event(&outcome), ("talk.said", serde_json::json!({"speaker": "ada", "text": "Bees dance."})));
    assert_eq!(outcome.signals[0].name, "participation.evenness");
    let (player, scene, _) = asked(&outcome).remove(0);
    assert_eq!(
        (player, &scene["said"][0]["text"], &scene["turns_left"]),
        (1, &"Bees dance.".into(), &2.into())
    );

    let outcome = say(&mut rules, 1, "and wasps?");
    assert_eq!(event(&outcome).1["turn_lost"], false);
    let (player, scene, _) = asked(&outcome).remove(0);
    assert_eq!((player, &scene["warning"]), (1, &"`wasp*` must not be said".into()));
    let outcome = say(&mut rules, 1, "but wasps!");
    assert_eq!((event(&outcome).0, &event(&outcome).1["turn_lost"]), ("talk.objected", &true.into()));
    let (player, scene, earned) = asked(&outcome).remove(0);
    assert_eq!((player, scene.get("warning"), earned), (0, None, 1.0));

    // Not whose turn it is, and no text: silence.
    let wrong = [
        Action { player: 1, seat: 0, choice: Some(b"me too") },
        Action { player: 0, seat: 0, choice: Some(b"\xff") },
    ];
    let outcome = rules.step(&wrong).unwrap();
    assert!(outcome.finished);
    let told = asked(&outcome);
    assert_eq!(
        told.iter().map(|(player, _, earned)| (*player, *earned)).collect::<Vec<_>>(),
        [(0, 0.0), (1, -1.0)]
    );
    let (kind, finished) = event(&outcome);
    assert_eq!((kind, &finished["speakers"][0]["words"]), ("talk.finished", &2.into()));
    assert_eq!(
        finished["speakers"][1],
        serde_json::json!({"speaker": "bob", "words": 0, "warnings": 1, "turns_lost": 1})
    );
    assert!(rules.step(&[]).unwrap().finished);
}

#[test]
fn a_restored_state_goes_on_alike_and_a_damaged_one_is_refused_or_harmless() {
    let (mut rules, _) = start("{\"order\": \"drawn\"}", &["a", "b", "c"]).unwrap();
    for text in ["one two three", "two three four", "yes"] {
        let speaker = rules.talk.speaker();
        say(&mut rules, speaker, text);
    }
    let bytes = rules.snapshot().unwrap();
    let mut twin = Parlour::decode(Parlour::SCHEMA, &bytes).unwrap();
    for round in 0..20 {
        let (speaker, text) = (rules.talk.speaker(), format!("in round {round} I say so"));
        assert_eq!(say(&mut twin, speaker, &text), say(&mut rules, speaker, &text));
    }
    assert_eq!(twin.snapshot().unwrap(), rules.snapshot().unwrap());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x81;
        if let Ok(mut accepted) = Parlour::decode(Parlour::SCHEMA, &damaged) {
            let speaker = accepted.talk.speaker();
            say(&mut accepted, speaker, "whatever");
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
    assert!(start("", &["a"]).is_err() && start("", &["x"; 51]).is_err());
    for config in ["{\"turn\": 1}", "{\"turns\": 0}", "{\"order\": \"loud\"}", "{"] {
        assert!(start(config, &["a", "b"]).is_err_and(|why| why.starts_with("config: ")), "{config}");
    }
}

#[test]
fn the_view_is_a_picture_without_foreign_markup() {
    let (mut rules, _) = start("", &["<script>", "b&b"]).unwrap();
    say(&mut rules, 0, "look: <b>bold</b>\u{1} & so on");
    let view = rules.view();
    let svg = String::from_utf8(view.body).unwrap();
    assert_eq!(view.content_type, "image/svg+xml");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(
        !svg.contains("<script>")
            && !svg.contains("<b>")
            && !svg.contains('\u{1}')
            && svg.contains("b&amp;b")
    );
}
