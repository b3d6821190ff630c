//! Planted faults.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use matrix_conformance::{Options, Report};
use matrixd::capabilities::grants::Grants;
use matrixd::runtime::inspect::Kind;

use crate::{check, program};

/// What stands before a fault's name in a built program.
const PREFIX: &[u8] = b"planted fault: ";
/// How long a name is, blanks behind it counted.
const NAME_BYTES: usize = 25;

/// A program with a fault of this name.
fn plant(name: &str, fault: &str) -> Bytes {
    let mut bytes = program(name).to_vec();
    let padded = format!("{fault:<NAME_BYTES$}");
    let mark = [PREFIX, b"none"].concat();
    let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&mark)).collect();
    assert!(!places.is_empty() && padded.len() == NAME_BYTES, "{name} has no place for `{fault}`");
    for at in places {
        bytes[at + PREFIX.len()..][..NAME_BYTES].copy_from_slice(padded.as_bytes());
    }
    bytes.into()
}

fn built_program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/out").join(format!("{name}.wasm"))
}

/// The names of the checks that found something wrong.
fn wrong(report: &Report) -> Vec<&'static str> {
    report.wrong().map(|(id, _)| id).collect()
}

/// Each fault is found by its check, and by no other.
async fn found(name: &str, faults: &[(&str, &str)], options: &Options) {
    let mut missed = Vec::new();
    for (fault, check_id) in faults {
        let report = check(fault, plant(name, fault), options.clone()).await;
        if wrong(&report) != [*check_id] {
            missed.push(format!("{fault} is to be found by {check_id}: {report}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_births_and_messages_are_found() {
    let faults = [
        ("born", "soul.birth"),
        ("mute", "soul.birth"),
        ("loops", "soul.answers"),
        ("garbage", "soul.messages"),
        ("empty", "soul.messages"),
        ("topic", "soul.messages"),
        ("nested", "soul.messages"),
        ("long", "soul.replies"),
        ("ids", "soul.determinism"),
        ("batch", "soul.batch"),
        ("leaks", "soul.endurance"),
    ];
    found("flawed", &faults, &Options::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_states_are_found() {
    let faults = [
        ("looks", "soul.snapshot"),
        ("forgets", "soul.restore"),
        ("restored", "soul.roundtrip"),
        ("any-schema", "soul.foreign"),
        ("trusts", "soul.garbage"),
    ];
    found("flawed", &faults, &Options::default()).await;
    let against = Options { against: Some(built_program("flawed")), ..Options::default() };
    found("flawed", &[("new", "soul.upgrade")], &against).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_trouble_are_found() {
    let faults = [
        ("alone", "soul.alone"),
        ("denied", "soul.denied"),
        ("sulks", "soul.denied"),
        ("full", "soul.mailbox-full"),
        ("quota", "soul.quota"),
        ("late", "soul.late"),
        ("kv", "soul.kv-lost"),
    ];
    found("flawed", &faults, &Options::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_players_and_learners_are_found() {
    let faults = [
        ("short", "player.turns"),
        ("act-trap", "player.turns"),
        ("illegal", "player.legal"),
        ("no-number", "learner.figures"),
        ("no-figures", "learner.figures"),
        ("train-trap", "learner.figures"),
        ("peeks", "learner.evaluate"),
        ("divides", "learner.nothing"),
        ("wipes", "learner.nothing"),
        ("keeps", "learner.kept"),
    ];
    let rules = Options { rules: Some(built_program("unjust")), ..Options::default() };
    found("flawed", &faults, &rules).await;
    // These rules name no words: by what they make of them, actions count for nothing.
    let market = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/out/market.wasm");
    let market = Options { rules: Some(market), ..Options::default() };
    found("flawed", &[("illegal", "player.legal")], &market).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_descriptions_and_setups_are_found() {
    let faults = [
        ("no-name", "rules.description"),
        ("version", "rules.description"),
        ("min-max", "rules.description"),
        ("schema", "rules.description"),
        ("no-default", "rules.start"),
        ("too-few", "rules.start"),
        ("setup-trap", "rules.setup"),
        ("setup-mute", "rules.setup"),
        ("message-trap", "rules.messages"),
        ("leave-trap", "rules.joining"),
        ("join-trap", "rules.joining"),
    ];
    found("unjust", &faults, &Options::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_runs_are_found() {
    let faults = [
        ("action-trap", "rules.actions"),
        ("action-error", "rules.actions"),
        ("stranger", "rules.seats"),
        ("twice", "rules.seats"),
        ("reward", "rules.seats"),
        ("signal", "rules.seats"),
        ("kind", "rules.seats"),
        ("many-seen", "rules.seats"),
        ("view-open", "rules.view"),
        ("view-type", "rules.view"),
        ("view-looks", "rules.view"),
        ("looks", "rules.snapshot"),
        ("restored", "rules.roundtrip"),
        ("forgets", "rules.resume"),
        ("any-schema", "rules.states"),
        ("trusts", "rules.states"),
    ];
    found("unjust", &faults, &Options::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_stages_are_found() {
    let faults = [
        ("garbage", "transport.bytes"),
        ("loops", "transport.bytes"),
        ("grows", "transport.bounds"),
        ("mute", "transport.bounds"),
        ("alternates", "transport.same"),
    ];
    found("biased", &faults, &Options::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_from_outside_is_found() {
    let module: &[u8] = b"\0asm\x01\0\0\0";
    let unknown =
        wat::parse_str("(component (import \"wasi:http/types@0.2.0\" (instance)))").expect("well-formed");
    let nothing = wat::parse_str("(component)").expect("well-formed");
    let cut = program("flawed").slice(..1_000);
    let refused: [(&str, Bytes); 5] = [
        ("a core module", Bytes::from_static(module)),
        ("an unknown import", unknown.into()),
        ("a component of no world", nothing.into()),
        ("half a component", cut),
        ("a text", Bytes::from_static(b"hello")),
    ];
    for (what, bytes) in refused {
        let report = check(what, bytes, Options::default()).await;
        assert_eq!(wrong(&report), ["world.admit"], "{what}: {report}");
    }
    let rules = Options { world: Some(Kind::Rules), ..Options::default() };
    let report = check("biased", program("biased"), rules).await;
    assert_eq!(wrong(&report), ["world.kind"], "{report}");
    let small = Options { limits: [("memory_bytes".to_owned(), 65_536)].into(), ..Options::default() };
    let report = check("unjust", program("unjust"), small).await;
    assert_eq!(wrong(&report), ["world.size"], "{report}");
    let denied = Options { grants: Some(Grants::default()), ..Options::default() };
    let report = check("flawed", program("flawed"), denied).await;
    assert_eq!(wrong(&report), ["world.grants"], "{report}");
}
