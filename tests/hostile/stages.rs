//! Guests that go wrong at each stage of their life.

use std::sync::Arc;

use matrix_tests::by_hand::{ByHand, RESULT};
use matrix_tests::node::{TestNode, manifest, name, resident_bytes};
use matrixd::runtime::soul::Turn;
use matrixd::souls::SoulError;
use matrixd::souls::jobs::{ActError, ActRequest};
use matrixd::souls::status::State;

use crate::falls;

/// The longest reason that is worth telling, in bytes: a line of a guest's own, and some words of the node's.
const REASON_BYTES_MAX: usize = 4_096 + 200;
/// What the node's memory may grow by over a state that is none.
const GROWTH_MAX: u64 = 64 << 20;

pub(crate) fn request(tick: u64, seats: u32) -> ActRequest {
    let turn = |seat| Turn { seat, observation: Vec::new(), reward: 0.0, last: false };
    ActRequest {
        deadline: None,
        run: Arc::from("run"),
        matrix: "market".parse().expect("a sound name"),
        tick,
        previous: tick.checked_sub(1),
        turns: Arc::new((0..seats).map(turn).collect()),
        now_ms: 1,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_at_birth_is_not_spawned_and_says_why() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let digest = node.program("stages").await;
    for (how, reason) in [("trap", "unreachable"), ("error", "told to"), ("long-error", "u{1b}[2J")] {
        let refused = node.spawn(manifest("unborn", digest, &[("init", how)])).await;
        let Err(SoulError::Start { reason: error, .. }) = refused else { panic!("{how}: {refused:?}") };
        let error = error.to_string();
        assert!(error.contains(reason) && error.len() <= REASON_BYTES_MAX, "{how}: {} bytes", error.len());
        assert!(!error.contains('\u{1b}'), "{how}: a terminal would obey this");
        assert!(node.node().souls().get(&name("unborn")).is_err(), "{how}: it is listed");
    }
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_crashes_too_often_has_failed_for_good() {
    let node = TestNode::start_with(|config| {
        config.souls.restart.crashes_max = 2;
        // No message is tried twice, so that each crash is one of its own.
        config.souls.restart.attempts = 1;
    })
    .await;
    node.neighbour().await;
    node.run("rogue", "rogue", &[]).await;
    let mut watch = node.watch("rogue");
    // Up to a quarter less, so that Souls that crash together do not come back together.
    for pauses in [38..=50, 75..=100] {
        let fall = falls(&node, "rogue", "trap", "trap").await;
        let pause: u64 = fall.next.split(' ').nth(2).and_then(|ms| ms.parse().ok()).expect("a pause");
        assert!(pauses.contains(&pause), "{fall:?}");
        // It comes back, and works.
        assert_eq!(node.ask("rogue", "log-plain").await.as_deref(), Ok("done"));
    }
    node.ask("rogue", "trap").await.expect_err("it cannot survive this");
    let failure = watch.failure().await;
    assert!(failure.reason.contains("unreachable"), "{failure:?}");
    let view = node.view("rogue");
    assert_eq!((view.state, view.crashes, view.memory_bytes, view.mailbox_depth), (State::Failed, 3, 0, 0));
    node.ask("rogue", "log-plain").await.expect_err("nobody is there any more");
    let again = manifest("rogue", view.manifest.component, &[]);
    node.spawn(again).await.expect("an operator may spawn it again");
    assert_eq!(node.ask("rogue", "log-plain").await.as_deref(), Ok("done"));
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_to_act_loses_its_turn_only() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let cases = [
        ("trap", "trap"),
        ("loop", "deadline"),
        ("many", "contract"),
        ("large", "contract"),
        ("huge", "lifted"),
    ];
    for (how, kind) in cases {
        node.run(how, "stages", &[("act", how)]).await;
        let mut watch = node.watch(how);
        let acted = node.act(how, request(0, 2)).await;
        assert!(
            matches!(acted, Err(ActError::Crashed(_))),
            "{how}: {:?}",
            acted.map(|actions| actions.len())
        );
        assert_eq!(watch.crash().await.kind, kind, "{how}");
        assert_eq!(node.view(how).memory_bytes, 0, "{how}");
        node.assert_lives().await;
    }
    node.run("refuser", "stages", &[("act", "error")]).await;
    assert_eq!(node.act("refuser", request(0, 1)).await, Err(ActError::Refused("told to".into())));
    node.run("player", "stages", &[]).await;
    assert_eq!(node.act("player", request(0, 2)).await, Ok(vec![b"C".to_vec(); 2]));
    assert_eq!(node.view("refuser").crashes + node.view("player").crashes, 0);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_saved_costs_its_owner_only() {
    let node = TestNode::start_with(|config| config.souls.state_bytes_max = 786_432).await;
    node.neighbour().await;
    for (how, reason) in [
        ("trap", "trapped"),
        ("loop", "limits.call_ms"),
        ("error", "told to"),
        ("long-error", "u{1b}[2J"),
        ("large", "786432 are allowed"),
        ("huge", "786432 are allowed"),
    ] {
        node.run(how, "stages", &[("snapshot", how)]).await;
        assert_eq!(node.ask(how, "seen").await.as_deref(), Ok("1"));
        let saved = node.node().souls().checkpoint(&name(how)).await;
        let error = saved.expect_err("there is no such state").to_string();
        assert!(error.len() <= REASON_BYTES_MAX, "{how}: {} bytes", error.len());
        assert!(error.contains(reason), "{how}: {error}");
        assert!(!error.contains('\u{1b}'), "{how}: a terminal would obey this");
        node.assert_lives().await;
        // What cannot be saved can still be stopped; whoever stops it is told what is lost by that.
        let stopped = node.node().souls().stop(&name(how), None).await;
        let lost = stopped.err().map(|error| error.to_string());
        let fell = matches!(how, "trap" | "loop");
        assert!(
            fell && lost.is_none() || lost.as_ref().is_some_and(|lost| lost.contains(reason)),
            "{how}: {lost:?}"
        );
        assert_eq!(node.view(how).state, State::Stopped);
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_traps_ends_in_failure() {
    let node = TestNode::start_with(|config| config.souls.restart.crashes_max = 2).await;
    node.neighbour().await;
    for how in ["trap", "long-error"] {
        node.run(how, "stages", &[("restore", how)]).await;
        assert_eq!(node.ask(how, "seen").await.as_deref(), Ok("1"));
        node.node().souls().checkpoint(&name(how)).await.expect("it can be saved");
        let mut watch = node.watch(how);
        falls(&node, how, "trap", "trap").await;
        node.ask(how, "seen").await.expect_err("it does not come back");
        let failure = watch.failure().await;
        assert!(!failure.reason.is_empty() && failure.reason.len() <= REASON_BYTES_MAX, "{how}");
    }
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_gibibyte_is_a_trap() {
    let node = TestNode::start().await;
    node.neighbour().await;
    // It says so, and has two pages.
    let snapshot = format!(
        "(i32.store (i32.const {RESULT}) (i32.const 0))
         (i32.store (i32.const {LENGTH}) (i32.const 0x40000000))",
        LENGTH = RESULT + 8,
    );
    let by_hand = ByHand { snapshot: Some(snapshot), ..ByHand::default() };
    let digest = node.upload(&by_hand.build()).await.expect("it is well-formed");
    node.spawn(manifest("boaster", digest, &[])).await.expect("it starts");
    assert_eq!(node.ask("boaster", "go").await.as_deref(), Ok(""));
    let (mut watch, before) = (node.watch("boaster"), resident_bytes());
    let boaster = name("boaster");
    let saving = node.node().souls().checkpoint(&boaster);
    let error = node.undisturbed("snapshot", saving).await.expect_err("there is no such state").to_string();
    assert!(error.contains("trapped") && error.contains("bounds"), "{error}");
    assert_eq!(watch.crash().await.kind, "trap");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the node grew by {grown} bytes");
    node.end().await;
}
