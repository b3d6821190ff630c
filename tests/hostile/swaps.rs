//! New code for a Soul that lives: what goes over, what comes back, and what goes wrong.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use matrix_tests::node::{TestNode, manifest, name};
use matrixd::ids::Digest;
use matrixd::souls::SoulError;
use matrixd::souls::status::State;
use matrixd::souls::swap::{Cause, Swapped};

/// How long a turn may take before it is cut off.
const TURN: Duration = Duration::from_millis(200);
/// What one call of a misbehaving insect may take, in milliseconds.
const CALL_MS: u32 = 300;

/// Spawns a caterpillar called `insect`, which may be swapped for a butterfly; gives both digests.
async fn insect(node: &TestNode, settings: &[(&str, &str)]) -> (Digest, Digest) {
    let (old, new) = (node.program("caterpillar").await, node.program("butterfly").await);
    let mut manifest = manifest("insect", old, settings);
    manifest.limits.call_ms = CALL_MS;
    node.spawn(manifest).await.expect("it starts");
    (old, new)
}

async fn swap(node: &TestNode, to: Digest) -> Result<Swapped, SoulError> {
    node.node().souls().swap(&name("insect"), to, TURN).await
}

async fn adds(node: &TestNode, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let added = node.ask("insect", &format!("add main {number}")).await;
        assert_eq!(added, Ok(number.to_string()), "each is counted once, in order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_goes_over_and_comes_back_as_it_was() {
    let node = TestNode::start().await;
    let (old, new) = insect(&node, &[]).await;
    adds(&node, 1..=5).await;
    assert!(node.ask("insect", "fly").await.is_err());
    let souls = node.node().souls().clone();
    let left = souls.checkpoint(&name("insect")).await.expect("it is saved");
    let mut watch = node.watch("insect");
    let swapped = swap(&node, new).await.expect("the butterfly takes it up");
    assert!(swapped.changed && swapped.before == old && swapped.fallback.is_empty(), "{swapped:?}");
    assert_eq!((swapped.version.number, swapped.version.schema.as_str()), (2, "insect/2"));
    println!("held up {} us", swapped.pause_us);
    watch.event("soul.swapped").await;
    adds(&node, 6..=8).await;
    assert_eq!(node.ask("insect", "fly").await.as_deref(), Ok("1"));
    assert_eq!(node.view("insect").manifest.component, new);
    let same = swap(&node, new).await.expect("it is there already");
    assert!(!same.changed && same.version.number == 2, "{same:?}");
    // Back, with the state as it was, to the byte.
    let back = souls.roll_back(&name("insect"), true, TURN).await.expect("it was kept");
    assert_eq!((back.version.cause, back.version.component), (Cause::Rollback, old));
    assert_eq!((back.version.state, back.version.schema.as_str()), (left.digest, "insect/1"));
    assert_eq!(node.ask("insect", "total").await.as_deref(), Ok("5"));
    assert_eq!(souls.checkpoint(&name("insect")).await.expect("it is saved").digest, left.digest);
    // And there again: what was kept of the butterfly is what it had.
    souls.roll_back(&name("insect"), true, TURN).await.expect("it was kept");
    assert_eq!(node.ask("insect", "fly").await.as_deref(), Ok("2"));
    let history = souls.history(&name("insect")).await.expect("it is known");
    let causes: Vec<_> = history.list.iter().map(|version| (version.number, version.cause)).collect();
    let expected = [Cause::Spawn, Cause::Swap, Cause::Rollback, Cause::Rollback];
    assert_eq!(causes, (1..).zip(expected).collect::<Vec<_>>());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_code_never_writes_over_a_newer_state() {
    let node = TestNode::start().await;
    let (old, new) = insect(&node, &[]).await;
    adds(&node, 1..=3).await;
    swap(&node, new).await.expect("the butterfly takes it up");
    let souls = node.node().souls().clone();
    let refused = swap(&node, old).await.expect_err("a caterpillar cannot read a butterfly").to_string();
    assert!(refused.contains("insect/2") && refused.contains("`restore` refused"), "{refused}");
    let refused = souls.roll_back(&name("insect"), false, TURN).await.expect_err("nor now").to_string();
    assert!(refused.contains("insect/2"), "{refused}");
    // Nor by a manifest that names the old code.
    let mut older = (*node.view("insect").manifest).clone();
    older.component = old;
    let refused = node.spawn(older.clone()).await.expect_err("nor so").to_string();
    assert!(refused.contains("insect/2"), "{refused}");
    older.config.insert("colour".into(), "green".into());
    let refused = node.spawn(older).await.expect_err("nor so").to_string();
    assert!(refused.contains("insect/2"), "{refused}");
    adds(&node, 4..=4).await;
    assert_eq!(node.ask("insect", "code").await.as_deref(), Ok("butterfly"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_code_that_fails_leaves_the_old_as_it_was() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let stages = ["init-", "restore-", "snapshot-"];
    let faults =
        [("refuse", "a butterfly refuses"), ("trap", "trapped"), ("loop", "call_ms"), ("hoard", "memory")];
    for stage in stages {
        for (fault, reason) in faults {
            let after = format!("{stage}{fault}");
            let settings = [("after", after.as_str()), ("announce", "neighbour")];
            let (_, new) = insect(&node, &settings).await;
            adds(&node, 1..=3).await;
            let souls = node.node().souls();
            let before = souls.checkpoint(&name("insect")).await.expect("it is saved");
            let seen = node.view("neighbour").handled;
            let mut watch = node.watch("insect");
            let error = swap(&node, new).await.expect_err("it cannot work").to_string();
            assert!(error.contains(reason), "{after}: {error}");
            watch.event("soul.swap-failed").await;
            assert_eq!(node.ask("insect", "total").await.as_deref(), Ok("3"), "{after}");
            let now = souls.checkpoint(&name("insect")).await.expect("it is saved");
            assert_eq!((now.digest, now.schema.as_str()), (before.digest, "insect/1"), "{after}");
            assert_eq!(node.view("insect").crashes, 0, "{after}: the old code did nothing wrong");
            assert_eq!(node.view("neighbour").handled, seen, "{after}: nothing that it did was done");
            assert_eq!(souls.history(&name("insect")).await.expect("it is known").list.len(), 1, "{after}");
            souls.delete(&name("insect"), None).await.expect("it can go");
        }
    }
    node.assert_lives().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_code_that_does_not_give_its_state_is_not_needed() {
    let node = TestNode::start().await;
    for (before, reason) in [("trap", "trapped"), ("loop", "call_ms"), ("error", "refused")] {
        let (old, new) = insect(&node, &[]).await;
        adds(&node, 1..=3).await;
        // From now on it does not give its state any more; what it had is saved.
        let setting = format!("snapshot-{before}");
        let mut broken = manifest("insect", old, &[("before", &setting)]);
        broken.limits.call_ms = CALL_MS;
        node.spawn(broken).await.expect("it starts");
        adds(&node, 4..=5).await;
        let swapped = swap(&node, new).await.expect("the last checkpoint serves");
        assert!(swapped.fallback.contains(reason), "{before}: {}", swapped.fallback);
        assert_eq!(node.ask("insect", "total").await.as_deref(), Ok("3"), "{before}: as it was saved");
        assert_eq!(node.ask("insect", "fly").await.as_deref(), Ok("1"), "{before}");
        node.node().souls().delete(&name("insect"), None).await.expect("it can go");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_waits_is_cut_off_and_one_that_works_is_waited_for() {
    let node = TestNode::start().await;
    let new = node.program("butterfly").await;
    // It asks itself, and would wait for a minute.
    node.run("insect", "caller", &[("peer", "insect")]).await;
    let asking = node.ask("insect", "ask 60000 ping");
    let swapping = async {
        // Its own question waits in its mailbox.
        while node.view("insect").mailbox_depth == 0 {
            tokio::task::yield_now().await;
        }
        swap(&node, new).await.expect("its turn is cut off")
    };
    let (asked, swapped) = tokio::join!(asking, swapping);
    assert!(asked.is_err() || asked.as_deref().is_ok_and(|answer| answer.contains("Failed")), "{asked:?}");
    assert!(swapped.changed);
    assert_eq!(node.ask("insect", "fly").await.as_deref(), Ok("1"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_new_code_does_at_its_birth_is_done_once_it_is_in_its_place() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let (_, new) = insect(&node, &[("announce", "neighbour")]).await;
    let seen = node.view("neighbour").handled;
    let tried = node.node().souls().rehearse(&name("insect"), new).await.expect("it can be tried");
    assert_eq!((tried.refusal.as_str(), tried.inputs), ("", 0));
    assert_eq!(node.ask("neighbour", "ping").await.as_deref(), Ok("pong"));
    assert_eq!(node.view("neighbour").handled, seen + 1, "a dry run does nothing");
    swap(&node, new).await.expect("the butterfly takes it up");
    assert_eq!(node.ask("neighbour", "ping").await.as_deref(), Ok("pong"));
    assert_eq!(node.view("neighbour").handled, seen + 3, "it was announced, once");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_would_differ() {
    let node = TestNode::start().await;
    let (old, new) = insect(&node, &[]).await;
    adds(&node, 1..=2).await;
    assert_eq!(node.ask("insect", "code").await.as_deref(), Ok("caterpillar"));
    let before = node.node().souls().checkpoint(&name("insect")).await.expect("it is saved");
    let souls = node.node().souls();
    let tried = souls.rehearse(&name("insect"), new).await.expect("it can be tried");
    assert_eq!((tried.refusal.as_str(), tried.inputs), ("", 3));
    let differences: Vec<_> =
        tried.differences.iter().map(|it| (it.input, it.old.as_str(), it.new.as_str())).collect();
    // Played again, additions are out of order for both; who answers differs.
    assert_eq!(differences, [(3, "text/plain caterpillar", "text/plain butterfly")]);
    assert_eq!((tried.old.schema.as_str(), tried.new.schema.as_str()), ("insect/1", "insect/2"));
    assert!(tried.new.fuel > 0 && tried.new.memory_bytes > 0);
    let same = souls.rehearse(&name("insect"), old).await.expect("it can be tried");
    assert!(same.differences.is_empty(), "the same code does the same: {:?}", same.differences);
    assert_eq!(souls.checkpoint(&name("insect")).await.expect("it is saved").digest, before.digest);
    assert_eq!(node.ask("insect", "code").await.as_deref(), Ok("caterpillar"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soul_that_rests_or_has_failed_gets_new_code_too() {
    let node = TestNode::start().await;
    let (_, new) = insect(&node, &[]).await;
    adds(&node, 1..=3).await;
    let souls = node.node().souls().clone();
    souls.stop(&name("insect"), None).await.expect("it stops");
    let swapped = swap(&node, new).await.expect("it is swapped at rest");
    assert_eq!((swapped.pause_us, node.view("insect").state), (0, State::Stopped));
    let woken = (*node.view("insect").manifest).clone();
    node.spawn(woken).await.expect("it wakes");
    assert_eq!(node.ask("insect", "fly").await.as_deref(), Ok("1"));
    adds(&node, 4..=4).await;
    souls.delete(&name("insect"), None).await.expect("it can go");
    // One that has failed runs again with mended code.
    let (_, new) = insect(&node, &[]).await;
    adds(&node, 1..=2).await;
    souls.checkpoint(&name("insect")).await.expect("it is saved");
    let mut watch = node.watch("insect");
    while node.view("insect").state != State::Failed {
        node.ask("insect", "trap").await.expect_err("it does not survive this");
    }
    watch.failure().await;
    swap(&node, new).await.expect("mended code");
    assert_eq!(node.ask("insect", "fly").await.as_deref(), Ok("1"));
    adds(&node, 3..=3).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_nothing_is_lost_doubled_or_overtaken() {
    let node = TestNode::start().await;
    let (_, butterfly) = insect(&node, &[]).await;
    let moth = node.program("moth").await;
    let stop = AtomicBool::new(false);
    let client = async |client: u32| {
        let mut number = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            let added = node.ask("insect", &format!("add client-{client} {number}")).await;
            assert!(added.is_ok(), "client {client}, number {number}: {added:?}");
        }
        number
    };
    let swaps = async {
        let mut pauses = Vec::new();
        for round in 0..20 {
            let (to, other) = if round % 2 == 0 { (butterfly, moth) } else { (moth, butterfly) };
            pauses.push(swap(&node, to).await.expect("it takes the state up").pause_us);
            if round % 5 == 0 {
                // Two at once: one after the other, in some order.
                let (there, back) = tokio::join!(swap(&node, other), swap(&node, to));
                there.and(back).expect("both take the state up");
                swap(&node, to).await.expect("it takes the state up");
            }
        }
        stop.store(true, Ordering::Relaxed);
        pauses
    };
    let (pauses, a, b, c, d) = tokio::join!(swaps, client(1), client(2), client(3), client(4));
    let sum = a + b + c + d;
    assert_eq!(node.ask("insect", "total").await, Ok(sum.to_string()));
    assert_eq!(node.ask("insect", "code").await.as_deref(), Ok("moth"));
    println!("{sum} additions, held up {pauses:?} us");
    node.stop().await;
}
