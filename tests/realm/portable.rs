//! Souls that begin as others are.

use serde_json::{Value, json};

use crate::processes::{Realm, root};

fn push_program(realm: &Realm, name: &str) {
    let path = root().join("tests/programs/out").join(format!("{name}.wasm"));
    let path = path.to_str().expect("a path of this project");
    realm.matrix(1, &["components", "push", path, "--name", name]).ok();
}

fn said(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

#[test]
fn a_fork_begins_as_its_parent_is_and_neither_changes_the_other() {
    let realm = Realm::start(2);
    realm.push(1, "counter");
    realm.matrix(1, &["souls", "spawn", "tally", "--component", "counter", "--seed", "7"]).ok();
    assert_eq!(realm.ask(2, "tally", "add 41"), said("41"));
    let forked = realm.matrix(2, &["souls", "fork", "tally", "other"]).ok().json();
    assert_eq!((&forked["name"], &forked["seed"]), (&json!("other"), &json!(7)), "{forked}");
    let state = realm.matrix(1, &["souls", "checkpoint", "tally"]).ok().json()["digest"].clone();
    assert_eq!(realm.ask(1, "other", "add 1"), said("42"));
    assert_eq!(realm.ask(1, "tally", "add 2"), said("43"));
    assert_eq!(realm.ask(2, "other", "add 0"), said("42"));
    let origin = realm.matrix(1, &["souls", "history", "other"]).ok().json()["origin"].clone();
    assert_eq!(
        (&origin["soul"], &origin["state"], &origin["lesson"]),
        (&json!("tally"), &state, &Value::Null)
    );
    assert_eq!(realm.matrix(1, &["souls", "history", "tally"]).ok().json()["origin"], Value::Null);
    realm.matrix(1, &["souls", "fork", "tally", "other"]).refused("there is a Soul called other already");
    realm.matrix(1, &["souls", "fork", "nobody", "else"]).refused("no Soul called nobody");
    realm.matrix(1, &["souls", "fork", "tally", "else", "--lesson", "1"]).refused("lesson 1");
    realm.matrix(2, &["souls", "rm", "tally"]).ok();
    assert_eq!(realm.ask(1, "other", "add 0"), said("42"), "it is nobody's part");
}

#[test]
fn a_fork_remembers_what_its_parent_did_unless_it_is_not_to() {
    let realm = Realm::start(1);
    push_program(&realm, "diarist");
    realm.matrix(1, &["souls", "spawn", "ada", "--component", "diarist", "--memory"]).ok();
    assert_eq!(realm.ask(1, "ada", "remember A storm took the mast"), said("1"));
    realm.matrix(1, &["souls", "fork", "ada", "eve"]).ok();
    realm.matrix(1, &["souls", "fork", "ada", "ivy", "--without-memory"]).ok();
    assert_eq!(realm.ask(1, "eve", "recall mast"), said("1 A storm took the mast"));
    assert_eq!(realm.ask(1, "eve", "remember A calm sea"), said("2"));
    assert_eq!(realm.ask(1, "ivy", "remember Home again"), said("1"));
    let episodes = |soul| {
        let listed = realm.matrix(1, &["memory", "list", soul]).ok().json();
        listed["episodes"].as_array().map(Vec::len)
    };
    assert_eq!(["ada", "eve", "ivy"].map(episodes), [Some(1), Some(2), Some(1)]);
}

#[test]
fn a_fork_of_a_lesson_learns_from_there_on_by_itself() {
    let realm = Realm::start(1);
    push_program(&realm, "pupil");
    let manifest = "[[soul]]\nname = \"pupil\"\ncomponent = \"pupil\"\n\
                    learning = { manual = true, held_out_percent = 0, tolerance = 1e9 }\n";
    realm.apply_without_waiting(1, manifest);
    let lesson = |soul: &str, answer: &str| {
        realm.matrix(1, &["teach", soul, "--input", "red", "--answer", answer]).ok();
        let lessons = realm.matrix(1, &["train", soul, "--now", "--watch"]).ok().lines();
        lessons.last().expect("there was one").clone()
    };
    let first = lesson("pupil", "3");
    lesson("pupil", "9");
    realm.matrix(1, &["souls", "fork", "pupil", "early", "--lesson", "1", "--with-experience"]).ok();
    realm.matrix(1, &["souls", "fork", "pupil", "fresh"]).ok();
    let history = |soul| realm.matrix(1, &["souls", "history", soul]).ok().json();
    let early = history("early");
    assert_eq!(
        (&early["origin"]["lesson"], &early["origin"]["state"]),
        (&json!(1), &first["state"]),
        "{early}"
    );
    assert_eq!(early["lessons"].as_array().map(Vec::len), Some(1), "{early}");
    assert_eq!(history("fresh")["lessons"].as_array().map(Vec::len), Some(2));
    // What the parent learnt after that lesson is new to it.
    let next = lesson("early", "5");
    assert_eq!(
        (&next["lesson"], &next["first_id"], &next["last_id"]),
        (&json!(2), &json!(2), &json!(3)),
        "{next}"
    );
    let next = lesson("fresh", "5");
    assert_eq!(
        (&next["lesson"], &next["first_id"], &next["last_id"]),
        (&json!(3), &json!(1), &json!(1)),
        "{next}"
    );
    assert_eq!(history("pupil")["lessons"].as_array().map(Vec::len), Some(2));
}
