//! Lessons of a Soul side by side: what is told of them is what follows from what it was taught, and the Soul is as it was.

use matrixd::learning::experience::is_held_out;
use matrixd::runtime::learner::{Experience, Source};
use serde_json::{Value, json};

use crate::processes::{Realm, root};

/// How many in a hundred are held out.
const HELD_OUT_PERCENT: u8 = 30;
/// Numbers of one lesson.
const EACH: usize = 40;

/// What is said of red in a lesson.
fn numbers(lesson: usize) -> Vec<String> {
    (0..EACH).map(|place| format!("{:.3}", 3.0 * lesson as f64 + place as f64 / 1_000.0)).collect()
}

fn held_out(number: &str) -> bool {
    let experience = Experience {
        id: 0,
        source: Source::User,
        by: String::new(),
        about: String::new(),
        input: b"red".to_vec(),
        output: number.as_bytes().to_vec(),
        reward: None,
        at_ms: 0,
    };
    is_held_out(&experience, HELD_OUT_PERCENT)
}

/// What the program `pupil` makes of numbers, from what it thought before.
fn learnt(before: f64, numbers: &[String]) -> f64 {
    let trained = numbers.iter().filter(|number| !held_out(number)).map(|number| number.parse::<f64>());
    trained.fold(before, |mean, number| mean + 0.5 * (number.expect("a number") - mean))
}

/// The mean squared error by which it measures itself.
fn loss(mean: f64, measured: &[f64]) -> f64 {
    measured.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / measured.len() as f64
}

fn start(nodes: u64, name: &str) -> Realm {
    let realm = Realm::start(nodes);
    let path = root().join("tests/programs/out/pupil.wasm");
    let path = path.to_str().expect("a path of this project");
    realm.matrix(1, &["components", "push", path, "--name", "pupil"]).ok();
    let percent = HELD_OUT_PERCENT.to_string();
    let learning =
        ["--learning-manual", "--learning-held-out-percent", &percent, "--learning-tolerance", "1e9"];
    let spawn = ["souls", "spawn", name, "--component", "pupil"];
    realm.matrix(1, &[&spawn[..], &learning].concat()).ok();
    realm
}

#[test]
fn two_lessons_are_measured_by_the_same_and_the_soul_notices_nothing() {
    let realm = start(2, "ada");
    let other = 3 - realm.home(1, "ada");
    realm.matrix(1, &["souls", "diff", "ada", "1", "2"]).refused("no state of lesson 1");
    let all = [numbers(1), numbers(2)];
    for numbers in &all {
        let line = |number: &String| format!("{{\"input\":\"red\",\"output\":\"{number}\"}}\n");
        let path = realm.data(1).join("lines.jsonl");
        std::fs::write(&path, numbers.iter().map(line).collect::<String>()).expect("our own folder");
        realm.matrix(1, &["teach", "ada", "--file", path.to_str().expect("a path of ours")]).ok();
        realm.matrix(1, &["train", "ada", "--now", "--watch"]).ok();
    }
    let measured: Vec<f64> =
        all.concat().iter().filter(|it| held_out(it)).flat_map(|it| it.parse()).collect();
    let first = learnt(0.0, &all[0]);
    let expected = [loss(first, &measured), loss(learnt(first, &all[1]), &measured)];

    let history = || realm.matrix(1, &["souls", "history", "ada"]).ok().json();
    let said = |text: &str| realm.ask(1, "ada", text).expect("it answers");
    let before = (history(), said("about red"), said("count"));
    for node in [1, 2] {
        let told = realm.matrix(node, &["souls", "diff", "ada", "1", "2"]).ok().json();
        assert_eq!((&told["held_out"], &told["metric"]), (&json!(measured.len()), &json!("loss")), "{told}");
        for (side, expected) in expected.iter().enumerate() {
            let side = &told["lessons"][side];
            let loss = side["figures"]["loss"].as_f64().expect("a figure");
            assert!((loss - expected).abs() < 1e-9, "{expected}: {told}");
            let lesson = side["lesson"].as_u64().expect("a number") as usize;
            assert_eq!(side["state"], before.0["lessons"][lesson - 1]["state"], "{told}");
        }
        assert_eq!(told["better"], json!(if expected[0] < expected[1] { 1 } else { 2 }), "{told}");
    }
    let turned = realm.matrix(other, &["souls", "diff", "ada", "2", "1"]).ok().json();
    assert_eq!(turned["lessons"][0]["lesson"], 2);
    assert_eq!((history(), said("about red"), said("count")), before);
    realm.matrix(other, &["souls", "diff", "ada", "1", "9"]).refused("no state of lesson 9");
    realm.matrix(other, &["souls", "diff", "nobody", "1", "2"]).refused("no Soul called nobody");

    let shown = realm.matrix(1, &["souls", "show", "ada"]).ok().json();
    let learning = &shown["learning"];
    assert_eq!(
        (&learning["manual"], &learning["held_out_percent"], &learning["last_lesson"]["lesson"]),
        (&Value::from(true), &json!(HELD_OUT_PERCENT), &json!(2)),
        "{shown}"
    );
}

#[test]
fn without_anything_held_out_nothing_is_measured() {
    let realm = start(1, "eve");
    let trained = numbers(1).into_iter().find(|number| !held_out(number)).expect("some are trained on");
    realm.matrix(1, &["teach", "eve", "--input", "red", "--answer", &trained]).ok();
    realm.matrix(1, &["train", "eve", "--now", "--watch"]).ok();
    realm.matrix(1, &["souls", "diff", "eve", "1", "1"]).refused("is held out to measure by");
}
