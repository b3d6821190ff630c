//! Guests that talk to whom they should not, in circles, or to nobody.

use std::time::{Duration, Instant};

use matrix_tests::node::{NEIGHBOUR, TestNode, manifest, name};
use matrixd::kv::Consistency;
use matrixd::transport::envelope::SendError;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

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
    node.end().await;
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
    node.end().await;
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
    node.end().await;
}

/// What is no name, and looks as if it led somewhere.
const NO_NAMES: [&str; 9] = [
    "../neighbour",
    "neighbour/",
    "neighbour\0",
    "neighbour\n",
    "\u{1b}[2Jneighbour",
    "Neighbour",
    // A Cyrillic letter among the Latin ones, and letters that only a screen tells apart.
    "nеighbour",
    "neighbour\u{200b}",
    "soul:neighbour",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_name_reaches_nobody() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let (rogue, caller) = (node.program("rogue").await, node.program("caller").await);
    for (number, odd) in NO_NAMES.into_iter().enumerate() {
        let soul = format!("rogue-{number}");
        node.spawn(manifest(&soul, rogue, &[("peer", odd)])).await.expect("it behaves until told");
        assert_eq!(node.ask(&soul, "send 1").await.as_deref(), Ok("0 denied"), "{odd:?}");
        let soul = format!("caller-{number}");
        node.spawn(manifest(&soul, caller, &[("peer", odd)])).await.expect("it behaves until told");
        for word in [format!("open {odd}"), format!("open soul/{odd}"), "ask 100 ping".to_owned()] {
            let error = node.ask(&soul, &word).await.expect_err("nobody is called so").to_string();
            assert!(!error.contains("crashed") && !error.contains('\u{1b}'), "{word:?}: {error:?}");
        }
    }
    assert_eq!(node.view(NEIGHBOUR).handled, 0, "the neighbour heard of it");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_stays_in_the_bucket_of_who_wrote_it() {
    const KEYS: usize = 64;
    let node = TestNode::start().await;
    node.run("writer", "caller", &[]).await;
    let kv = node.node().kv();
    kv.put("soul/writer-2", b"key", "theirs".into(), None, None).await.expect("it is written");
    let mut odd: Vec<String> = NO_NAMES.iter().map(|name| format!("../{name}/key")).collect();
    odd.push("\0soul/writer-2\0key".to_owned());
    let mut runner = TestRunner::deterministic();
    odd.extend((0..KEYS).filter_map(|_| Some("[^ ]{1,64}".new_tree(&mut runner).ok()?.current())));
    let before = kv.range("soul/writer", b"", None, usize::MAX, Consistency::Linearizable).await;
    assert!(before.expect("it can be read").entries.is_empty());
    for key in &odd {
        match node.ask("writer", &format!("put {key} mine")).await {
            Ok(said) => assert_eq!(said, "kept", "{key:?}"),
            Err(error) => assert!(!error.to_string().contains("crashed"), "{key:?}: {error}"),
        }
        let read = node.ask("writer", &format!("get {key}")).await;
        assert!(matches!(read.as_deref(), Ok("mine") | Err(_)), "{key:?}: {read:?}");
    }
    let theirs = kv.range("soul/writer-2", b"", None, usize::MAX, Consistency::Linearizable).await;
    let theirs = theirs.expect("it can be read").entries;
    assert_eq!(theirs.len(), 1, "{theirs:?}");
    assert_eq!(&theirs[0].1.value[..], b"theirs");
    node.end().await;
}
