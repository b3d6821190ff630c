//! The project's own components.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dilemma::wire;
use matrix_conformance::{Options, Outcome};

use crate::{check, guest, program};

/// Settings, by name.
fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn built_guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/out").join(format!("{name}.wasm"))
}

/// A component is right, and its checks with these names were not left out.
async fn right(name: &str, bytes: bytes::Bytes, options: Options, looked_at: &[&str]) {
    let report = check(name, bytes, options).await;
    assert!(report.is_right(), "{report}");
    for id in looked_at {
        let checked = report.checks.iter().find(|checked| checked.id == *id);
        let outcome = checked.map(|checked| &checked.outcome);
        assert!(matches!(outcome, Some(Outcome::Right)), "{id} of {name}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn souls_are_right() {
    right("echo", guest("echo"), Options::default(), &["soul.birth", "soul.batch", "soul.determinism"]).await;
    let counter = Options { against: Some(built_guest("counter")), ..Options::default() };
    right("counter", guest("counter"), counter, &["soul.restore", "soul.garbage", "soul.upgrade"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn players_are_right() {
    let player = |rules: &str, pairs: &[(&str, &str)]| Options {
        settings: settings(pairs),
        rules: Some(built_guest(rules)),
        ..Options::default()
    };
    let played = ["player.turns", "player.legal", "soul.restore"];
    right("strategist", guest("strategist"), player("ipd", &[("strategy", "TitForTat")]), &played).await;
    right("trader", guest("trader"), player("market", &[("kind", "zip")]), &played).await;
    let types = [("observation_type", wire::OBSERVATION_TYPE), ("action_type", wire::ACTION_TYPE)];
    let learner = player("ipd", &types);
    right("learner", guest("learner"), learner, &played).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: `make soak` runs it"]
async fn the_mirror_is_right() {
    // As its world has them; and it reads whatever it is told, which takes its time.
    let limits = [
        ("memory_bytes", 67_108_864),
        ("call_ms", 60_000),
        ("call_fuel", 1_000_000_000_000),
        ("body_bytes", 4_096),
    ];
    let limits = limits.map(|(name, limit)| (name.to_owned(), limit)).into();
    let options = Options { limits, ..Options::default() };
    right("mirror", guest("mirror"), options, &["learner.figures", "learner.kept", "learner.nothing"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_right() {
    for rules in ["ipd", "schelling", "gridworld", "market", "parlour"] {
        right(rules, guest(rules), Options::default(), &["rules.seats", "rules.view", "rules.resume"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stage_is_right() {
    right("redact", guest("redact"), Options::default(), &["transport.same", "transport.determinism"]).await;
}

/// The tests' own: programs that the planted faults are planted in.
#[tokio::test(flavor = "multi_thread")]
async fn programs_without_a_fault_are_right() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/out/unjust.wasm");
    let soul = Options { rules: Some(rules), ..Options::default() };
    let all =
        ["player.legal", "learner.kept", "soul.kv-lost", "soul.late", "soul.denied", "soul.mailbox-full"];
    right("flawed", program("flawed"), soul, &all).await;
    right("unjust", program("unjust"), Options::default(), &["rules.resume", "rules.states"]).await;
    right("biased", program("biased"), Options::default(), &["transport.bounds"]).await;
    let memory =
        Options { say: vec!["remember a cat".to_owned(), "recall cat".to_owned()], ..Options::default() };
    right("diarist", program("diarist"), memory, &["soul.kv-lost"]).await;
}
