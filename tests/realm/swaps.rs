//! Rules that are swapped while a Matrix runs: the run outlives its node all the same, and is gone through again.

use std::process::{Child, Output};
use std::time::{Duration, Instant};

use matrix_tests::realm::Chance;
use serde_json::Value;

use crate::processes::{Realm, root};
use crate::tournament;

const SHOW: [&str; 3] = ["matrices", "show", "tournament"];
/// How often a node is killed around a swap.
const KILLS: usize = 20;

/// The tournament's rules as another component: what they are called is all that differs. Uploaded under that name.
fn push_variant(realm: &Realm, name: &str) -> String {
    let mut bytes = std::fs::read(root().join("guests/out/ipd.wasm")).expect("guests are built");
    // A custom section, which has a name and says nothing.
    let length = u8::try_from(name.len()).expect("a short name");
    bytes.extend([0, length + 1, length]);
    bytes.extend(name.as_bytes());
    let path = realm.data(1).join(format!("{name}.wasm"));
    std::fs::write(&path, bytes).expect("our own folder");
    let path = path.to_str().expect("a path of ours");
    let pushed = realm.matrix(1, &["components", "push", path, "--name", name]).ok().json();
    pushed["component"]["digest"].as_str().expect("a digest").to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn tick(matrix: &Value) -> u64 {
    matrix["tick"].as_u64().expect("a number")
}

fn swap<'a>(component: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["matrices", "swap", "tournament", "--component", component][..], more].concat()
}

#[test]
fn a_run_whose_rules_were_swapped_outlives_its_node_and_is_the_same() {
    let alone = Realm::start(1);
    alone.apply(1, &tournament());
    let expected = alone.finished(1, "tournament");
    drop(alone);

    let mut realm = Realm::start(3);
    let new = push_variant(&realm, "ipd-again");
    realm.apply_without_waiting(1, &tournament());
    let far = |matrix: &Value| tick(matrix) >= 20 && matrix["copies"] != serde_json::json!([]);
    let before = realm.until(2, &SHOW, far);
    let (home, old) = (before["node"].as_u64().expect("a node"), text(&before["rules"]).to_owned());
    let copy = before["copies"][0].as_u64().expect("a node");
    let third = 6 - home - copy;
    let dry = realm.matrix(third, &swap("ipd-again", &["--dry-run", "--ticks", "5"])).ok().json();
    assert_eq!((&dry["same"], dry["ticks"].as_u64() >= Some(5)), (&Value::from(true), true), "{dry}");
    let swapped = realm.matrix(third, &swap("ipd-again", &[])).ok().json();
    assert_eq!(
        (text(&swapped["rules"]), text(&swapped["switches"][0]["before"])),
        (&*new, &*old),
        "{swapped}"
    );
    let at = swapped["switches"][0]["tick"].as_u64().expect("a number");
    realm.until(third, &SHOW, |matrix| tick(matrix) >= at + 10);
    realm.kill(home);
    let got = realm.finished(third, "tournament");
    assert_eq!((&got["node"], text(&got["rules"])), (&Value::from(copy), &*new));
    assert_eq!((&got["missed_actions"], &got["switches"]), (&Value::from(0), &swapped["switches"]));
    assert_eq!((&got["state_hash"], &got["result"]), (&expected["state_hash"], &expected["result"]));
    for witness in [third, copy] {
        let replayed = realm.matrix(witness, &["matrices", "replay", "tournament"]).ok().json();
        let same = (&replayed["same"], &replayed["ticks"], &replayed["state_hash"]);
        assert_eq!(same, (&Value::from(true), &got["tick"], &got["state_hash"]), "{replayed}");
    }
    // What its log needs is kept, and no longer.
    for digest in [&old, &new] {
        let kept = realm.matrix(third, &["components", "rm", digest]);
        assert!(!kept.success && kept.stderr.contains("is used by"), "{}", kept.stderr);
    }
    realm.matrix(third, &["matrices", "rm", "tournament"]).ok();
    realm.matrix(third, &["components", "rm", &old]).ok();
}

#[test]
fn rules_are_rolled_back_and_follow_a_matrix_that_moves() {
    let realm = Realm::start(2);
    let new = push_variant(&realm, "ipd-again");
    realm.apply_without_waiting(1, &tournament());
    let before = realm.until(1, &SHOW, |matrix| tick(matrix) >= 10);
    let none = realm.matrix(2, &["matrices", "rollback", "tournament"]);
    assert!(!none.success && none.stderr.contains("no others before"), "{}", none.stderr);
    realm.matrix(2, &swap("ipd-again", &[])).ok();
    realm.matrix(1, &["matrices", "move", "tournament", "2"]).ok();
    let moved = realm.until(1, &SHOW, |matrix| matrix["node"] == 2 && tick(matrix) >= 20);
    assert_eq!((text(&moved["rules"]), &moved["generation"]), (&*new, &Value::from(2)));
    let back = realm.matrix(1, &["matrices", "rollback", "tournament"]).ok().json();
    assert_eq!((&back["rules"], back["switches"].as_array().map(Vec::len)), (&before["rules"], Some(2)));
    let got = realm.finished(1, "tournament");
    assert_eq!((&got["rules"], &got["missed_actions"]), (&before["rules"], &Value::from(0)));
    let replayed = realm.matrix(1, &["matrices", "replay", "tournament"]).ok().json();
    assert_eq!((&replayed["same"], &replayed["state_hash"]), (&Value::from(true), &got["state_hash"]));
    let over = realm.matrix(1, &swap("ipd-again", &[]));
    assert!(!over.success && over.stderr.contains("is finished"), "{}", over.stderr);
}

#[expect(clippy::disallowed_methods, reason = "the moment of a kill is what is tried out")]
fn let_pass(time: Duration) {
    std::thread::sleep(time);
}

fn ended(child: Child) -> Output {
    child.wait_with_output().expect("our own child")
}

/// What the Matrix's record says, which outlives the node.
fn recorded(realm: &Realm) -> Value {
    let kept = realm.matrix(1, &["kv", "get", "sys/matrices", "tournament"]).ok().json();
    match &kept["value"] {
        Value::String(text) => serde_json::from_str(text).expect("a record is JSON"),
        value => value.clone(),
    }
}

#[test]
fn whenever_its_node_is_killed_a_matrix_has_the_old_rules_or_the_new_ones() {
    let slow = tournament().replace("tick_interval_ms = 20", "tick_interval_ms = 200");
    let mut realm = Realm::start(1);
    let new = push_variant(&realm, "ipd-again");
    realm.apply_without_waiting(1, &slow);
    let mut matrix = realm.until(1, &SHOW, |matrix| tick(matrix) >= 1);
    let old = text(&matrix["rules"]).to_owned();
    let there_and_back = || {
        let began = Instant::now();
        realm.matrix(1, &swap(&new, &[])).ok();
        realm.matrix(1, &swap(&old, &[])).ok();
        began.elapsed()
    };
    // The first time may take longer than any that follows.
    there_and_back();
    let takes = there_and_back() / 2;
    let (mut chance, mut counts) = (Chance::new(7), [0; 3]);
    for _ in 0..KILLS {
        let next = if text(&matrix["rules"]) == old { &new } else { &old };
        let known = realm.matrix(1, &SHOW).ok().json()["switches"].as_array().map_or(0, Vec::len);
        let swapping = realm.begin(1, &swap(next, &[]));
        let_pass(takes * u32::try_from(chance.below(150)).expect("a small number") / 100);
        realm.kill(1);
        let told = ended(swapping).status.success();
        realm.restart(1);
        // Its run log has been gone through.
        let seen = realm.until(1, &SHOW, |now| tick(now) >= tick(&matrix).max(1));
        let switches = seen["switches"].as_array().expect("a list");
        let swapped = seen["rules"] == next.as_str();
        assert_eq!(switches.len(), known + usize::from(swapped), "{seen}");
        assert_eq!(switches.last().map(|last| &last["after"]), Some(&seen["rules"]), "{seen}");
        assert!(swapped || !told, "what was told has happened: {seen}");
        let record = recorded(&realm);
        assert_eq!((&record["manifest"]["rules"], &record["claimed"]), (&seen["rules"], &Value::Null));
        let replayed = realm.matrix(1, &["matrices", "replay", "tournament"]).ok().json();
        assert_eq!(replayed["same"], true, "{replayed}");
        counts[usize::from(swapped) + usize::from(told)] += 1;
        matrix = seen;
    }
    println!("{} swaps did not happen, {} happened untold, {} were told of", counts[0], counts[1], counts[2]);
    let paused = realm.matrix(1, &["matrices", "pause", "tournament"]).ok().json();
    assert_eq!(paused["state"], "paused", "it was over before it was killed often enough");
    drop(realm);
    // As if nothing had happened.
    let alone = Realm::start(1);
    alone.apply_without_waiting(1, &slow.replace("tick_interval_ms = 200", "").replace("start = true", ""));
    let ticks = tick(&paused).to_string();
    let same = alone.matrix(1, &["matrices", "step", "tournament", &ticks]).ok().json();
    assert_eq!((&same["state_hash"], &paused["missed_actions"]), (&paused["state_hash"], &Value::from(0)));
}
