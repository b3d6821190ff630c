//! Souls whose states are kept in pieces, on one node: saved and taken up again, swapped and taken back, taught, and
//! forgotten.

use std::time::Instant;

use matrix_tests::node::{TestNode, manifest, name};
use matrixd::kv::Consistency;
use matrixd::learning::New;
use matrixd::runtime::learner::Source;
use matrixd::souls::manifest::Manifest;
use matrixd::souls::training::Training;
use matrixd::souls::{pieces, swap};

/// Bytes of a state that has eight pieces.
const BYTES: u64 = 4 << 20;

async fn grown(node: &TestNode, bytes: u64, change: impl FnOnce(&mut Manifest)) {
    let mut grown = manifest("neo", node.program("weights").await, &[("bytes", &bytes.to_string())]);
    grown.limits.memory_bytes = 64 << 20;
    change(&mut grown);
    node.spawn(grown).await.expect("it starts");
}

async fn said(node: &TestNode, text: &str) -> String {
    node.ask("neo", text).await.expect("it answers")
}

/// How many pieces are kept of it.
async fn kept(node: &TestNode) -> usize {
    let (bucket, mut count, mut start) = (pieces::bucket(&name("neo")), 0, Some(Default::default()));
    while let Some(from) = start {
        let from: Vec<u8> = from;
        let page = node.node().kv().range(&bucket, &from, None, 500, Consistency::Linearizable).await;
        let page = page.expect("the KV answers");
        count += page.entries.len();
        start = page.next.map(Vec::from);
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_state_outlives_restarts_swaps_and_rollbacks() {
    let node = TestNode::start().await;
    grown(&node, BYTES, |_| {}).await;
    said(&node, "add 5").await;
    let saved = node.node().souls().checkpoint(&name("neo")).await.expect("it is saved");
    assert_eq!((saved.size, kept(&node).await), (BYTES, 8));
    let sum = said(&node, "sum").await;
    let node = node.restart_with(|_| {}).await;
    assert_eq!(said(&node, "sum").await, sum);

    let (souls, ballast) = (node.node().souls().clone(), node.program("ballast").await);
    let trial = souls.rehearse(&name("neo"), ballast).await.expect("it can be tried");
    assert_eq!((trial.refusal.as_str(), trial.new.state_bytes), ("", BYTES));
    let swapped = souls.swap(&name("neo"), ballast, swap::TURN_DEFAULT).await.expect("it takes it up");
    assert_eq!((swapped.version.size, swapped.version.state), (BYTES, saved.digest));
    println!("held up {} us", swapped.pause_us);
    assert_eq!((said(&node, "sum").await, kept(&node).await), (sum.clone(), 16));
    said(&node, "add 1").await;
    let back = souls.roll_back(&name("neo"), true, swap::TURN_DEFAULT).await.expect("it was kept");
    assert_eq!(back.version.state, saved.digest);
    assert_eq!(said(&node, "sum").await, sum);

    // What is small again is one value, and what it was is forgotten.
    said(&node, "grow 100").await;
    let saved = souls.checkpoint(&name("neo")).await.expect("it is saved");
    assert_eq!((saved.size, kept(&node).await), (100, 8));
    souls.delete(&name("neo"), None).await.expect("there is room");
    assert_eq!(kept(&node).await, 0);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lesson_makes_of_a_large_state_is_kept_and_can_be_given_back() {
    let node = TestNode::start().await;
    let training = Training { manual: true, held_out_percent: Some(0), ..Training::default() };
    grown(&node, 1 << 20, |neo| neo.learning = training).await;
    let (mut watch, learning) = (node.watch("neo"), node.node().learning());
    let mut sums = Vec::new();
    for (lesson, pieces) in [(1, 4), (2, 6)] {
        let new = New {
            source: Source::User,
            by: "tests".into(),
            about: String::new(),
            input: "red".into(),
            output: "3".into(),
            reward: None,
            at_ms: 1,
        };
        learning.teach(&name("neo"), vec![new], None).await.expect("it is taken");
        learning.train(&name("neo")).await.expect("it is asked");
        watch.event("soul.trained").await;
        assert_eq!((said(&node, "get").await, kept(&node).await), (lesson.to_string(), pieces));
        sums.push(said(&node, "sum").await);
    }
    assert_ne!(sums[0], sums[1]);
    learning.restore(&name("neo"), 1).await.expect("it is asked");
    watch.event("soul.restored").await;
    assert_eq!(said(&node, "sum").await, sums[0]);
    let node = node.restart_with(|_| {}).await;
    assert_eq!(said(&node, "sum").await, sums[0]);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_the_most_bytes_is_saved_and_one_more_is_refused_by_name() {
    let node = TestNode::start().await;
    grown(&node, 16 << 20, |_| {}).await;
    let saved = node.node().souls().checkpoint(&name("neo")).await.expect("it is as long as may be");
    assert_eq!(saved.size, 16 << 20);
    for (bytes, what) in
        [((16 << 20) + 1, "16777217 bytes, and 16777216 are allowed"), (17 << 20, "16777216 bytes")]
    {
        // The second is more than is copied, and its instance is gone.
        said(&node, &format!("grow {bytes}")).await;
        let refused =
            node.node().souls().checkpoint(&name("neo")).await.expect_err("it is too long").to_string();
        assert!(refused.contains(what) && refused.contains("souls.state_bytes_max"), "{refused}");
    }
    assert_eq!(said(&node, "sum").await.split(' ').next(), Some("16777216"), "the last one that was saved");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_costs_little_to_save() {
    let node = TestNode::start().await;
    grown(&node, BYTES, |_| {}).await;
    let souls = node.node().souls().clone();
    souls.checkpoint(&name("neo")).await.expect("there is room");
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..10 {
        said(&node, "add 1").await;
        for (which, text) in [format!("grow {BYTES}"), "note 2000000".to_owned()].iter().enumerate() {
            said(&node, text).await;
            let (begun, before) = (Instant::now(), node.node().kv().stats().revision);
            souls.checkpoint(&name("neo")).await.expect("there is room");
            took[which].push((begun.elapsed(), node.node().kv().stats().revision - before));
        }
    }
    let [(all, written), (one, few)] = took.map(|mut took| {
        took.sort();
        // The node itself writes too, now and then.
        (took[took.len() / 2].0, took.iter().map(|(_, written)| *written).min())
    });
    println!("a save of {BYTES} bytes: {all:?} where all changed, {one:?} where one piece did");
    assert_eq!((written, few), (Some(17), Some(3)), "pieces, the checkpoint, and as many pieces before");
    assert!(one < all, "{one:?} {all:?}");
    node.end().await;
}
