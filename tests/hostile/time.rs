//! Guests that do not return.

use std::time::{Duration, Instant};

use matrix_tests::by_hand::ByHand;
use matrix_tests::node::{NEIGHBOUR, TestNode, manifest, name};
use matrixd::souls::status::State;

use crate::falls;

/// The deadline that these tests give, in milliseconds.
const CALL_MS: u32 = 100;
/// What a guest may exceed its deadline by.
const OVERSHOOT: Duration = Duration::from_millis(20);
/// Room for an unoptimised host.
const SLACK: u32 = 5;
/// How often a time is taken. The least one counts: whatever else the machine does only ever adds to it.
const ATTEMPTS: u32 = 3;

/// Spawns a Soul with the deadline of these tests.
async fn run_short(
    node: &TestNode,
    soul: &str,
    program: &str,
    settings: &[(&str, &str)],
) -> Result<(), String> {
    let mut manifest = manifest(soul, node.program(program).await, settings);
    manifest.limits.call_ms = CALL_MS;
    node.spawn(manifest).await.map(drop).map_err(|error| error.to_string())
}

fn assert_in_time(what: &str, took: Duration) {
    let limit = Duration::from_millis(CALL_MS.into());
    println!("{what}: cut off after {took:.1?}, {:.1?} past its deadline", took.saturating_sub(limit));
    assert!(took >= limit, "{what} was cut off too early");
    assert!(took < limit + OVERSHOOT * SLACK, "{what} was cut off only after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_handlers_are_cut_off_at_their_deadline() {
    let node = TestNode::start().await;
    node.neighbour().await;
    for program in ["rogue", "caller"] {
        for word in ["loop", "copy"] {
            let mut least = Duration::MAX;
            for attempt in 0..ATTEMPTS {
                let soul = format!("{program}-{word}-{attempt}");
                run_short(&node, &soul, program, &[]).await.expect("it behaves until told");
                let start = Instant::now();
                let fall = falls(&node, &soul, word, "deadline").await;
                least = least.min(start.elapsed());
                assert!(fall.reason.contains("limits.call_ms"), "{}", fall.reason);
            }
            assert_in_time(&format!("{program}-{word}"), least);
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_recursion_overflows_the_guests_stack_only() {
    let node = TestNode::start().await;
    node.neighbour().await;
    for program in ["rogue", "caller"] {
        node.run(program, program, &[]).await;
        falls(&node, program, "recurse", "stack").await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_never_born_is_not_spawned() {
    let node = TestNode::start().await;
    node.neighbour().await;
    // The first time, compiling counts too.
    node.program("stages").await;
    let mut least = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let start = Instant::now();
        let error =
            run_short(&node, "unborn", "stages", &[("init", "loop")]).await.expect_err("it is never born");
        least = least.min(start.elapsed());
        assert!(error.contains("unborn") && error.contains("limits.call_ms"), "{error}");
    }
    assert_in_time("init", least);
    assert!(node.node().souls().get(&name("unborn")).is_err(), "it must not be listed");
    node.assert_lives().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_function_that_never_ends_is_refused_at_upload() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let before = node.node().catalog().components().store().list();
    let fields = "(func $spin (loop (br 0))) (start $spin)".into();
    let error =
        node.upload(&ByHand { fields, ..ByHand::default() }.build()).await.expect_err("it never starts");
    assert!(error.contains("limits.call_ms"), "{error}");
    assert_eq!(node.node().catalog().components().store().list(), before, "its bytes were kept");
    node.assert_lives().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_never_returns_ends_in_failure() {
    let node = TestNode::start().await;
    node.neighbour().await;
    run_short(&node, "stuck", "stages", &[("restore", "loop")]).await.expect("there is no state to restore");
    assert_eq!(node.ask("stuck", "seen").await.as_deref(), Ok("1"));
    node.node().souls().checkpoint(&name("stuck")).await.expect("it can be saved");
    let mut watch = node.watch("stuck");
    falls(&node, "stuck", "trap", "trap").await;
    let waiting = node.ask("stuck", "seen").await;
    assert!(waiting.is_err(), "nobody can have answered: {waiting:?}");
    let failure = watch.failure().await;
    assert!(failure.reason.contains("limits.call_ms"), "{failure:?}");
    assert_eq!(node.view("stuck").state, State::Failed);
    node.assert_lives().await;
    node.stop().await;
}

/// The slowest of `count` answers of the neighbour, one after the other.
async fn slowest_ping(node: &TestNode, count: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        let start = Instant::now();
        assert_eq!(node.ask(NEIGHBOUR, "ping").await.as_deref(), Ok("pong"));
        slowest = slowest.max(start.elapsed());
    }
    slowest
}

#[tokio::test(flavor = "multi_thread")]
async fn many_endless_guests_at_once_do_not_stop_the_neighbour() {
    const LOOPS: u32 = 6;
    let node = TestNode::start().await;
    node.neighbour().await;
    let quiet = slowest_ping(&node, 100).await;
    for program in ["rogue", "caller"] {
        let names: Vec<String> = (0..LOOPS).map(|number| format!("{program}-{number}")).collect();
        for soul in &names {
            run_short(&node, soul, program, &[]).await.expect("it behaves until told");
        }
        for soul in &names {
            node.send(soul, "loop".into()).expect("its mailbox is empty");
        }
        let busy = slowest_ping(&node, 20).await;
        println!("{program}: slowest answer of the neighbour {busy:.1?}, when quiet {quiet:.1?}");
        // All of them one after the other on a single thread, and still an answer.
        assert!(
            busy < Duration::from_millis(u64::from(LOOPS * CALL_MS)) * 3,
            "the neighbour waited {busy:?}"
        );
    }
    node.stop().await;
}
