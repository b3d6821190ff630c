//! Components that are cheap to write and dear to compile: the compile child is stopped by its limits, and the
//! node notices little of it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use matrix_tests::by_hand::ByHand;
use matrix_tests::node::{TestNode, resident_bytes};

/// How long a compilation may take in this test, in seconds.
const WALL_SECONDS: u64 = 2;
/// Address space of the child in this test, in bytes.
const CHILD_BYTES: u64 = 1 << 30;
/// What the node's own memory may grow by, in bytes.
const GROWTH: u64 = 16 << 20;
/// Room for a busy machine.
const LATE: Duration = Duration::from_secs(20);

/// A Soul with functions beside it that are never called, only compiled: in each, so many values are alive at
/// once, and each is made of two others.
pub(crate) fn laborious(functions: usize, values: usize) -> Vec<u8> {
    let mut fields = String::new();
    for function in 0..functions {
        let _ = write!(fields, "(func $f{function} (export \"f{function}\") (result i64) (local");
        fields.extend(std::iter::repeat_n(" i64", values));
        fields.push_str(") (local.set 0 (i64.const 3))");
        for value in 1..values {
            let (one, other) = (value - 1, value / 2);
            let product = format!("(i64.mul (local.get {one}) (local.get {other}))");
            let _ = write!(fields, "(local.set {value} {product})");
        }
        fields.push_str("(i64.load (i32.const 0))");
        for value in 0..values {
            let _ = write!(fields, "(local.get {value}) i64.xor");
        }
        fields.push(')');
    }
    ByHand { fields, ..ByHand::default() }.build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_compiles_without_end_is_stopped() {
    let node = TestNode::start_with(|config| {
        config.components.compiler.wall_seconds_max = WALL_SECONDS;
        config.components.compiler.cpu_seconds_max = 2 * WALL_SECONDS;
        config.components.compiler.memory_bytes_max = CHILD_BYTES;
    })
    .await;
    node.neighbour().await;
    let kept = node.node().catalog().components().store().list();
    let bomb = laborious(100, 8_000);
    let before = resident_bytes();
    let began = Instant::now();
    let (refused, slowest) = {
        let upload = node.upload(&bomb);
        tokio::pin!(upload);
        let mut slowest = Duration::ZERO;
        loop {
            let asked = Instant::now();
            tokio::select! {
                biased;
                refused = &mut upload => break (refused, slowest),
                () = node.assert_lives() => slowest = slowest.max(asked.elapsed()),
            }
        }
    };
    let (took, grown) = (began.elapsed(), resident_bytes().saturating_sub(before));
    let reason = refused.expect_err("it cannot be compiled within the limits");
    println!("{} bytes, stopped after {took:.1?}: {reason}", bomb.len());
    println!("the node grew by {} KiB; the slowest answer of a neighbour took {slowest:.1?}", grown / 1024);
    assert!(reason.contains("compil"), "{reason}");
    assert!(took < Duration::from_secs(WALL_SECONDS) + LATE, "{took:?}");
    assert!(grown < GROWTH + bomb.len() as u64, "{grown} bytes");
    assert_eq!(node.node().catalog().components().store().list(), kept, "its bytes were kept");
    node.end().await;
}
