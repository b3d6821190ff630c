//! Souls that learn, on nodes that are killed and while they are talked to.

use std::collections::BTreeMap;

use matrix_tests::realm::Chance;
use serde_json::Value;

use crate::processes::Realm;

/// How often a node is killed while it trains.
const KILLS: usize = 6;

/// Uploads the program that learns, and spawns it on this node, to be trained when it is told to.
fn spawn(realm: &Realm, node: u64) {
    spawn_with(realm, node, "");
}

/// The same, with more of its manifest's part `learning`.
fn spawn_with(realm: &Realm, node: u64, more: &str) {
    let path = crate::processes::root().join("tests/programs/out/pupil.wasm");
    let path = path.to_str().expect("a path of this project");
    realm.matrix(node, &["components", "push", path, "--name", "pupil"]).ok();
    let manifest = format!(
        "[[soul]]\nname = \"pupil\"\ncomponent = \"pupil\"\n\
         learning = {{ manual = true, batch = 40, held_out_percent = 20, tolerance = 1e9{more} }}\n"
    );
    realm.apply_without_waiting(node, &manifest);
}

/// Lines that teach: about red, and every so often something that takes its time.
fn lines(count: usize, slow_every: usize) -> String {
    let line = |place: usize| match place % slow_every {
        0 => format!("{{\"input\":\"do slow\",\"output\":\"{place}\"}}\n"),
        _ => format!("{{\"input\":\"red\",\"output\":\"{:.3}\"}}\n", 3.0 + place as f64 / 10_000.0),
    };
    (1..=count).map(line).collect()
}

fn teach(realm: &Realm, node: u64, lines: &str) -> Value {
    let path = realm.data(node).join("lines.jsonl");
    std::fs::write(&path, lines).expect("our own folder");
    let path = path.to_str().expect("a path of ours");
    realm.matrix(node, &["teach", "pupil", "--file", path]).ok().json()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// That lessons follow each other without gaps, and that the Soul was trained on what they say, once.
fn check(realm: &Realm, node: u64, taught: u64) {
    let told = realm.until(node, &["train", "pupil"], |told| told["waiting"] == 0);
    let lessons = told["lessons"].as_array().expect("a list");
    let mut next = 1;
    for lesson in lessons {
        assert_eq!(
            (number(&lesson["first_id"]), &lesson["verdict"]),
            (next, &Value::from("kept")),
            "{lesson}"
        );
        next = number(&lesson["last_id"]) + 1;
    }
    assert_eq!(next, taught + 1, "{told}");
    let trained: u64 = lessons.iter().map(|lesson| number(&lesson["trained"])).sum();
    assert_eq!(realm.ask(node, "pupil", "count"), Ok(trained.to_string()), "{told}");
}

#[test]
fn a_node_that_is_killed_while_it_trains_trains_nothing_twice_and_loses_no_soul() {
    let mut realm = Realm::start(1);
    spawn(&realm, 1);
    let mut chance = Chance::new(7);
    let mut taught = 0;
    for _ in 0..KILLS {
        taught += number(&teach(&realm, 1, &lines(120, 10))["taught"]);
        realm.matrix(1, &["train", "pupil", "--now"]).ok();
        // Somewhere in the midst of it: after some of its lessons, or before the first.
        let lessons = chance.below(3) as u64;
        let before = number(&realm.matrix(1, &["train", "pupil"]).ok().json()["seen"]);
        realm.until(1, &["train", "pupil"], |told| number(&told["seen"]) >= before + 40 * lessons);
        realm.kill(1);
        realm.restart(1);
    }
    realm.matrix(1, &["train", "pupil", "--now", "--watch"]).ok();
    check(&realm, 1, taught);
}

#[test]
fn a_soul_answers_while_it_is_trained() {
    let realm = Realm::start(1);
    spawn(&realm, 1);
    let taught = number(&teach(&realm, 1, &lines(160, 2))["taught"]);
    realm.matrix(1, &["train", "pupil", "--now"]).ok();
    let mut answered = BTreeMap::new();
    loop {
        realm.ask(1, "pupil", "count").expect("it answers");
        let waiting = number(&realm.matrix(1, &["train", "pupil"]).ok().json()["waiting"]);
        *answered.entry(waiting).or_insert(0) += 1;
        if waiting == 0 {
            break;
        }
    }
    println!("answers by what still waited: {answered:?}");
    assert!(answered.len() > 1, "it never answered while it was trained: {answered:?}");
    check(&realm, 1, taught);
}

#[test]
fn whichever_node_is_taught_the_soul_learns_and_what_it_was_taught_can_be_had_again() {
    let realm = Realm::start(2);
    spawn(&realm, 1);
    let other = 3 - realm.home(1, "pupil");
    let said = "{\"messages\":[{\"role\":\"user\",\"content\":\"red\"},{\"role\":\"assistant\",\"content\":\"3\"}]}\n";
    assert_eq!(teach(&realm, other, &said.repeat(3))["taught"], 3);
    let one = ["teach", "pupil", "--input", "blue", "--answer", "5", "--reward", "0.5"];
    assert_eq!(realm.matrix(other, &one).ok().json()["last_id"], 4);
    let wrong = realm.matrix(other, &["teach", "pupil", "--input", "", "--answer", "5"]);
    wrong.refused("experiences[0].input");
    realm.matrix(other, &["teach", "nobody", "--input", "x", "--answer", "y"]).refused("nobody");

    let lessons = realm.matrix(other, &["train", "pupil", "--now", "--watch"]).ok().lines();
    assert_eq!((lessons.len(), &lessons[0]["last_id"]), (1, &Value::from(4)), "{lessons:?}");
    check(&realm, other, 4);

    let history = realm.matrix(other, &["souls", "history", "pupil"]).ok().json();
    assert_eq!(
        (&history["lessons"][0]["state"], &history["lessons"][0]["is_kept"]),
        (&lessons[0]["state"], &Value::from(true))
    );
    let restored = realm.matrix(other, &["souls", "restore", "pupil", "1"]).ok().json();
    assert_eq!((&restored["verdict"], &restored["state"]), (&Value::from("restored"), &lessons[0]["state"]));
    realm.matrix(other, &["souls", "restore", "pupil", "9"]).refused("lesson 9");
    let plain = realm.matrix(other, &["souls", "experience", "pupil"]).ok().lines();
    let last = &plain[3];
    assert_eq!((&last["input"], &last["reward"]), (&Value::from("blue"), &Value::from(0.5)), "{last}");
    assert!(last["by"].as_str().is_some_and(|by| by.starts_with("client:")), "{last}");
    let chat = realm.matrix(1, &["souls", "experience", "pupil", "--as", "chat"]).ok();
    assert_eq!(chat.lines()[0]["messages"][1]["content"], "3");
    // Moved, with what it has learnt and what waits.
    realm.matrix(1, &one).ok();
    realm.matrix(1, &["souls", "move", "pupil", &other.to_string()]).ok();
    realm.matrix(1, &["train", "pupil", "--now", "--watch"]).ok();
    assert_eq!(realm.home(1, "pupil"), other);
    assert_eq!(realm.matrix(1, &["train", "pupil"]).ok().json()["seen"], 5);
}

#[test]
fn what_people_think_of_answers_is_taught_while_they_talk() {
    let realm = Realm::start(1);
    spawn(&realm, 1);
    let talk = |lines: &str| realm.matrix_with(1, &["chat", "pupil"], lines);
    talk("👍\n").refused("no answer to judge yet");
    let said = talk("about red\n👍\ncount\n/bad\n/correct 7\nabout red\n/correct 3\n//good\n");
    said.refused("say `about WORD`");
    let lines =
        said.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object a line"));
    let taught: Vec<_> = lines.filter_map(|line| line["last_id"].as_u64()).collect();
    assert_eq!(taught, [1, 2, 3, 4], "{}", said.stdout);
    let experiences = realm.matrix(1, &["souls", "experience", "pupil"]).ok().lines();
    let learnt: Vec<_> =
        experiences.iter().map(|it| (&it["input"], &it["output"], &it["reward"], &it["source"])).collect();
    let of = |input: &str, output: &str, reward: f64| {
        (Value::from(input), Value::from(output), Value::from(reward), Value::from("user"))
    };
    let expected = [
        of("about red", "0.000", 1.0),
        of("count", "0", -1.0),
        of("count", "7", 1.0),
        of("about red", "3", 1.0),
    ];
    assert!(learnt.iter().copied().eq(expected.iter().map(|(a, b, c, d)| (a, b, c, d))), "{learnt:?}");
    realm.matrix_with(1, &["chat", "matrix:lake"], "/good\n").refused("does not learn");
}

#[test]
fn what_a_soul_answers_is_captured_and_judged() {
    let realm = Realm::start(1);
    spawn_with(&realm, 1, ", capture = [\"conversation\"]");
    let asked = realm.matrix(1, &["ask", "pupil", "about red"]).ok().json();
    let message = asked["message_id"].as_str().expect("an id").to_owned();
    let experience = |realm: &Realm| realm.matrix(1, &["souls", "experience", "pupil"]).ok().lines();
    realm.eventually("its answer is captured", |realm| !experience(realm).is_empty());
    let first = experience(&realm).remove(0);
    assert_eq!(
        (&first["input"], &first["output"]),
        (&Value::from("about red"), &Value::from("0.000")),
        "{first}"
    );
    assert_eq!((&first["about"], &first["source"]), (&Value::from(&*message), &Value::from("conversation")));
    for (id, verdict, output, reward) in [
        (&*message, &["good"][..], "0.000", 1.0),
        ("1", &["bad"], "0.000", -1.0),
        (&message, &["correct", "3"], "3", 1.0),
    ] {
        realm.matrix(1, &[&["teach", "pupil", "--feedback", id][..], verdict].concat()).ok();
        let judged = experience(&realm).pop().expect("it was added");
        assert_eq!(
            (&judged["output"], &judged["reward"]),
            (&Value::from(output), &Value::from(reward)),
            "{judged}"
        );
        assert_eq!(
            (&judged["about"], &judged["source"]),
            (&Value::from("1"), &Value::from("user")),
            "{judged}"
        );
    }
    realm.matrix(1, &["teach", "pupil", "--feedback", "99", "good"]).refused("99");
    realm.matrix(1, &["teach", "pupil", "--feedback", "1", "fine"]).refused("feedback");
}
