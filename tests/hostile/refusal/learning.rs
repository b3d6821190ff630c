//! What Souls learn from.

use bytes::Bytes;
use matrix_tests::node::{TestNode, name};
use matrixd::learning::{EXPERIENCE_BYTES_MAX, LearningConfig, New, TEACH_BYTES_MAX};
use matrixd::runtime::learner::Source;

use super::names;

fn some(count: usize, bytes: usize) -> Vec<New> {
    let (input, output) = (Bytes::from(vec![b'x'; bytes]), Bytes::new());
    vec![
        New {
            source: Source::User,
            by: "tests".into(),
            about: String::new(),
            input,
            output,
            reward: None,
            at_ms: 1
        };
        count
    ]
}

/// What is kept of what is taught, one request after the other.
async fn kept(node: &TestNode, batches: usize, batch: Vec<New>) -> (u64, u64) {
    node.run("pupil", "pupil", &[]).await;
    let learning = node.node().learning();
    for _ in 0..batches {
        learning.teach(&name("pupil"), batch.clone(), None).await.expect("it is taken");
    }
    let index = learning.progress(&name("pupil")).await.expect("it is known").index;
    (index.kept(), index.first())
}

pub(crate) async fn experiences() {
    let node = TestNode::start_with(|config| config.learning.experiences_max = 10).await;
    // Of more than one segment, because these are forgotten whole.
    assert_eq!(kept(&node, 4, some(4, 9 << 10)).await, (8, 9));
    node.end().await;
}

pub(crate) async fn experience_log_bytes() {
    let node = TestNode::start_with(|config| config.learning.experience_bytes_max = 100 << 10).await;
    assert_eq!(kept(&node, 4, some(4, 10 << 10)).await, (8, 9));
    node.end().await;
}

async fn refused(batch: Vec<New>) -> String {
    let node = TestNode::start().await;
    node.run("pupil", "pupil", &[]).await;
    let error = node.node().learning().teach(&name("pupil"), batch, None).await.expect_err("it is too much");
    node.end().await;
    error.to_string()
}

pub(crate) async fn experience_bytes() {
    names(refused(some(1, EXPERIENCE_BYTES_MAX + 1)).await, &EXPERIENCE_BYTES_MAX.to_string());
}

pub(crate) async fn teach_bytes() {
    names(refused(some(5, TEACH_BYTES_MAX / 5 + 1)).await, &TEACH_BYTES_MAX.to_string());
}

/// Why a lesson failed over an experience that misbehaves as it says.
async fn failed(misdeed: &str, change: impl FnOnce(&mut LearningConfig)) -> String {
    let node = TestNode::start_with(|config| change(&mut config.learning)).await;
    node.run("pupil", "pupil", &[]).await;
    let mut watch = node.watch("pupil");
    let misdeed = New { input: format!("do {misdeed}").into(), ..some(1, 1).remove(0) };
    let learning = node.node().learning();
    learning.teach(&name("pupil"), vec![misdeed], None).await.expect("it is taken");
    learning.train(&name("pupil")).await.expect("it is asked");
    let event = watch.event("soul.training-rejected").await;
    assert_eq!(node.ask("pupil", "about red").await.as_deref(), Ok("0.000"), "the Soul suffered");
    node.end().await;
    String::from_utf8_lossy(&event.content.body).into_owned()
}

pub(crate) async fn training_memory_bytes() {
    let told = failed("hoard", |config| config.memory_bytes = 8 << 20).await;
    names(told, "`learning.memory_bytes`");
}

pub(crate) async fn training_ms() {
    names(failed("loop", |config| config.call_ms = 100).await, "`learning.call_ms`");
}

pub(crate) async fn training_fuel() {
    names(failed("loop", |config| config.call_fuel = 1_000_000).await, "`learning.call_fuel`");
}
