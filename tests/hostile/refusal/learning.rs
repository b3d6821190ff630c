//! What Souls learn from.

use bytes::Bytes;
use matrix_tests::node::{TestNode, name};
use matrixd::learning::{EXPERIENCE_BYTES_MAX, New, TEACH_BYTES_MAX};
use matrixd::runtime::learner::Source;

use super::names;

fn some(count: usize, bytes: usize) -> Vec<New> {
    let (input, output) = (Bytes::from(vec![b'x'; bytes]), Bytes::new());
    vec![New { source: Source::User, by: "tests".into(), input, output, reward: None, at_ms: 1 }; count]
}

/// What is kept of what is taught, one request after the other.
async fn kept(node: &TestNode, batches: usize, batch: Vec<New>) -> (u64, u64) {
    node.run("pupil", "pupil", &[]).await;
    let learning = node.node().learning();
    for _ in 0..batches {
        learning.teach(&name("pupil"), batch.clone(), None).await.expect("it is taken");
    }
    let index = learning.index(&name("pupil")).await.expect("it is known");
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
