//! Matrices that outlive their node, and that move.

use std::path::PathBuf;
use std::thread;

use serde_json::Value;

use crate::processes::{Realm, root};
use crate::tournament;

const SHOW: [&str; 3] = ["matrices", "show", "tournament"];

fn node(matrix: &Value) -> u64 {
    matrix["node"].as_u64().expect("a node")
}

fn copies(matrix: &Value) -> Vec<u64> {
    matrix["copies"].as_array().expect("a list").iter().map(|node| node.as_u64().expect("a node")).collect()
}

/// What the tournament comes to where nothing happens.
fn untroubled() -> Value {
    let alone = Realm::start(1);
    alone.apply(1, &tournament());
    let expected = alone.finished(1, "tournament");
    assert_eq!(expected["missed_actions"], 0);
    expected
}

fn assert_same(got: &Value, expected: &Value) {
    assert_eq!(got["missed_actions"], 0, "{got}");
    assert_eq!((&got["state_hash"], &got["result"]), (&expected["state_hash"], &expected["result"]));
}

#[test]
fn a_matrix_goes_on_where_a_copy_is_when_its_node_is_killed() {
    let expected = untroubled();
    let mut realm = Realm::start(3);
    realm.apply_without_waiting(1, &tournament());
    let far = |matrix: &Value| matrix["tick"].as_u64() >= Some(20) && !copies(matrix).is_empty();
    let before = realm.until(2, &SHOW, far);
    let (home, copy) = (node(&before), copies(&before)[0]);
    // What was uploaded to one node outlives it, whether others run it or not.
    realm.eventually("every component is on two nodes", |realm| {
        let held = [1, 2, 3].map(|node| realm.files(node, "components", "wasm"));
        let name = |file: &PathBuf| file.file_name().expect("a name").to_owned();
        let on = |wanted| held.iter().filter(|files| files.iter().any(|file| name(file) == wanted)).count();
        held[0].iter().all(|file| on(name(file)) >= 2)
    });
    realm.kill(home);
    let witness = [1, 2, 3].into_iter().find(|node| *node != home).expect("there are three");
    let got = realm.finished(witness, "tournament");
    assert_eq!((node(&got), &got["generation"]), (copy, &Value::from(2)));
    assert_same(&got, &expected);

    // It is gone through again on a node that does not have it, and on the one that runs it.
    let third = 6 - home - copy;
    for witness in [third, copy] {
        let replayed = realm.matrix(witness, &["matrices", "replay", "tournament"]).ok().json();
        assert_eq!((&replayed["same"], &replayed["ticks"]), (&Value::from(true), &got["tick"]), "{replayed}");
    }
    // Who comes back finds that it runs elsewhere, and becomes of use again.
    realm.restart(home);
    assert_eq!(node(&realm.matrix(home, &SHOW).ok().json()), copy);
    realm.until(home, &SHOW, |matrix| !copies(matrix).is_empty());
    realm.matrix(home, &["matrices", "rm", "tournament"]).ok();
    for witness in 1..=3 {
        realm.eventually("no run log is left", |realm| realm.files(witness, "runs", "log").is_empty());
    }
}

#[test]
fn a_matrix_moves_while_it_runs_and_leaves_a_node_that_is_drained() {
    let expected = untroubled();
    let realm = Realm::start(3);
    realm.apply_without_waiting(1, &tournament());
    for (after, to) in [(10, 2), (25, 3), (40, 1)] {
        realm.until(2, &SHOW, |matrix| matrix["tick"].as_u64() >= Some(after));
        let moved = realm.matrix(3, &["matrices", "move", "tournament", &to.to_string()]).ok().json();
        assert_eq!(node(&moved), to, "{moved}");
    }
    realm.until(2, &SHOW, |matrix| node(matrix) == 1 && matrix["tick"].as_u64() >= Some(60));
    realm.matrix(1, &["nodes", "drain", "1"]).ok();
    let drained = realm.until(2, &SHOW, |matrix| node(matrix) != 1);
    assert_eq!(drained["generation"], 5);
    assert_same(&realm.finished(3, "tournament"), &expected);
    let nowhere = realm.matrix(2, &["matrices", "move", "tournament", "9"]);
    assert!(!nowhere.success && nowhere.stderr.contains("not alive"), "{}", nowhere.stderr);
}

#[test]
fn the_end_of_a_log_that_its_node_lost_comes_back_from_a_copy() {
    // Of two nodes the first decides alone: while it is down, nobody takes the Matrix from it.
    let mut realm = Realm::start(2);
    realm.apply_without_waiting(1, &tournament());
    let far = |matrix: &Value| matrix["tick"].as_u64() >= Some(20) && copies(matrix) == [2];
    realm.until(1, &SHOW, far);
    let before = realm.matrix(1, &["matrices", "pause", "tournament"]).ok().json();
    realm.kill(1);
    let log = realm.files(1, "runs", "log").pop().expect("a run log");
    let length = std::fs::metadata(&log).expect("a file").len();
    let file = std::fs::File::options().write(true).open(&log).expect("a file");
    file.set_len(length - length / 3).expect("cut");
    for checkpoint in realm.files(1, "runs", "checkpoint") {
        std::fs::remove_file(checkpoint).expect("removed");
    }
    realm.restart(1);
    let after = realm.until(1, &SHOW, |matrix| matrix["tick"].as_u64() > Some(0));
    assert_eq!((&after["tick"], &after["state_hash"]), (&before["tick"], &before["state_hash"]), "{before}");
    assert_eq!(std::fs::metadata(&log).expect("a file").len(), length);
}

/// Starts rules that add up what they are sent, on node 1.
pub(crate) fn tally(realm: &Realm) {
    let program = root().join("tests/programs/out/tally.wasm");
    let program = program.to_str().expect("a path of this project");
    let manifest = format!(
        "[components]\ntally = \"{program}\"\n[[matrix]]\nname = \"tally\"\nrules = \"tally\"\nplayers = []\n\
         tick_interval_ms = 20\nstart = true\n"
    );
    realm.apply_without_waiting(1, &manifest);
}

#[test]
fn messages_to_a_matrix_that_goes_to_and_fro_are_all_handled_once() {
    let realm = Realm::start(3);
    tally(&realm);
    let (clients, each) = (6_u64, 25_u64);
    thread::scope(|scope| {
        let writing: Vec<_> = (0..clients)
            .map(|client| {
                let realm = &realm;
                scope.spawn(move || {
                    for number in 0..each {
                        // What is sent gathers in the mailbox; what is asked waits behind it.
                        let verb = if number % 5 == 4 { "ask" } else { "send" };
                        realm.matrix(1 + client % 3, &[verb, "matrix:tally", "add 1"]).ok();
                    }
                })
            })
            .collect();
        let mut to = [2, 3, 1].into_iter().cycle();
        while !writing.iter().all(thread::ScopedJoinHandle::is_finished) {
            let to = to.next().expect("a circle").to_string();
            realm.matrix(1, &["matrices", "move", "tally", &to]).ok();
        }
    });
    // Behind all that was sent: those who wrote by way of this node wrote before.
    let sum =
        |node| realm.ask(node, "matrix:tally", "sum").expect("it lives").parse::<u64>().expect("a number");
    realm.eventually("what is on its way arrives", |_| sum(2) >= clients * each);
    assert_eq!(sum(3), clients * each, "each was added once");
    let shown = realm.matrix(2, &["matrices", "show", "tally"]).ok().json();
    println!("handled {} messages over {} homes", clients * each, shown["generation"]);
    assert!(shown["generation"].as_u64() > Some(3), "{shown}");
    assert_eq!(realm.matrix(2, &["matrices", "replay", "tally"]).ok().json()["same"], true);
}
