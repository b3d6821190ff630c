//! Rules that harm whoever runs them: their Matrix fails with the reason, and nobody else notices.

use matrix_tests::node::{TestNode, matrix};
use matrixd::ids::{Digest, MatrixName};
use matrixd::matrices::manifest::MatrixManifest;
use matrixd::matrices::{MatrixState, MatrixView};

/// Fuel of a call: an endless loop ends after some tenths of a second.
const FUEL: u64 = 200_000_000;
/// Memory of the rules: room for more prompts than a tick may have.
const MEMORY_BYTES: u64 = 64 << 20;
/// More ticks than any of these rules lives.
const TICKS: u32 = 5;

fn manifest(rules: Digest, name: &str, config: &str) -> MatrixManifest {
    MatrixManifest { call_fuel: FUEL, memory_bytes: MEMORY_BYTES, ..matrix(name, rules, config) }
}

async fn node() -> (TestNode, Digest) {
    let node = TestNode::start().await;
    node.neighbour().await;
    let rules = node.program("misrule").await;
    (node, rules)
}

/// Steps a Matrix with this vice as far as it goes.
async fn play(node: &TestNode, rules: Digest, vice: &str) -> MatrixView {
    let matrices = node.node().matrices();
    let manifest = manifest(rules, &format!("with-{vice}"), &format!("\"{vice} later\""));
    let name: MatrixName = manifest.name.clone();
    matrices.create(manifest, false, None).await.expect("it behaves at first");
    // How the steps end is told by the Matrix itself.
    let _ = matrices.step(&name, TICKS).await;
    matrices.get(&name).expect("it is known, whatever became of it")
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_break_fail_with_the_reason_and_alone() {
    let (node, rules) = node().await;
    let cases = [
        ("loop", "call_fuel"),
        ("recurse", "stack"),
        ("hoard", "memory"),
        ("trap", "trapped"),
        ("refuse", "told to"),
        ("stranger", "99"),
        ("prompts", "more bytes"),
        ("events", "more bytes"),
        ("snapshot", "more bytes"),
    ];
    for (vice, reason) in cases {
        let view = play(&node, rules, vice).await;
        println!("{vice}: {} at {}: {}", view.state, view.tick, view.reason);
        assert_eq!((view.state, view.tick), (MatrixState::Failed, 2), "{vice}");
        assert!(view.reason.contains(reason), "{vice}: {}", view.reason);
        assert!(!view.reason.contains('\u{1b}'), "{vice}: a reason is one harmless line");
        node.assert_lives().await;
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_tell_too_much_of_is_dropped_and_they_go_on() {
    let (node, rules) = node().await;
    for vice in ["signals", "no-number"] {
        let view = play(&node, rules, vice).await;
        println!("{vice}: {} at {}: {} signals", view.state, view.tick, view.signals.len());
        assert_eq!((view.state, view.tick), (MatrixState::Paused, u64::from(TICKS)), "{}", view.reason);
        assert!(view.signals.len() <= 256 && view.signals.values().all(|value| value.is_finite()));
        node.assert_lives().await;
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_break_at_the_start_make_no_matrix() {
    let (node, rules) = node().await;
    for (vice, reason) in [("loop", "call_fuel"), ("trap", "trapped"), ("refuse", "told to")] {
        let manifest = manifest(rules, "never", &format!("\"{vice} at-start\""));
        let error = node.node().matrices().create(manifest, true, None).await.expect_err("it breaks");
        assert!(error.to_string().contains(reason), "{vice}: {error}");
        node.assert_lives().await;
    }
    assert_eq!(node.node().matrices().count(), 0);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_for_chance_finds_the_same_again() {
    let (node, rules) = node().await;
    let view = play(&node, rules, "chance").await;
    assert_eq!((view.state, view.tick), (MatrixState::Paused, u64::from(TICKS)), "{}", view.reason);
    for _ in 0..2 {
        let mut reports = node.node().matrices().replay(&view.manifest.name).expect("it has a run log");
        let mut last = None;
        while let Some(report) = reports.recv().await {
            last = Some(report.expect("the run log is whole"));
        }
        let last = last.expect("a report");
        assert!(last.done && last.tick == u64::from(TICKS), "{last:?}");
        assert_eq!((last.first_difference, last.state_hash), (None, view.state_hash));
    }
    // Another Matrix of the same rules and seed is the same too.
    let manifest = manifest(rules, "twin", "\"chance later\"");
    let twin = node.node().matrices();
    twin.create(manifest, false, None).await.expect("it starts");
    twin.step(&"twin".parse().expect("a name"), TICKS).await.expect("it goes on");
    let twin = twin.get(&"twin".parse().expect("a name")).expect("it is known");
    assert_eq!(twin.state_hash, view.state_hash);
    node.end().await;
}
