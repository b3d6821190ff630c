//! What a Soul writes to the KV as it is born: there once, or not at all, and only by the node where it lives.

use bytes::Bytes;
use matrix_tests::node::{PATIENCE, TestNode, manifest, name};
use matrixd::ids::Digest;
use matrixd::kv::{Consistency, Kv};
use matrixd::souls::manifest::Manifest;
use matrixd::souls::swap::TURN_DEFAULT;

const SOUL: &str = "newborn";

/// A component and its twin, which differs in a name that means nothing.
async fn twins(node: &TestNode) -> [Digest; 2] {
    [node.program(SOUL).await, node.program_again(SOUL).await]
}

fn newborn(soul: &str, component: Digest, settings: &[(&str, &str)]) -> Manifest {
    let mut newborn = manifest(soul, component, settings);
    newborn.limits.kv_per_second = 100_000;
    newborn
}

async fn births(kv: &Kv, soul: &str) -> u64 {
    let entry =
        kv.get(&format!("soul/{soul}"), b"births", Consistency::Linearizable).await.expect("the KV answers");
    entry.map_or(0, |entry| String::from_utf8_lossy(&entry.value).parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_soul_writes_at_its_birth_is_there_once() {
    let node = TestNode::start().await;
    let [old, new] = twins(&node).await;
    let (souls, kv) = (node.node().souls().clone(), node.node().kv().clone());
    node.spawn(newborn(SOUL, old, &[("fails-at", "2")])).await.expect("it is born");
    assert_eq!(births(&kv, SOUL).await, 1);
    // New code that is only tried, or refuses, has written nothing.
    let tried = souls.rehearse(&name(SOUL), new).await.expect("it can be tried");
    assert!(tried.refusal.contains("told to"), "{tried:?}");
    let refused = souls.swap(&name(SOUL), new, TURN_DEFAULT).await.expect_err("told to").to_string();
    assert!(refused.contains("told to"), "{refused}");
    assert_eq!(births(&kv, SOUL).await, 1);
    // It is born anew with other settings, and then once more with other code: written in the commit of the swap.
    node.spawn(newborn(SOUL, old, &[])).await.expect("it is born");
    assert_eq!(births(&kv, SOUL).await, 2);
    souls.swap(&name(SOUL), new, TURN_DEFAULT).await.expect("it is born");
    assert_eq!(births(&kv, SOUL).await, 3);
    assert_eq!(node.ask(SOUL, "births").await.as_deref(), Ok("3"));
    assert_eq!(births(&kv, SOUL).await, 3, "it is alive, and not born again");
    // At rest nothing is born that lives on: the next to wake is.
    souls.stop(&name(SOUL), None).await.expect("it stops");
    souls.swap(&name(SOUL), old, TURN_DEFAULT).await.expect("it is swapped at rest");
    assert_eq!(births(&kv, SOUL).await, 3);
    node.spawn(newborn(SOUL, old, &[])).await.expect("it wakes");
    assert_eq!(births(&kv, SOUL).await, 4);
    let node = node.restart_with(|_| {}).await;
    assert_eq!(node.ask(SOUL, "births").await.as_deref(), Ok("5"));
    assert_eq!(node.ask(SOUL, "key-5").await.as_deref(), Ok(""), "set, and deleted again");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soul_that_is_born_where_it_no_longer_lives_writes_nothing_more() {
    let node = TestNode::start().await;
    let [component, _] = twins(&node).await;
    let kv = node.node().kv().clone();
    for how in ["increment", "set", "delete", "set-many", "delete-many"] {
        let soul = format!("newborn-{how}");
        let spawning = node.spawn(newborn(&soul, component, &[("goes-on", how)]));
        let moving = async {
            let begun = async {
                while births(&kv, &soul).await == 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(PATIENCE, begun).await.expect("it writes before it is known to live");
            // As if another node had taken it up.
            let elsewhere = Bytes::from_static(br#"{"node":2,"generation":9}"#);
            let put = kv.put("sys/placed", soul.as_bytes(), elsewhere, None, None).await;
            put.expect("there is room").revision
        };
        let (spawned, moved) = tokio::join!(spawning, moving);
        let refused = spawned.expect_err("it never ends but by a refusal").to_string();
        assert!(refused.contains("another node"), "{how}: {refused}");
        let bucket = kv.range(&format!("soul/{soul}"), b"", None, 100, Consistency::Linearizable).await;
        let bucket = bucket.expect("the KV answers");
        let late: Vec<_> = bucket.entries.iter().filter(|(_, entry)| entry.revision > moved).collect();
        assert!(late.is_empty(), "{how}: {late:?} came after {moved}");
    }
    node.stop().await;
}
