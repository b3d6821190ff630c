//! Interceptors that go wrong at their birth: no chain ever holds them, and what was judged before is judged as before.

use matrix_tests::by_hand;
use matrix_tests::node::{TestNode, manifest};
use matrixd::ids::Digest;
use matrixd::transport::envelope::SendError;

use crate::chains::{set, wanted};

/// The number of the test's only node.
const NODE: u64 = 1;
/// What an interceptor may have where it is born: less than one that is tried out at its upload.
const MEMORY: u64 = 8 << 20;
/// An interceptor that wants more than that as it is born, and traps where it does not get it.
const GREEDY: &str = "(if (i32.eq (memory.grow (i32.const 160)) (i32.const -1)) (then (unreachable)))";

/// A node whose interceptor says `y` for `x`, with a Soul that says what it hears; and that interceptor.
async fn guarded() -> (TestNode, Digest) {
    let node = TestNode::start_with(|config| config.interceptors.memory_bytes = MEMORY).await;
    node.neighbour().await;
    let (echo, redact) = (node.guest("echo").await, node.guest("redact").await);
    node.spawn(manifest("bob", echo, &[])).await.expect("it starts");
    set(&node, vec![wanted(redact, &[("patterns", "x"), ("with", "y")])]).await;
    assert_judged(&node).await;
    (node, redact)
}

async fn assert_judged(node: &TestNode) {
    assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("y"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_comes_to_life_is_not_taken() {
    let (node, _) = guarded().await;
    for (how, birth, why) in [
        ("trap", "(unreachable)", "trapped"),
        ("loop", "(loop (br 0))", "`limits.call_"),
        ("recurse", "(call $birth)", "stack"),
        (
            "grow",
            "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)",
            "denied",
        ),
    ] {
        let refused = node.undisturbed(how, node.upload(&by_hand::interceptor(birth))).await;
        let refused = refused.expect_err("it never lives");
        assert!(refused.contains(why), "{how}: {refused}");
        assert_judged(&node).await;
    }
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_traps_where_it_is_to_judge_leaves_the_chain_as_it_was() {
    let (node, redact) = guarded().await;
    let greedy = node.upload(&by_hand::interceptor(GREEDY)).await.expect("it lives where it has room");
    let interceptors = node.node().interceptors();
    let revision = interceptors.standing().revision;

    let chain = vec![wanted(redact, &[("patterns", "x"), ("with", "z")]), wanted(greedy, &[])];
    let refused = interceptors.set(chain).await.expect_err("it is not born").to_string();
    assert!(refused.contains("denied") && refused.contains("limits.memory_bytes"), "{refused}");
    assert_eq!(interceptors.standing().revision, revision);
    assert_judged(&node).await;

    let refused = interceptors.rehearse(0, greedy).await.expect_err("it is not born").to_string();
    assert!(refused.contains("denied"), "{refused}");
    let swap = interceptors.change("1", greedy).await.expect("it is an interceptor").expect("another one");
    let revision = interceptors.advance(&swap, NODE).await.expect("the KV is there");
    interceptors.held(revision).await;
    let here = interceptors.here().remove(0);
    assert_eq!(here.running, redact, "the code before judges");
    assert!(here.failure.contains("denied"), "{}", here.failure);
    assert_judged(&node).await;
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_no_longer_be_born_lets_nothing_pass_until_it_can() {
    let (node, _) = guarded().await;
    let node = node.restart_with(|config| config.interceptors.memory_bytes = 16 << 20).await;
    let greedy = node.upload(&by_hand::interceptor(GREEDY)).await.expect("it lives where it has room");
    set(&node, vec![wanted(greedy, &[])]).await;
    assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("x"), "it judges");
    let node = node.restart_with(|config| config.interceptors.memory_bytes = MEMORY).await;
    let refused = node.ask("bob", "x").await.expect_err("nobody judges it");
    assert!(matches!(refused, SendError::Denied(_)), "{refused}");
    let node = node.restart_with(|config| config.interceptors.memory_bytes = 16 << 20).await;
    assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("x"), "nothing was lost");
    node.end().await;
}
