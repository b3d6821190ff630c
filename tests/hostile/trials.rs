//! New code for an interceptor: it judges with the code before at its back, and what it fails over is judged all the same.

use matrix_tests::node::{TestNode, manifest};
use matrixd::ids::Digest;
use matrixd::runtime::interceptors::{Change, InterceptorError};

use crate::chains::{set, wanted};

/// The number of the test's only node.
const NODE: u64 = 1;

/// A node whose interceptor says `y` for `x`, with a Soul that says what it hears; that interceptor, and another that lets
/// most pass.
async fn guarded(recorded: u32) -> (TestNode, Digest, Digest) {
    let node = TestNode::start_with(|config| config.interceptors.recorded_messages = recorded).await;
    let echo = node.guest("echo").await;
    node.spawn(manifest("bob", echo, &[])).await.expect("it starts");
    let (old, new) = (node.guest("redact").await, node.program("judge").await);
    set(&node, vec![wanted(old, &[("patterns", "x"), ("with", "y")])]).await;
    assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("y"));
    (node, old, new)
}

async fn change(node: &TestNode, to: Digest) -> Change {
    let change = node.node().interceptors().change("1", to).await.expect("it is an interceptor");
    change.expect("it is another one")
}

/// What judges, and why what is on trial does not.
fn here(node: &TestNode) -> (Digest, String) {
    let here = node.node().interceptors().here().remove(0);
    (here.running, here.failure)
}

async fn advance(node: &TestNode, change: &Change) {
    let interceptors = node.node().interceptors();
    let revision = interceptors.advance(change, NODE).await.expect("the KV is there");
    interceptors.held(revision).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_code_judges_what_the_new_code_fails_over_and_all_that_follows() {
    let (node, old, new) = guarded(16).await;
    let swap = change(&node, new).await;
    for failure in ["trap", "loop", "recurse", "over", "huge", "type"] {
        advance(&node, &swap).await;
        assert_eq!(here(&node), (new, String::new()), "{failure}");
        assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("x"), "{failure}: the new code lets it pass");
        assert_eq!(node.ask("bob", failure).await.as_deref(), Ok(failure), "it is judged by the old code");
        let (running, why) = here(&node);
        assert_eq!((running, why.is_empty()), (old, false), "{failure}");
        assert!(why.contains("client:tests"), "{failure}: {why}");
        assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("y"), "{failure}: so is what follows");
        let interceptors = node.node().interceptors();
        let revision = interceptors.retreat(&swap, NODE).await.expect("the KV is there");
        interceptors.held(revision).await;
        assert_eq!(here(&node), (old, String::new()), "{failure}");
    }
    let settled = node.node().interceptors().settle(&swap).await;
    assert!(matches!(settled, Err(InterceptorError::Changed)), "{settled:?}");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_judged_last_tells_what_would_differ() {
    let (node, old, new) = guarded(4).await;
    let interceptors = node.node().interceptors();
    let trial = interceptors.rehearse(0, new).await.expect("it comes to life");
    assert_eq!(
        (trial.refusal.as_str(), trial.messages, trial.more),
        ("", 4, 0),
        "out and in, there and back"
    );
    let differs: Vec<_> =
        trial.differences.iter().map(|it| (it.what, it.old.as_str(), it.new.as_str())).collect();
    assert_eq!(differs, [("verdict", "rewrites: text/plain y", "passes")], "{trial:?}");
    assert!(trial.differences[0].said.starts_with("outbound, client:tests to soul:bob"), "{trial:?}");
    assert!(interceptors.rehearse(0, old).await.expect("itself").differences.is_empty());
    assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("y"), "nobody noticed");
    // What it would fail over is no difference: it would be refused.
    assert_eq!(node.ask("bob", "trap").await.as_deref(), Ok("trap"));
    let trial = interceptors.rehearse(0, new).await.expect("it comes to life");
    assert!(trial.refusal.contains("fails over") && trial.refusal.contains("trap"), "{trial:?}");
    let echo = node.guest("echo").await;
    let refused = interceptors.rehearse(0, echo).await.expect_err("it is a Soul").to_string();
    assert!(refused.contains("build it for the world `transport`"), "{refused}");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_code_that_gets_on_stays_and_can_go_back_also_after_a_restart() {
    let (node, old, new) = guarded(0).await;
    let interceptors = node.node().interceptors();
    assert_eq!(interceptors.rehearse(0, new).await.expect("it lives").messages, 0, "nothing was recorded");
    let swap = change(&node, new).await;
    advance(&node, &swap).await;
    let node = node.restart_with(|_| {}).await;
    let interceptors = node.node().interceptors();
    assert_eq!((here(&node), interceptors.standing().stages[0].component), ((new, String::new()), old));
    let revision = interceptors.settle(&swap).await.expect("it was on trial");
    interceptors.held(revision).await;
    assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("x"));
    node.ask("bob", "trap").await.expect_err("nothing is at its back any more");
    for code in [old, new] {
        assert_eq!(interceptors.uses(code).await.ok(), Some(true), "the old one can be gone back to");
    }
    let back = interceptors.change_back("1").await.expect("there is one").expect("nothing is on trial");
    assert_eq!(back.to, old);
    advance(&node, &back).await;
    let revision = interceptors.settle(&back).await.expect("it was on trial");
    interceptors.held(revision).await;
    assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("y"), "with the settings that it had");
    let (_, stage) = interceptors.stage("1").await.expect("it is there");
    assert_eq!(stage.versions.iter().map(|it| it.component).collect::<Vec<_>>(), [old, new, old]);
    node.end().await;
}
