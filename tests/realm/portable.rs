//! Souls that begin as others are, in the same realm and, by way of a file, in another.

mod lies;

use serde_json::{Value, json};

use crate::processes::{Realm, root};

/// A Soul that learns when it is told to.
const PUPIL: &str = "[[soul]]\nname = \"pupil\"\ncomponent = \"pupil\"\n\
    learning = { manual = true, held_out_percent = 0, tolerance = 1e9 }\n";

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
    realm.apply_without_waiting(1, PUPIL);
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

/// A file in the data folder of node 1.
fn file(realm: &Realm, name: &str) -> String {
    realm.data(1).join(name).to_str().expect("a path of ours").to_owned()
}

#[test]
fn a_soul_that_is_carried_to_another_realm_answers_the_same() {
    let (old, new) = (Realm::start(1), Realm::start(1));
    old.push(1, "counter");
    push_program(&old, "diarist");
    old.matrix(1, &["souls", "spawn", "tally", "--component", "counter", "--seed", "7"]).ok();
    let born = ["souls", "spawn", "ada", "--component", "diarist", "--memory", "--description", "a sailor"];
    old.matrix(1, &born).ok();
    assert_eq!(old.ask(1, "tally", "add 41"), said("41"));
    for text in ["weighed 0.9 The harbour at dawn", "remember A storm took the mast"] {
        old.ask(1, "ada", text).expect("it remembers");
    }
    let (tally, ada) = (file(&old, "tally.soul"), file(&old, "ada.soul"));
    let written = old.matrix(1, &["souls", "export", "tally", "-o", &tally]).ok().json();
    assert_eq!((&written["soul"], &written["signed_by"]), (&json!("tally"), &Value::Null), "{written}");
    old.matrix(1, &["souls", "export", "ada", "-o", &ada]).ok();

    let carried = new.matrix(1, &["souls", "import", &tally]).ok().json();
    assert_eq!((&carried["name"], &carried["seed"]), (&json!("tally"), &json!(7)), "{carried}");
    new.matrix(1, &["souls", "import", &ada, "--name", "eve"]).ok();
    for realm in [&old, &new] {
        assert_eq!(realm.ask(1, "tally", "add 1"), said("42"));
    }
    for question in ["recall mast", "recall harbour", "usage", "who"] {
        assert_eq!(new.ask(1, "eve", question), old.ask(1, "ada", question), "{question}");
    }
    assert_eq!(new.ask(1, "eve", "remember Land"), said("3"));
    let origin = new.matrix(1, &["souls", "history", "eve"]).ok().json()["origin"].clone();
    let realm = old.matrix(1, &["status"]).ok().json()["realm"].clone();
    assert_eq!((&origin["soul"], &origin["realm"]), (&json!("ada"), &realm), "{origin}");
    let taken = new.matrix(1, &["souls", "import", &ada, "--name", "tally"]);
    taken.refused("there is a Soul called tally already");
    // Where it comes from it is no stranger.
    old.matrix(1, &["souls", "import", &ada, "--name", "ivy"]).ok();
    let origin = old.matrix(1, &["souls", "history", "ivy"]).ok().json()["origin"].clone();
    assert_eq!((&origin["soul"], &origin["realm"]), (&json!("ada"), &json!("")), "{origin}");
}

#[test]
fn a_file_that_is_not_as_it_was_written_leaves_nothing() {
    let (old, new) = (Realm::start(1), Realm::start(1));
    old.push(1, "counter");
    old.matrix(1, &["souls", "spawn", "tally", "--component", "counter"]).ok();
    let (bare, bad) = (file(&old, "bare.soul"), file(&old, "bad.soul"));
    old.matrix(1, &["souls", "export", "tally", "-o", &bare, "--without-component"]).ok();
    new.matrix(1, &["souls", "import", &bare]).refused("push it first");
    let mut bytes = std::fs::read(&bare).expect("it was written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&bad, bytes).expect("our own folder");
    new.matrix(1, &["souls", "import", &bad]).refused("of no use");
    new.matrix(1, &["souls", "show", "tally"]).refused("no Soul called tally");
    new.push(1, "counter");
    new.matrix(1, &["souls", "import", &bare]).ok();
    assert_eq!(new.ask(1, "tally", "add 1"), said("1"));
}

#[test]
fn what_a_soul_learnt_goes_along_with_its_experience() {
    let (old, new) = (Realm::start(1), Realm::start(1));
    push_program(&old, "pupil");
    old.apply_without_waiting(1, PUPIL);
    old.matrix(1, &["teach", "pupil", "--input", "red", "--answer", "3"]).ok();
    let lessons = old.matrix(1, &["train", "pupil", "--now", "--watch"]).ok().lines();
    let path = file(&old, "pupil.soul");
    old.matrix(1, &["souls", "export", "pupil", "-o", &path, "--lesson", "1", "--with-experience"]).ok();
    new.matrix(1, &["souls", "import", &path]).ok();
    let history = new.matrix(1, &["souls", "history", "pupil"]).ok().json();
    assert_eq!(history["lessons"][0]["state"], lessons[0]["state"], "{history}");
    assert_eq!(history["origin"]["lesson"], 1);
    let of = |realm: &Realm| realm.matrix(1, &["souls", "experience", "pupil"]).ok().lines();
    assert_eq!(of(&new), of(&old));
}
