//! The rules, through what the node would pass to players and back.

use super::*;

fn start(config: &str, players: &[&str]) -> Result<(Gridworld, Outcome), String> {
    let players = players.iter().map(|player| (*player).to_owned()).collect();
    Gridworld::start(Setup { config: config.to_owned(), seed: 42, players })
}

/// What each seat that is asked gets for answer.
fn all<'a>(outcome: &Outcome, choice: &'a [u8]) -> Vec<Action<'a>> {
    let asked = outcome.prompts.iter().filter(|prompt| !prompt.final_);
    asked.map(|prompt| Action { player: prompt.player, seat: prompt.seat, choice: Some(choice) }).collect()
}

/// Seat, what it sees, what it earned, whether it is final.
fn told(outcome: &Outcome) -> Vec<(u32, Vec<u8>, f64, bool)> {
    let told = outcome.prompts.iter();
    told.map(|prompt| (prompt.seat, prompt.observation.to_vec(), prompt.reward, prompt.final_)).collect()
}

#[test]
fn the_description_says_that_both_are_discrete() {
    let description = Gridworld::describe();
    assert_eq!(discrete::observations(&description.observation_type), Ok(401));
    let actions = discrete::Actions::of(&description.action_type, 16).unwrap();
    assert_eq!(actions.words(), ["left", "down", "right", "up"]);
}

#[test]
fn each_episode_is_a_seat_and_its_end_says_whether_it_was_cut_off() {
    let config = "{\"map\": [\"SFG\"], \"slip\": 0, \"steps_max\": 3, \"episodes\": 2}";
    let (mut rules, outcome) = start(config, &["a"]).unwrap();
    assert_eq!(told(&outcome), [(0, b"0".to_vec(), 0.0, false)]);
    let outcome = rules.step(&all(&outcome, b"right")).unwrap();
    assert_eq!(told(&outcome), [(0, b"1".to_vec(), 0.0, false)]);
    assert!(outcome.signals.is_empty());
    let outcome = rules.step(&all(&outcome, b"right")).unwrap();
    assert_eq!(told(&outcome), [(0, Vec::new(), 1.0, true), (1, b"0".to_vec(), 0.0, false)]);
    assert_eq!(outcome.signals.len(), 3);

    // What is no answer is a step in which nothing moves.
    let outcome = rules.step(&all(&outcome, b"RIGHT")).unwrap();
    let outcome = rules.step(&all(&outcome, b"")).unwrap();
    assert_eq!(told(&outcome), [(1, b"0".to_vec(), 0.0, false)]);
    let wrong = Action { player: 0, seat: 0, choice: Some(b"right") };
    let outcome = rules.step(&[wrong, Action { player: 7, ..wrong }]).unwrap();
    assert_eq!(told(&outcome), [(1, b"0".to_vec(), 0.0, true)], "cut off where it stands");
    assert!(outcome.finished);
    let told: serde_json::Value = serde_json::from_slice(&outcome.events[0].content.body).unwrap();
    assert_eq!(outcome.events[0].kind, "walks.finished");
    assert_eq!((&told["players"][0]["goals"], &told["optimum"]), (&1.into(), &0.99.into()));
    let after = rules.step(&[]).unwrap();
    assert!(after.finished && after.prompts.is_empty() && after.events.is_empty());
}

#[test]
fn what_others_do_changes_nothing_for_a_player() {
    let run = |players: &[&str]| {
        let (mut rules, mut outcome) = start("{\"episodes\": 20}", players).unwrap();
        let mut seen = Vec::new();
        loop {
            let mine = outcome.prompts.iter().filter(|prompt| prompt.player == 0);
            seen.extend(mine.map(|prompt| (prompt.seat, prompt.observation.to_vec(), prompt.final_)));
            if outcome.finished {
                return seen;
            }
            outcome = rules.step(&all(&outcome, b"down")).unwrap();
        }
    };
    let alone = run(&["a"]);
    assert!(alone.len() > 60, "{}", alone.len());
    assert_eq!(run(&["a", "b", "c"]), alone);
}

#[test]
fn a_restored_state_goes_on_alike_and_a_damaged_one_is_refused_or_harmless() {
    let (mut rules, outcome) = start("", &["a", "b"]).unwrap();
    let mut outcome = rules.step(&all(&outcome, b"right")).unwrap();
    let bytes = rules.snapshot().unwrap();
    let mut twin = Gridworld::decode(Gridworld::SCHEMA, &bytes).unwrap();
    for word in ["up", "down"].map(str::as_bytes).into_iter().cycle().take(200) {
        let actions = all(&outcome, word);
        outcome = rules.step(&actions).unwrap();
        assert_eq!(twin.step(&actions).unwrap(), outcome);
    }
    assert_eq!(twin.snapshot().unwrap(), rules.snapshot().unwrap());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x81;
        if let Ok(mut accepted) = Gridworld::decode(Gridworld::SCHEMA, &damaged) {
            accepted.step(&[]).unwrap();
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
    let crowd = vec!["x"; 101];
    assert!(start("", &[]).is_err() && start("", &crowd).is_err());
    for config in ["{\"maps\": []}", "{\"map\": []}", "{\"slip\": 2}", "{"] {
        assert!(start(config, &["a"]).is_err_and(|why| why.starts_with("config: ")), "{config}");
    }
}

#[test]
fn the_view_is_a_picture() {
    let (rules, _) = start("{\"map\": [\"SFG\", \"H#C\"]}", &["a", "b"]).unwrap();
    let view = rules.view();
    assert_eq!(view.content_type, "image/svg+xml");
    let svg = String::from_utf8(view.body).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains(">2</text>"));
}
