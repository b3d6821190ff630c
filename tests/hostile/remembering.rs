//! What Souls may rely on that remember, and what they cannot do.

use std::time::Duration;

use matrix_tests::node::{TestNode, manifest, name};
use matrixd::memory::Impression;
use matrixd::souls::manifest::Mode;
use matrixd::souls::remembering::Edit;

const NOTHING: &str = "0 0";

async fn diarist(node: &TestNode, mode: Mode) {
    let mut diarist = manifest("diarist", node.program("diarist").await, &[]);
    diarist.durability.mode = mode;
    // What the moments differ in between two messages must not decide what is asked for here.
    diarist.memory.relevance = 5.0;
    node.spawn(diarist).await.expect("it behaves until told");
}

async fn says(node: &TestNode, question: &str, answer: &str) {
    assert_eq!(node.ask("diarist", question).await.as_deref(), Ok(answer), "{question}");
}

async fn refuses(node: &TestNode, question: &str, why: &str) {
    let refusal = node.ask("diarist", question).await.expect_err("it is refused").to_string();
    assert!(refusal.contains(why), "{question}: {refusal}");
}

/// How many episodes it has.
async fn episodes(node: &TestNode) -> usize {
    node.node().fleet().episodes(&name("diarist"), None, 1_000).await.expect("it is known").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_outlives_restarts_crashes_and_swaps() {
    for mode in [Mode::Checkpoint, Mode::Turn] {
        let node = TestNode::start().await;
        diarist(&node, mode).await;
        says(&node, "usage", NOTHING).await;
        says(&node, "remember The harbour at dawn", "1").await;
        says(&node, "weighed 0.9 A storm took the mast", "2").await;
        says(&node, "remember The harbour at dawn", "3").await;
        says(&node, "placed 1,0 North", "4").await;
        says(&node, "placed 0,1 East", "5").await;
        let best = async |node: &TestNode| {
            let said = node.ask("diarist", "recall what of the HARBOUR?").await.expect("it is answered");
            said.lines().take(2).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(best(&node).await, ["3 The harbour at dawn", "1 The harbour at dawn"], "{mode:?}");
        let near = node.ask("diarist", "recall-near 0.1,0.9").await.expect("it is answered");
        assert!(near.starts_with("5 East"), "{near}");
        // The instance is gone, and with it all that was in memory.
        assert!(node.ask("diarist", "trap").await.is_err());
        assert_eq!(best(&node).await.len(), 2);
        let node = node.restart_with(|_| {}).await;
        assert_eq!(best(&node).await, ["3 The harbour at dawn", "1 The harbour at dawn"], "{mode:?}");
        // Other code, of another state, remembers the same.
        let other = node.program_again("diarist").await;
        let turn = Duration::from_secs(5);
        node.node().souls().swap(&name("diarist"), other, turn).await.expect("it is taken up");
        assert_eq!(best(&node).await.len(), 2);
        says(&node, "instead 1,3 The harbour, twice", "6").await;
        assert_eq!(episodes(&node).await, 4);
        says(&node, "forget 6", "true").await;
        says(&node, "forget 6", "false").await;
        node.node().souls().delete(&name("diarist"), None).await.expect("it is there");
        let left = node.node().kv().range("sys/memory/diarist", b"", None, 9, Default::default()).await;
        assert_eq!(left.expect("readable").entries.len(), 0, "who is forgotten remembers nothing");
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_alike_becomes_one_where_there_is_no_room() {
    for mode in [Mode::Checkpoint, Mode::Turn] {
        let node = TestNode::start().await;
        let mut manifest = manifest("diarist", node.program("diarist").await, &[]);
        manifest.durability.mode = mode;
        manifest.limits.episodes = 3;
        node.spawn(manifest).await.expect("it starts");
        let mut watch = node.watch("diarist");
        for id in ["1", "2", "3"] {
            says(&node, "remember The dog barked at noon", id).await;
        }
        says(
            &node,
            "often dog",
            "3 1 The dog barked at noon\n2 1 The dog barked at noon\n1 1 The dog barked at noon",
        )
        .await;
        says(&node, "remember Snow", "4").await;
        let told = watch.event("soul.memory.consolidated").await;
        assert_eq!(&told.content.body[..], br#"{"episodes":[{"id":1,"into":3}]}"#);
        says(&node, "often dog", "3 2 The dog barked at noon\n2 1 The dog barked at noon\n4 1 Snow").await;
        let node = node.restart_with(|_| {}).await;
        says(&node, "often barked", "3 2 The dog barked at noon\n2 1 The dog barked at noon\n4 1 Snow").await;
        node.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_is_not_kept_is_not_remembered() {
    let node = TestNode::start_with(|config| config.souls.restart.attempts = 2).await;
    diarist(&node, Mode::Turn).await;
    says(&node, "remember once", "1").await;
    // It is tried twice, and survives neither.
    assert!(node.ask("diarist", "remember-and-trap never").await.is_err());
    assert_eq!(episodes(&node).await, 1);
    says(&node, "turns", "2").await;
    says(&node, "remember again", "2").await;
    node.stop().await;

    // A Soul that saves its state now and then remembers what it was told, whatever becomes of the turn.
    let node = TestNode::start_with(|config| config.souls.restart.attempts = 2).await;
    diarist(&node, Mode::Checkpoint).await;
    assert!(node.ask("diarist", "remember-and-trap at once").await.is_err());
    assert_eq!(episodes(&node).await, 1, "and it is not tried again");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_grant_or_is_being_born_remembers_nothing() {
    let node = TestNode::start().await;
    let program = node.program("diarist").await;
    let mut denied = manifest("diarist", program, &[]);
    denied.grants.memory = false;
    node.spawn(denied).await.expect("it behaves until told");
    for question in ["remember x", "recall x", "forget 1", "usage"] {
        refuses(&node, question, "`grants.memory = true`").await;
    }
    let unborn = manifest("unborn", program, &[("remembers-at-birth", "yes")]);
    let refusal = node.spawn(unborn).await.expect_err("nothing has happened yet").to_string();
    assert!(refusal.contains("nothing happens to the Soul"), "{refusal}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_and_hurts_nobody() {
    let node = TestNode::start().await;
    node.neighbour().await;
    diarist(&node, Mode::Checkpoint).await;
    for importance in ["NaN", "inf", "-1", "1.5"] {
        refuses(&node, &format!("weighed {importance} x"), "`importance`").await;
    }
    refuses(&node, "placed NaN,1 x", "`embedding`").await;
    refuses(&node, "remember", "`text` is empty").await;
    refuses(&node, "recall-near inf", "`embedding`").await;
    says(&node, "usage", NOTHING).await;
    says(&node, "instead 7,8 of nothing", "1").await;
    // A flood is held back, and what it leaves is bounded.
    let said = node.ask("diarist", "flood 5000").await.expect("it is answered");
    assert!(said.contains("limits.memory_per_second"), "{said}");
    assert!(episodes(&node).await < 1_000);
    node.assert_lives().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_and_change_it_while_the_soul_lives_and_when_it_is_stopped() {
    for mode in [Mode::Checkpoint, Mode::Turn] {
        let node = TestNode::start().await;
        diarist(&node, mode).await;
        let soul = name("diarist");
        says(&node, "remember from the Soul", "1").await;
        let fleet = node.node().fleet();
        let told = |text: &str| Edit {
            remember: Some(Impression { text: text.into(), importance: 1.0, ..Impression::default() }),
            ..Edit::default()
        };
        let edited = fleet.edit_memory(&soul, told("from an operator")).await.expect("room");
        assert_eq!(edited.id, Some(2));
        let said = node.ask("diarist", "recall operator").await.expect("it is answered");
        assert!(said.starts_with("2 from an operator"), "the Soul knows at once: {said}");
        let gone = Edit { forget: vec![1, 9], ..Edit::default() };
        assert_eq!(fleet.edit_memory(&soul, gone).await.expect("room").forgotten, [1]);
        says(&node, "recall Soul", "2 from an operator").await;
        let wrong = Edit { remember: Some(Impression::default()), ..Edit::default() };
        let refusal = fleet.edit_memory(&soul, wrong).await.expect_err("it says nothing").to_string();
        assert!(refusal.contains("`text`"), "{refusal}");
        node.node().souls().stop(&soul, None).await.expect("it stops");
        assert_eq!(fleet.edit_memory(&soul, told("asleep")).await.expect("room").id, Some(3));
        let (found, extent) = fleet.recall(&soul, &Default::default(), 9).await.expect("it is known");
        assert_eq!((found.len(), extent.episodes, extent.quota.episodes), (2, 2, 1_024));
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_remembers_nothing() {
    let node = TestNode::start().await;
    diarist(&node, Mode::Checkpoint).await;
    says(&node, "remember once", "1").await;
    let other = node.program_again("diarist").await;
    let trial = node.node().souls().rehearse(&name("diarist"), other).await.expect("it is tried");
    assert_eq!((trial.refusal.as_str(), trial.inputs, trial.differences.len()), ("", 1, 0), "{trial:?}");
    assert_eq!(episodes(&node).await, 1);
    node.stop().await;
}
