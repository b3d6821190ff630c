//! Components in other languages than Rust: what they are on a node, and that nobody can tell them apart.
//!
//! `guests/languages.sh` builds them, and runs their unit tests. A language whose tools are missing on this machine is left
//! out, by name; where the variable `MATRIX_NOTHING_LEFT_OUT` is set, none may be.

mod rules;

use std::sync::OnceLock;
use std::time::Duration;

use matrix_tests::axelrod;
use matrix_tests::node::kept;
use matrix_tests::tools::leave_out;
use serde_json::Value;

use crate::processes::{Realm, giving_way, root};
use crate::tournament;

/// The languages, as the names of their components end; each counter reads the state of the one before.
const LANGUAGES: [&str; 3] = ["c", "python", "js"];
/// The Souls that there are in each of them, and in Rust.
const SOULS: [&str; 3] = ["echo", "counter", "strategist"];
/// The strategies that each language has.
const STRATEGIES: [&str; 12] = [
    "Cooperator",
    "Defector",
    "TitForTat",
    "TitFor2Tats",
    "SuspiciousTitForTat",
    "Grudger",
    "Alternator",
    "WinStayLoseShift",
    "GoByMajority",
    "Bully",
    "Appeaser",
    "Gradual",
];
/// What `guests/languages.sh` ends with where tools are missing.
const TOOLS_MISSING: i32 = 3;
/// Interpreters are large, and the compiler of a node that is built for development is slow.
const SETTINGS: &str = "[components.compiler]\ncpu_seconds_max = 600\nwall_seconds_max = 600\n";
/// Where nodes share what they have compiled, also with those of the next run: an interpreter takes 40 MB.
const SHARED: &str = "compiled-of-languages";
/// How much may lie there of functions, and of components.
const SHARED_BYTES: u64 = 768 << 20;
/// How long a node may take to end in order.
const END: Duration = Duration::from_secs(30);

/// Builds the components, and has them compiled once for all nodes of these tests; the languages.
pub(crate) fn built() -> &'static [&'static str] {
    static BUILT: OnceLock<Vec<&str>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let languages: Vec<_> = LANGUAGES.into_iter().filter(|language| is_built(language)).collect();
        let mut realm = start(1);
        push_all(&realm, &languages);
        push(&realm, &languages, &["ipd", "mask"]);
        realm.stop(1, END);
        languages
    })
}

/// Whether a language's components could be built; if not, its tools are missing.
fn is_built(language: &str) -> bool {
    let script = giving_way().arg("guests/languages.sh").arg(language).current_dir(root()).output();
    let output = script.expect("the script starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let is_left_out = output.status.code() == Some(TOOLS_MISSING);
    assert!(output.status.success() || is_left_out, "{language}: {said}");
    if is_left_out {
        leave_out(&format!("components in {language}"), said.trim());
    }
    !is_left_out
}

/// Nodes that share what they compile.
fn start(count: u64) -> Realm {
    start_with(count, |_| String::new())
}

/// As [`start`]; `settings` are what each node's configuration says more.
pub(crate) fn start_with(count: u64, settings: impl Fn(u64) -> String) -> Realm {
    let shared = Value::from(kept(SHARED).to_string_lossy());
    let shared = format!("{SETTINGS}functions_dir = {shared}\nfunctions_bytes_max = {SHARED_BYTES}\n");
    Realm::start_aside(count, |node| settings(node) + &shared)
}

/// Uploads the Souls of these languages, those in Rust, and the rules of the tournament.
pub(crate) fn push_all(realm: &Realm, languages: &[&str]) {
    realm.push(1, "ipd");
    push(realm, languages, &["almanac", "courier"]);
    for soul in SOULS {
        realm.push(1, soul);
    }
    push(realm, languages, &SOULS);
}

/// Uploads guests in these languages.
fn push(realm: &Realm, languages: &[&str], guests: &[&str]) {
    for guest in guests {
        languages.iter().for_each(|language| realm.push(1, &format!("{guest}-{language}")));
    }
}

#[test]
fn souls_in_every_language_answer_and_refuse() {
    let languages = built();
    let realm = start(1);
    push_all(&realm, languages);
    for language in languages {
        let soul = |kind: &str| format!("{kind}-{language}");
        for kind in ["echo", "counter"] {
            realm.matrix(1, &["souls", "spawn", &soul(kind), "--component", &soul(kind)]).ok();
        }
        assert_eq!(realm.ask(1, &soul("echo"), "Grüße 🌍"), Ok("Grüße 🌍".to_owned()), "{language}");
        let refused = realm.ask(1, &soul("counter"), "subtract 1").expect_err("it cannot");
        assert!(refused.contains("say `add N` or `get`"), "{language}: {refused}");
        assert_eq!(realm.ask(1, &soul("counter"), "add 1"), Ok("1".to_owned()), "a refusal is no crash");
        let nobody =
            ["souls", "spawn", "nobody", "--component", &soul("strategist"), "--config", "strategy=Nobody"];
        realm.matrix(1, &nobody).refused("TitForTat");
    }
}

#[test]
fn a_count_outlives_its_node_and_goes_from_language_to_language() {
    let languages = built();
    let mut realm = start(1);
    push_all(&realm, languages);
    for language in languages {
        let component = format!("counter-{language}");
        let spawn = ["souls", "spawn", language, "--component", &component, "--durability", "turn"];
        realm.matrix(1, &spawn).ok();
        assert_eq!(realm.ask(1, language, "add 41"), Ok("41".to_owned()));
    }
    realm.kill(1);
    realm.restart(1);
    for language in languages {
        assert_eq!(
            realm.ask(1, language, "add 1"),
            Ok("42".to_owned()),
            "{language}: after its node was killed"
        );
    }
    realm.matrix(1, &["souls", "spawn", "tally", "--component", "counter"]).ok();
    assert_eq!(realm.ask(1, "tally", "add 300"), Ok("300".to_owned()));
    let mut count = 300;
    for language in languages {
        realm.matrix(1, &["souls", "swap", "tally", &format!("counter-{language}")]).ok();
        count += 1;
        assert_eq!(realm.ask(1, "tally", "add 1"), Ok(count.to_string()), "now in {language}");
    }
}

/// The tournament, its players in all languages by turns; without `languages` in Rust alone.
fn mixed(languages: &[&str]) -> String {
    let mut text = tournament();
    let mut components = String::new();
    for language in languages {
        components += &format!("strategist-{language} = \"../out/strategist-{language}.wasm\"\n");
    }
    text = text.replacen("[components]\n", &format!("[components]\n{components}"), 1);
    let suffixes: Vec<String> = languages.iter().map(|language| format!("-{language}")).collect();
    let suffixes = suffixes.iter().map(String::as_str).chain([""]).cycle();
    for (strategy, suffix) in STRATEGIES.into_iter().zip(suffixes) {
        let of =
            |suffix| format!("component = \"strategist{suffix}\"\nconfig = {{ strategy = \"{strategy}\" }}");
        assert!(text.contains(&of("")), "the manifest has {strategy}");
        text = text.replace(&of(""), &of(suffix));
    }
    text
}

#[test]
fn a_tournament_in_several_languages_is_exact_on_one_node_and_on_three() {
    let languages = built();
    let manifest = mixed(languages);
    let mut hashes: Vec<Value> = Vec::new();
    for count in [1, 3] {
        let realm = start(count);
        realm.apply(1, &manifest);
        let found = realm.finished(count, "tournament");
        assert_eq!(found["missed_actions"], 0, "{found}");
        let node = found["node"].as_u64().expect("a node");
        let events = ["events", "--kind", "guest.match.finished", "--source", "matrix:tournament"];
        let events = realm.matrix(node, &events).ok().lines();
        assert_eq!(
            axelrod::told(&events),
            axelrod::table(200),
            "on {count} nodes, in {languages:?} and Rust"
        );
        let replayed = realm.matrix(node, &["matrices", "replay", "tournament"]).ok().json();
        assert_eq!(replayed["same"], true, "{replayed}");
        hashes.push(found["state_hash"].clone());
    }
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn components_in_every_language_say_what_they_are() {
    let languages = built();
    let realm = start(1);
    for language in languages {
        let name = format!("echo-{language}");
        realm.push(1, &name);
        let label = &realm.matrix(1, &["components", "show", &name]).ok().json()["label"];
        let said = [&label["name"], &label["version"], &label["licenses"]].map(Value::as_str);
        assert_eq!(said, [Some(name.as_str()), Some("0.1.0"), Some("Apache-2.0")], "{label}");
        let producers = label["producers"].as_array().expect("a list");
        let has = |role: &str| producers.iter().any(|it| it["role"] == role);
        assert!(has("language") && has("sdk"), "{label}");
    }
}
