//! A deadline goes with the message into what its handler waits for: nobody works, or waits, for one who has gone.

use std::time::{Duration, Instant};

use matrix_tests::node::{TestNode, manifest};
use matrixd::runtime::limits::LimitsConfig;

/// How long whoever asks waits.
const SHORT: Duration = Duration::from_millis(300);
/// Far less than the time that the handlers would wait.
const SOON: Duration = Duration::from_secs(5);

/// Asks a Soul something that it cannot answer in time, and returns when it is free again, which it must be soon.
async fn frees(node: &TestNode, soul: &str, words: &str) -> Duration {
    let start = Instant::now();
    // It may just be in time to say that it was too late itself.
    let late = node.ask_within(soul, words, SHORT).await.expect_err("nobody can answer");
    assert!(late.to_string().contains("eadline"), "{late}");
    assert_eq!(node.ask(soul, "get nothing").await.as_deref(), Ok(""), "{soul} is not free again");
    let took = start.elapsed();
    println!("{soul}: {words}: free after {took:.1?}");
    assert!(took < SOON, "{soul} was busy with `{words}` for {took:?}");
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_ends_with_the_one_that_led_to_it() {
    let node = TestNode::start().await;
    // Who asks itself waits for itself.
    for (soul, peer) in [("solo", "solo"), ("bob", "solo"), ("ada", "bob")] {
        node.run(soul, "caller", &[("peer", peer)]).await;
    }
    frees(&node, "solo", "ask 60000 ping").await;
    // The one who is asked by the one who is asked is free too.
    frees(&node, "ada", "ask 60000 ask 60000 ask 60000 ping").await;
    for soul in ["bob", "solo"] {
        assert_eq!(node.ask(soul, "get nothing").await.as_deref(), Ok(""));
    }
    // Its own time counts where it is shorter.
    let error = node.ask("ada", "ask 200 ask 60000 ask 60000 ping").await.expect_err("nobody answers");
    assert!(error.to_string().contains("DeadlineExceeded"), "{error}");
    assert_eq!(node.view("ada").crashes + node.view("bob").crashes + node.view("solo").crashes, 0);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kv_serves_nobody_who_has_gone() {
    let node = TestNode::start().await;
    let mut caller = manifest("caller", node.program("caller").await, &[]);
    caller.limits.kv_per_second = LimitsConfig::default().max.kv_per_second;
    caller.limits.call_ms = 20_000;
    node.spawn(caller).await.expect("it behaves until told");
    let before = node.node().kv().stats().writes;
    // Each is written and synced: all of them would take many seconds.
    frees(&node, "caller", "kv-spin 50000").await;
    let written = node.node().kv().stats().writes - before;
    assert!((1..50_000).contains(&written), "{written} writes");
    // Who asks for nothing has all the time that it needs.
    node.send("caller", "kv-spin 100".into()).expect("its mailbox is empty");
    assert_eq!(node.ask("caller", "kv-spin 1").await.as_deref(), Ok("1 "));
    node.end().await;
}
