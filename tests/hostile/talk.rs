//! Guests that talk to whom they should not, in circles, or to nobody.

use std::time::{Duration, Instant};

use matrix_tests::node::{TestNode, manifest, name};
use matrixd::transport::envelope::SendError;

/// Far less than the time that the asker would wait.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn asking_in_a_circle_ends_at_the_deadline() {
    let node = TestNode::start().await;
    node.neighbour().await;
    node.run("ada", "caller", &[("peer", "bob")]).await;
    node.run("bob", "caller", &[("peer", "ada")]).await;
    let start = Instant::now();
    let error = node.ask("ada", "ask 2000 ask 500 ask 100 x").await.expect_err("nobody can answer");
    println!("circle: {error} after {:.1?}", start.elapsed());
    assert!(error.to_string().contains("DeadlineExceeded"), "{error}");
    assert!(start.elapsed() < SOON);
    // Who asks itself waits for itself.
    node.run("solo", "caller", &[("peer", "solo")]).await;
    let error = node.ask("solo", "ask 200 x").await.expect_err("nobody can answer");
    assert!(error.to_string().contains("DeadlineExceeded"), "{error}");
    node.assert_lives().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_answer_can_be_stopped() {
    let node = TestNode::start().await;
    node.neighbour().await;
    node.run("solo", "caller", &[("peer", "solo")]).await;
    node.send("solo", "ask 300000 x".into()).expect("its mailbox is empty");
    node.line("solo", "asking").await;
    let start = Instant::now();
    let stopped = tokio::time::timeout(SOON, node.node().souls().stop(&name("solo"), None)).await;
    stopped.expect("stopping must not wait for the answer").expect("it can be stopped");
    println!("stopped after {:.1?}", start.elapsed());
    node.assert_lives().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stops_while_guests_wait_for_answers() {
    let node = TestNode::start().await;
    node.run("solo", "caller", &[("peer", "solo")]).await;
    node.send("solo", "ask 300000 x".into()).expect("its mailbox is empty");
    node.line("solo", "asking").await;
    let start = Instant::now();
    node.stop().await;
    println!("the node stopped after {:.1?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reached_without_a_grant() {
    let node = TestNode::start().await;
    node.neighbour().await;
    for program in ["rogue", "caller", "citizen"] {
        let peer = [("peer", matrix_tests::node::NEIGHBOUR)];
        let mut closed = manifest(&format!("closed-{program}"), node.program(program).await, &peer);
        closed.grants = Default::default();
        node.spawn(closed).await.expect("it needs no grant to live");
    }
    assert_eq!(node.ask("closed-rogue", "send 1").await.as_deref(), Ok("0 denied"));
    let denied = |asked: Result<String, SendError>, grant: &str| {
        let error = asked.expect_err("it has no grant").to_string();
        assert!(error.contains(grant), "{error}");
    };
    denied(node.ask("closed-caller", "ask 100 ping").await, "grants.ask");
    denied(node.ask("closed-caller", "open sys/souls").await, "AccessDenied");
    denied(node.ask("closed-caller", "open soul/neighbour").await, "AccessDenied");
    denied(node.ask("closed-citizen", "subscribe news").await, "grants.subscribe");
    let crash = node.ask("closed-rogue", "event 1").await;
    denied(crash, "grants.events");
    assert_eq!(node.view(matrix_tests::node::NEIGHBOUR).handled, 0);
    node.stop().await;
}
