//! What Souls remember.

use matrix_tests::node::{TestNode, manifest};
use matrixd::memory::{EMBEDDING_MAX, RECOLLECTIONS_MAX, TAGS_MAX, TURN_MAX};
use matrixd::runtime::limits::Limits;
use matrixd::souls::manifest::Mode;

use super::{count, names};

/// Spawns the Soul `diarist`, with every grant and limits of its own.
async fn diarist(node: &TestNode, mode: Mode, change: impl FnOnce(&mut Limits)) {
    let mut diarist = manifest("diarist", node.program("diarist").await, &[]);
    diarist.durability.mode = mode;
    change(&mut diarist.limits);
    node.spawn(diarist).await.expect("it behaves until told");
}

/// What it remembers: how many episodes, and how many bytes they take.
async fn usage(node: &TestNode) -> (usize, usize) {
    let said = node.ask("diarist", "usage").await.expect("it is answered");
    let (episodes, bytes) = said.split_once(' ').expect("two numbers");
    (episodes.parse().expect("a number"), bytes.parse().expect("a number"))
}

pub(crate) async fn episodes() {
    let node = TestNode::start().await;
    diarist(&node, Mode::Checkpoint, |limits| limits.episodes = 10).await;
    let mut watch = node.watch("diarist");
    assert_eq!(node.ask("diarist", "flood 25").await.as_deref(), Ok("25 "));
    assert_eq!(usage(&node).await.0, 10);
    let event = watch.event("soul.memory.forgotten").await;
    assert_eq!(&event.content.body[..], br#"{"episodes":[1]}"#);
    node.end().await;
}

pub(crate) async fn episodes_bytes() {
    let node = TestNode::start().await;
    diarist(&node, Mode::Checkpoint, |limits| limits.episodes_bytes = 2_000).await;
    assert_eq!(node.ask("diarist", "flood 25").await.as_deref(), Ok("25 "));
    let (episodes, bytes) = usage(&node).await;
    assert!(episodes < 25 && bytes <= 2_000, "{episodes} episodes of {bytes} bytes");
    let large = format!("remember {}", "x".repeat(3_000));
    names(node.ask("diarist", &large).await.expect_err("it never fits"), "limits.episodes_bytes");
    node.end().await;
}

pub(crate) async fn memory_per_second() {
    let node = TestNode::start().await;
    diarist(&node, Mode::Checkpoint, |limits| limits.memory_per_second = 5).await;
    let said = node.ask("diarist", "flood 1000").await.expect("it is answered");
    assert!(count(&said) < 100, "{said}");
    names(said, "limits.memory_per_second");
    node.end().await;
}

pub(crate) async fn episode_text_bytes() {
    let node = TestNode::start().await;
    diarist(&node, Mode::Checkpoint, |_| {}).await;
    names(node.ask("diarist", "giant").await.expect_err("it is too long"), "8192 are allowed");
    names(node.ask("diarist", "long-cue").await.expect_err("it is too long"), "8192 are allowed");
    assert_eq!(usage(&node).await.0, 0);
    node.end().await;
}

pub(crate) async fn episode_tags() {
    let node = TestNode::start().await;
    diarist(&node, Mode::Checkpoint, |_| {}).await;
    let many = format!("tags {}", TAGS_MAX + 1);
    names(node.ask("diarist", &many).await.expect_err("one too many"), "16 are allowed");
    assert_eq!(node.ask("diarist", &format!("tags {TAGS_MAX}")).await.as_deref(), Ok("1"));
    node.end().await;
}

pub(crate) async fn embedding_numbers() {
    let node = TestNode::start().await;
    diarist(&node, Mode::Checkpoint, |_| {}).await;
    let many = format!("embed {}", EMBEDDING_MAX + 1);
    names(node.ask("diarist", &many).await.expect_err("one too many"), "1024 are allowed");
    assert_eq!(node.ask("diarist", &format!("embed {EMBEDDING_MAX}")).await.as_deref(), Ok("1"));
    node.end().await;
}

pub(crate) async fn recollections() {
    let node = TestNode::start().await;
    diarist(&node, Mode::Turn, |limits| limits.memory_per_second = 1_000).await;
    assert_eq!(node.ask("diarist", "flood 80").await.as_deref(), Ok("80 "));
    assert_eq!(node.ask("diarist", "count 1000").await, Ok(RECOLLECTIONS_MAX.to_string()));
    node.end().await;
}

pub(crate) async fn turn_episodes() {
    let node = TestNode::start().await;
    diarist(&node, Mode::Turn, |limits| limits.memory_per_second = 1_000).await;
    let said = node.ask("diarist", &format!("flood {}", TURN_MAX + 1)).await.expect("it is answered");
    assert_eq!(said, format!("{TURN_MAX} one turn changes {TURN_MAX} episodes at most"));
    assert_eq!(usage(&node).await.0, TURN_MAX);
    node.end().await;
}
