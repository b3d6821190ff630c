//! A kill at each stage of a swap. Code that takes its time holds the swap up at the stages that are its own; the disk
//! kills the node at each step of the commit.

use std::time::Duration;

use matrix_tests::faulty::{Fault, KV_LOG};
use matrix_tests::realm::{Door, TestRealm};

use super::{again, alone, whole};

/// How long a turn may take that a swap waits for: longer than the test.
const TURN: Duration = Duration::from_secs(60);
/// What a commit of a swap contains, and no other write.
const COMMIT: &str = "sys/versions";

async fn adds(door: &Door, soul: &str, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let added = door.ask(soul, &format!("add main {number}")).await;
        assert_eq!(added.expect("it is counted"), number.to_string(), "each once, in order");
    }
}

/// Asks for a swap, and kills the node once the Soul has logged a line.
async fn killed_at(realm: &mut TestRealm, soul: &str, component: &str, line: &str) {
    let door = realm.door(0);
    let killing = async {
        door.logged(soul, line).await;
        realm.kill(0).await;
    };
    let (swapped, ()) = tokio::join!(door.swap(soul, component, TURN), killing);
    swapped.expect_err("its node was killed before");
    again(realm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_before_the_commit_comes_back_with_the_old_code() {
    let mut realm = alone(false).await;
    let door = realm.door(0);
    let (old, new) = (door.program("caterpillar").await, door.program("butterfly").await);
    let stages = [
        ("born", ("after", "init-loop")),
        ("its state copied", ("before", "snapshot-loop")),
        ("taken up", ("after", "restore-loop")),
        ("proved", ("after", "snapshot-loop")),
    ];
    for (number, (stage, (setting, word))) in stages.into_iter().enumerate() {
        let soul = format!("insect-{number}");
        door.spawn(&soul, &old, &[]).await.expect("it starts");
        adds(&door, &soul, 1..=3).await;
        door.spawn(&soul, &old, &[(setting, word)]).await.expect("it is as it was, and saved");
        killed_at(&mut realm, &soul, &new, word).await;
        let versions = whole(&door, &soul).await;
        assert_eq!((versions.len(), &versions[0].component), (1, &old), "{stage}");
        assert_eq!(door.ask(&soul, "code").await.expect("it lives"), "caterpillar", "{stage}");
        assert_eq!(door.ask(&soul, "total").await.expect("it lives"), "3", "{stage}");
        // Nothing of the swap is left that would keep the next one from being done.
        if setting == "after" {
            adds(&door, &soul, 4..=4).await;
            door.spawn(&soul, &old, &[]).await.expect("nothing goes wrong any more");
        }
        let swapped = door.swap(&soul, &new, TURN).await.expect("it takes the state up");
        let fallback = swapped.version.expect("it has one").fallback;
        assert_eq!(fallback.is_empty(), setting == "after", "{stage}: {fallback}");
        assert_eq!(whole(&door, &soul).await.len(), 2, "{stage}");
        let total = if setting == "after" { "4" } else { "3" };
        assert_eq!(door.ask(&soul, "total").await.expect("it lives"), total, "{stage}");
        assert_eq!(door.ask(&soul, "fly").await.expect("it can"), "1", "{stage}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_while_a_swap_waits_for_a_turn_comes_back_with_the_old_code() {
    let mut realm = alone(false).await;
    let door = realm.door(0);
    let (old, new) = (door.program("caller").await, door.program("butterfly").await);
    // It asks itself, and waits for longer than anybody.
    let settings = [("peer", "caller"), ("after", "init-note")];
    door.spawn("caller", &old, &settings).await.expect("it starts");
    let asks = door.ask("caller", "ask 60000 ping");
    let swaps = async {
        door.logged("caller", "asking").await;
        killed_at(&mut realm, "caller", &new, "init-note").await;
    };
    let (asked, ()) = tokio::join!(asks, swaps);
    asked.expect_err("its node was killed");
    assert_eq!(whole(&door, "caller").await.len(), 1);
    assert_eq!(door.ask("caller", "open default").await.expect("it lives"), "open");
    door.swap("caller", &new, TURN).await.expect("it has no state to take up");
    assert_eq!(door.ask("caller", "fly").await.expect("it can"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_at_the_commit_comes_back_with_all_of_it_or_nothing() {
    let mut realm = alone(true).await;
    if let Err(why) = realm.faulty(0) {
        return why.report("kills at each step of a swap's commit");
    }
    let door = realm.door(0);
    let (old, new) = (door.program("caterpillar").await, door.program("butterfly").await);
    for (fault, is_new) in [(Fault::KillBefore, false), (Fault::KillAfter, true), (Fault::KillSynced, true)] {
        let soul = format!("insect-{}", u8::from(is_new) + u8::from(fault == Fault::KillSynced));
        door.spawn(&soul, &old, &[]).await.expect("it starts");
        adds(&door, &soul, 1..=3).await;
        door.save(&soul).await.expect("there is room");
        adds(&door, &soul, 4..=5).await;
        let disk = realm.faulty(0).expect("there is a compiler").clone();
        disk.order(fault, KV_LOG, COMMIT);
        door.swap(&soul, &new, TURN).await.expect_err("its node was killed before it could tell");
        realm.ended(0).await;
        assert!(disk.has_failed(), "{fault:?}: it was killed there, and nowhere else");
        again(&mut realm).await;
        let versions = whole(&door, &soul).await;
        assert_eq!(versions.len(), 1 + usize::from(is_new), "{fault:?}");
        assert_eq!(&versions[versions.len() - 1].component, if is_new { &new } else { &old }, "{fault:?}");
        let total = door.ask(&soul, "total").await.expect("it lives");
        // The commit has the state as it was; before it, what was saved is there.
        let least = if is_new { 5 } else { 3 };
        let total: u64 = total.parse().expect("a number");
        assert!((least..=5).contains(&total), "{fault:?}: {total}");
        adds(&door, &soul, total + 1..=total + 1).await;
        let code = if is_new { "butterfly" } else { "caterpillar" };
        assert_eq!(door.ask(&soul, "code").await.expect("it lives"), code, "{fault:?}");
    }
}
