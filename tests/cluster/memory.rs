//! Hostile Souls on a node that may have half a gibibyte, in a group whose processes the system ends where they take more:
//! it has to end none.

use std::time::Duration;

use futures::future::join_all;
use matrix_proto::v1;
use matrix_tests::realm::{Door, Plan, TestRealm, until_told};

use crate::HEALED;

/// What the node may have, in bytes.
const MEMORY: u64 = 512 << 20;
/// What its KV may have of that.
const STATE: u64 = 32 << 20;
/// How many Souls each hostile one stands for: together they want several times what there is.
const SOULS: usize = 24;
/// What each may have of linear memory.
const EACH: u64 = 64 << 20;

async fn realm(what: &str) -> Option<TestRealm> {
    let settings = format!("[kv]\nstate_bytes_max = {STATE}\n[limits.default]\ncall_ms = 5000");
    let plan = Plan { nodes: 1, hosts: 1, memory_bytes: Some(MEMORY), settings, ..Plan::default() };
    let realm = TestRealm::start_with(plan).await;
    realm.memory().inspect_err(|why| why.report(what)).ok()?;
    let door = realm.door(0);
    let citizen = door.program("citizen").await;
    door.spawn("neighbour", &citizen, &[]).await.expect("there is room");
    Some(realm)
}

async fn spawn(door: &Door, program: &str, settings: &[(&str, &str)]) {
    let component = door.program(program).await;
    let all = || vec!["*".to_owned()];
    for number in 0..SOULS {
        let manifest = v1::SoulManifest {
            name: format!("{program}-{number}"),
            component: component.clone(),
            grants: Some(v1::Grants { send: all(), ask: all(), ..Default::default() }),
            limits: Some(v1::Limits { memory_bytes: EACH, kv_per_second: 100_000, ..Default::default() }),
            config: settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..Default::default()
        };
        door.spawn_by(manifest).await.expect("there is room");
    }
}

/// Tells all of a kind a word; what each said, or why not.
async fn tell_all(door: &Door, program: &str, word: &str) -> Vec<Result<String, String>> {
    let asks = (0..SOULS).map(async |number| {
        let told = door.ask(&format!("{program}-{number}"), word).await;
        told.map_err(|status| status.message().to_owned())
    });
    join_all(asks).await
}

/// The node lives, serves its neighbour, has room for its own code, and the system had to end nothing.
async fn lives(realm: &TestRealm, what: &str) {
    let door = realm.door(0);
    let pong = || async {
        let told = door.ask("neighbour", "ping").await.map_err(|status| status.to_string())?;
        if told == "pong" { Ok(()) } else { Err(told) }
    };
    until_told("the neighbour answers", HEALED, pong).await;
    let resident = realm.usage(0).resident_kib << 10;
    assert_eq!(realm.memory().expect("it is bounded").ended(), 0, "{what}");
    eprintln!("{what}: {} MiB", resident >> 20);
    // Where it takes nearly all, the system throws the program's own pages out, and it waits for its disk.
    assert!(resident < MEMORY / 16 * 15, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn souls_that_want_more_memory_than_there_is_are_refused_and_the_node_lives() {
    let Some(realm) = realm("hostile Souls that want all memory").await else { return };
    let door = realm.door(0);
    spawn(&door, "rogue", &[("peer", "neighbour")]).await;
    for word in ["grow", "hoard"] {
        let told = tell_all(&door, "rogue", word).await;
        let budget = |why: &String| why.contains("guest_memory_bytes_max");
        let refused = told.iter().filter(|told| told.as_ref().is_err_and(budget)).count();
        eprintln!("`{word}`: {refused} of {SOULS} met the node's bound");
        assert!(word == "hoard" || refused > 0, "{told:?}");
        lives(&realm, word).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_nobody_handles_do_not_take_all_memory() {
    let Some(realm) = realm("hostile Souls that send without end").await else { return };
    let door = realm.door(0);
    // Each is asked for something that takes as long as it may, and gets mail meanwhile.
    spawn(&door, "stages", &[]).await;
    let rogue = door.program("rogue").await;
    for number in 0..SOULS {
        let peer = format!("stages-{number}");
        door.spawn(&format!("rogue-{number}"), &rogue, &[("peer", &peer)]).await.expect("there is room");
    }
    let loops = async {
        let told = tell_all(&door, "stages", "loop").await;
        assert!(told.iter().all(Result::is_err), "{told:?}");
    };
    let floods = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tell_all(&door, "rogue", "send-large 100").await
    };
    let ((), told) = tokio::join!(loops, floods);
    let full =
        told.iter().filter(|told| told.as_ref().is_ok_and(|said| said.contains("mailbox-full"))).count();
    eprintln!("{full} of {SOULS} senders met a bound: {:?}", told.first());
    assert!(full > 0, "{told:?}");
    lives(&realm, "mail").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_the_kv_does_not_take_all_memory() {
    let Some(realm) = realm("hostile Souls that fill the KV").await else { return };
    let door = realm.door(0);
    spawn(&door, "caller", &[("peer", "neighbour")]).await;
    for word in ["kv-amplify", "kv-keys 100", "kv-spin 20"] {
        let told = tell_all(&door, "caller", word).await;
        eprintln!("`{word}`: {:?}", told.first());
        lives(&realm, word).await;
    }
}
