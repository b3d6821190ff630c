//! The KV, for operators and for guests.

use bytes::Bytes;
use matrix_tests::node::TestNode;
use matrixd::kv::{Mutation, Txn};

use super::names;

pub(crate) async fn kv_key_bytes() {
    let node = TestNode::start().await;
    let put = node.node().kv().put("notes", &[b'k'; 513], "x".into(), None, None).await;
    names(put.expect_err("it is too long"), "kv.key_bytes_max");
    node.end().await;
}

pub(crate) async fn kv_value_bytes() {
    let node = TestNode::start_with(|config| config.kv.value_bytes_max = 1 << 20).await;
    let value = Bytes::from(vec![0; (1 << 20) + 1]);
    let put = node.node().kv().put("notes", b"key", value, None, None).await;
    names(put.expect_err("it is too long"), "kv.value_bytes_max");
    node.end().await;
}

pub(crate) async fn kv_txn_ops() {
    let node = TestNode::start().await;
    let kv = node.node().kv();
    let delete =
        |number: u32| Mutation::Delete { path: kv.path("notes", &number.to_be_bytes()).expect("a key") };
    let txn = Txn { require: Vec::new(), then: (0..257).map(delete).collect() };
    names(kv.batch(txn, None).await.expect_err("one too many"), "257 mutations and the limit is 256");
    node.end().await;
}

pub(crate) async fn kv_state_bytes() {
    let node = TestNode::start_with(|config| config.kv.state_bytes_max = 512 << 10).await;
    let kv = node.node().kv();
    let mut refused = None;
    for number in 0..8_u8 {
        let value = Bytes::from(vec![0; 100 << 10]);
        refused = refused.or(kv.put("notes", &[number], value, None, None).await.err());
    }
    names(refused.expect("it is full"), "kv.state_bytes_max");
    kv.delete("notes", &[0], None).await.expect("who deletes makes room");
    node.end().await;
}

pub(crate) async fn kv_batch_keys() {
    let node = TestNode::start().await;
    node.run("caller", "caller", &[]).await;
    names(node.ask("caller", "kv-many 257").await.expect_err("one too many"), "256 are allowed");
    assert_eq!(node.ask("caller", "kv-many 256").await.as_deref(), Ok("256"));
    node.end().await;
}

pub(crate) async fn kv_batch_bytes() {
    let node = TestNode::start().await;
    node.run("caller", "caller", &[]).await;
    names(
        node.ask("caller", "kv-amplify").await.expect_err("128 MiB of values"),
        "bytes of values in one call",
    );
    node.end().await;
}
