//! Guests that do not return.

use std::time::{Duration, Instant};

use futures::future::join_all;
use matrix_tests::by_hand::ByHand;
use matrix_tests::node::{TestNode, manifest, name};
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
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_recursion_overflows_the_guests_stack_only() {
    let node = TestNode::start().await;
    node.neighbour().await;
    for program in ["rogue", "caller"] {
        node.run(program, program, &[]).await;
        falls(&node, program, "recurse", "stack").await;
    }
    node.end().await;
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
    node.end().await;
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
    node.end().await;
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
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_neighbour_hardly_notices_many_endless_guests() {
    const LOOPS: u32 = 6;
    let node = TestNode::start().await;
    node.neighbour().await;
    for program in ["rogue", "caller"] {
        for word in ["loop", "copy"] {
            let names: Vec<String> = (0..LOOPS).map(|number| format!("{program}-{word}-{number}")).collect();
            for soul in &names {
                let mut manifest = manifest(soul, node.program(program).await, &[]);
                // Long enough to be noticed, if these kept the threads.
                manifest.limits.call_ms = 500;
                node.spawn(manifest).await.expect("it behaves until told");
            }
            let asked = join_all(names.iter().map(|soul| node.ask(soul, word)));
            let answers = node.undisturbed(&format!("{LOOPS} {program}s that {word}"), asked).await;
            for error in answers.into_iter().map(|answer| answer.expect_err("it never returns")) {
                assert!(error.to_string().contains("limits.call_ms"), "{error}");
            }
        }
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_waits_its_turn_is_not_cut_off() {
    const DILIGENT: usize = 6;
    let node = TestNode::start().await;
    node.neighbour().await;
    // Each works for less than its deadline; all together, one after the other, for longer.
    let names: Vec<String> = (0..DILIGENT).map(|number| format!("diligent-{number}")).collect();
    for soul in &names {
        run_short(&node, soul, "rogue", &[]).await.expect("it behaves");
    }
    let rounds = rounds_of(&node, &names[0], Duration::from_millis(u64::from(CALL_MS) / 3)).await;
    let word = format!("work {rounds}");
    let work = join_all(names.iter().map(|soul| node.ask(soul, &word)));
    for answer in node.undisturbed("work", work).await {
        assert_eq!(answer.as_deref(), Ok("done"));
    }
    node.end().await;
}

/// How much work a Soul does in about `time`.
pub(crate) async fn rounds_of(node: &TestNode, soul: &str, time: Duration) -> u64 {
    let mut rounds = 1 << 16;
    loop {
        let start = Instant::now();
        assert_eq!(node.ask(soul, &format!("work {rounds}")).await.as_deref(), Ok("done"));
        if start.elapsed() >= time / 2 {
            return rounds;
        }
        rounds *= 2;
    }
}
