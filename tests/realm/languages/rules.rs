//! Rules and interceptors in other languages than Rust.

use std::process::Command;

use matrix_tests::axelrod;
use matrix_tests::node::built as program;
use serde_json::Value;

use super::{built, push, start};
use crate::processes::{Realm, root};
use crate::tournament;

/// The tournament by the rules of a language; empty: those in Rust.
fn by(suffix: &str) -> String {
    let text = tournament();
    let ruled = text.replace("rules = \"ipd\"", &format!("rules = \"ipd{suffix}\""));
    let ruled = ruled
        .replace("ipd = \"../out/ipd.wasm\"", &format!("ipd{suffix} = \"../out/ipd{suffix}.wasm\""))
        .replace("name = \"tournament\"", &format!("name = \"tournament{suffix}\""));
    assert!(suffix.is_empty() || ruled != text, "the manifest names its rules");
    ruled
}

/// Every match that a Matrix told of, and its ranking.
fn told(realm: &Realm, matrix: &str) -> (Vec<Value>, Vec<(String, f64)>) {
    let source = format!("matrix:{matrix}");
    let events = |kind: &str| realm.matrix(1, &["events", "--kind", kind, "--source", &source]).ok().lines();
    let last = events("guest.tournament.finished").pop().expect("it is over");
    let ranking = last["content"]["json"]["ranking"].as_array().expect("a ranking").clone();
    let rank = |rank: Value| {
        let total = rank["total_without_self_play"].as_f64().expect("a total");
        (rank["player"].as_str().expect("a name").to_owned(), total)
    };
    (events("guest.match.finished"), ranking.into_iter().map(rank).collect())
}

#[test]
fn rules_in_every_language_lead_to_the_state_of_those_in_rust() {
    let languages = built();
    let realm = start(1);
    push(&realm, languages, &["ipd"]);
    realm.apply(1, &by(""));
    let expected = realm.finished(1, "tournament");
    let (_, ranking) = told(&realm, "tournament");
    for language in languages {
        let matrix = format!("tournament-{language}");
        realm.apply_without_waiting(1, &by(&format!("-{language}")));
        // What is halted in its middle, and goes on, comes to the same.
        let shown = ["matrices", "show", &matrix];
        realm.until(1, &shown, |matrix| matrix["tick"].as_u64() >= Some(20));
        let paused = realm.matrix(1, &["matrices", "pause", &matrix]).ok().json();
        assert!(paused["tick"].as_u64() < Some(200), "{language}: {paused}");
        realm.matrix(1, &["matrices", "start", &matrix, "--wait"]).ok();
        let found = realm.finished(1, &matrix);
        assert_eq!(found["missed_actions"], 0, "{language}: {found}");
        assert_eq!(found["state_hash"], expected["state_hash"], "{language}");
        let (matches, standings) = told(&realm, &matrix);
        assert_eq!(axelrod::told(&matches), axelrod::table(200), "{language}");
        assert_eq!(standings, ranking, "{language}");
        let replayed = realm.matrix(1, &["matrices", "replay", &matrix]).ok().json();
        assert_eq!(
            (&replayed["same"], &replayed["ticks"]),
            (&Value::from(true), &found["tick"]),
            "{language}"
        );
        let view = realm.matrix(1, &["matrices", "view", &matrix]).ok().json();
        let picture = view["content"]["text"].as_str().expect("a picture");
        assert!(picture.starts_with("<svg ") && picture.contains("turn 200 of 200"), "{language}: {picture}");
    }
}

#[test]
fn a_matrix_goes_from_language_to_language_while_it_runs() {
    let languages = built();
    let realm = start(1);
    push(&realm, languages, &["ipd"]);
    realm.apply(1, &by(""));
    let expected = realm.finished(1, "tournament");
    realm.matrix(1, &["matrices", "rm", "tournament"]).ok();
    realm.apply_without_waiting(1, &by(""));
    for (tick, language) in (1..).map(|part| 20 * part).zip(languages) {
        realm.until(1, &["matrices", "show", "tournament"], |matrix| matrix["tick"].as_u64() >= Some(tick));
        let component = format!("ipd-{language}");
        let swapped =
            realm.matrix(1, &["matrices", "swap", "tournament", "--component", &component]).ok().json();
        assert!(swapped["tick"].as_u64() < Some(200), "{language}: {swapped}");
    }
    let found = realm.finished(1, "tournament");
    assert_eq!((&found["missed_actions"], &found["state_hash"]), (&0.into(), &expected["state_hash"]));
    let replayed = realm.matrix(1, &["matrices", "replay", "tournament"]).ok().json();
    assert_eq!(replayed["same"], true, "{replayed}");
}

#[test]
fn interceptors_in_every_language_mask_and_refuse() {
    let languages = built();
    let realm = start(1);
    push(&realm, languages, &["mask"]);
    realm.push(1, "echo");
    realm.matrix(1, &["souls", "spawn", "bob", "--component", "echo"]).ok();
    for language in languages {
        let stage = format!("mask-{language}");
        let set = [
            "interceptors",
            "set",
            &stage,
            "--config",
            "words=zion neo überall",
            "--config",
            "forbidden=attack",
        ];
        let set = realm.matrix(1, &set).ok().json();
        assert_eq!(set["state"], "holds", "{language}: {set}");
        assert_eq!(realm.ask(1, "bob", "Neo, überall zion").as_deref(), Ok("Neo, *** ***"), "{language}");
        assert_eq!(realm.ask(1, "bob", "hello").as_deref(), Ok("hello"), "{language}");
        let refused = realm.ask(1, "bob", "we attack").expect_err("it is forbidden");
        assert!(refused.contains("no message may say"), "{language}: {refused}");
        let set = ["interceptors", "set", &stage, "--config", "word=x"];
        realm.matrix(1, &set).ok();
        let refused = realm.ask(1, "bob", "hello").expect_err("its settings are wrong");
        assert!(refused.contains("no setting `word`"), "{language}: {refused}");
        realm.matrix(1, &["interceptors", "clear"]).ok();
    }
}

#[test]
fn the_kit_finds_nothing_wrong_with_rules_and_interceptors_of_any_language() {
    for language in built() {
        let checks: [(&str, &[&str]); 2] = [
            ("ipd", &["--world", "matrix-rules"]),
            (
                "mask",
                &[
                    "--world",
                    "transport",
                    "--set",
                    "words=zion hello",
                    "--set",
                    "forbidden=attack",
                    "--say",
                    "attack",
                ],
            ),
        ];
        for (guest, options) in checks {
            let component = root().join("guests/out").join(format!("{guest}-{language}.wasm"));
            let checked = Command::new(program("matrix-check")).arg(component).args(options).output();
            let checked = checked.expect("the program starts");
            assert!(
                checked.status.success(),
                "{guest} in {language}: {}: {}{}",
                checked.status,
                String::from_utf8_lossy(&checked.stdout),
                String::from_utf8_lossy(&checked.stderr)
            );
        }
    }
}
