//! Realms of real processes: Souls and Matrices on several nodes behave as on one, also while nodes go.

mod access;
mod backup;
mod clients;
mod elsewhere;
mod ending;
mod foreign;
mod grids;
mod interceptors;
mod languages;
mod learning;
mod lessons;
mod markets;
mod matrices;
mod memory;
mod mirror;
mod portable;
mod processes;
mod rollouts;
mod services;
mod states;
mod swaps;
mod talks;
mod topics;
mod websites;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use processes::{PATIENCE, Realm};

/// How soon a Soul of a dead node has to answer elsewhere, at default settings.
const FAILOVER: Duration = Duration::from_secs(5);
/// A tick waits for as long as a Soul may take to come up elsewhere, and the run takes seconds.
const PATIENT: &str = "tick_deadline_ms = 30000\ntick_interval_ms = 20";

/// The tournament's manifest, patient, and slow enough that something can happen in its middle.
pub(crate) fn tournament() -> String {
    let text = std::fs::read_to_string(processes::root().join("guests/worlds/tournament.toml"));
    let text = text.expect("the manifest is there");
    let patient = text.replace("tick_deadline_ms = 1000", PATIENT);
    assert_ne!(patient, text, "the manifest says how long a tick is");
    patient
}

#[test]
fn a_tournament_gives_the_same_on_three_nodes_as_on_one_also_while_one_is_killed() {
    let alone = Realm::start(1);
    let manifest = tournament();
    alone.apply(1, &manifest);
    let expected = alone.finished(1, "tournament");
    assert_eq!(expected["missed_actions"], 0);
    drop(alone);

    let three = Realm::start(3);
    three.apply(1, &manifest);
    // Whichever node is asked.
    let got = three.finished(2, "tournament");
    let list = three.matrix(3, &["matrices", "list"]).ok().json();
    assert_eq!(list["matrices"][0]["state_hash"], got["state_hash"], "{list}");
    let nodes = three.homes(2);
    assert!([1, 2, 3].iter().all(|node| nodes.values().any(|home| home == node)), "spread: {nodes:?}");
    assert_eq!((&got["state_hash"], &got["result"]), (&expected["state_hash"], &expected["result"]));
    three.matrix(3, &["matrices", "rm", "tournament"]).ok();

    // Once more, and this time a node that has players goes in the middle.
    three.apply_without_waiting(1, &manifest);
    three.until(1, &["matrices", "show", "tournament"], |matrix| matrix["tick"].as_u64() >= Some(20));
    let mut three = three;
    three.kill(3);
    let got = three.finished(1, "tournament");
    assert_eq!(got["missed_actions"], 0, "{got}");
    assert_eq!((&got["state_hash"], &got["result"]), (&expected["state_hash"], &expected["result"]));
    assert!(three.homes(2).values().all(|home| *home != 3), "its Souls live elsewhere");
}

#[test]
fn a_soul_is_reached_from_everywhere_and_survives_its_node() {
    let mut realm = Realm::start(3);
    realm.push(1, "counter");
    realm.matrix(2, &["souls", "spawn", "tally", "--component", "counter", "--every-turns", "1"]).ok();
    let mut sum = 0;
    for node in [1, 2, 3, 1] {
        sum += 1;
        assert_eq!(realm.ask(node, "tally", "add 1"), Ok(sum.to_string()));
    }
    // Its own saves come after its answers.
    realm.matrix(1, &["souls", "checkpoint", "tally"]).ok();
    let home = realm.home(1, "tally");
    let other = if home == 1 { 2 } else { 1 };
    let killed = Instant::now();
    realm.kill(home);
    let answer = loop {
        match realm.ask(other, "tally", "add 1") {
            Ok(answer) => break answer,
            Err(why) => assert!(killed.elapsed() < PATIENCE, "it never answers: {why}"),
        }
    };
    let took = killed.elapsed();
    println!("a Soul of a dead node answered elsewhere after {} ms", took.as_millis());
    assert_eq!(answer, (sum + 1).to_string(), "it goes on from its last checkpoint");
    assert!(took < FAILOVER, "{took:?}");
    realm.restart(home);
    assert_eq!(
        realm.ask(home, "tally", "add 1"),
        Ok((sum + 2).to_string()),
        "its old node asks where it lives now"
    );
}

#[test]
fn a_soul_moves_under_load_and_loses_nothing() {
    let realm = Realm::start(3);
    realm.push(1, "counter");
    realm.matrix(1, &["souls", "spawn", "tally", "--component", "counter"]).ok();
    let (clients, each) = (3, 40);
    let told: u64 = std::thread::scope(|scope| {
        let asking: Vec<_> = (1..=clients)
            .map(|node| {
                let realm = &realm;
                scope.spawn(move || {
                    let mut told = 0;
                    for _ in 0..each {
                        realm.ask(node, "tally", "add 1").unwrap_or_else(|why| panic!("node {node}: {why}"));
                        told += 1;
                    }
                    told
                })
            })
            .collect();
        for to in [2, 3, 1, 2, 3] {
            let moved = realm.matrix(1, &["souls", "move", "tally", &to.to_string()]).ok().json();
            assert_eq!(moved["node"], to, "{moved}");
        }
        asking.into_iter().map(|client| client.join().expect("a client ends well")).sum()
    });
    assert_eq!(told, clients * each);
    assert_eq!(realm.ask(2, "tally", "get"), Ok(told.to_string()), "each addition was done once");
}

#[test]
fn souls_that_go_to_and_fro_between_two_nodes_lose_nothing() {
    let realm = Realm::start(2);
    realm.push(1, "counter");
    let souls: Vec<_> = (0..12).map(|number| format!("tally-{number}")).collect();
    for soul in &souls {
        realm.matrix(1, &["souls", "spawn", soul, "--component", "counter"]).ok();
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4)
            .map(|client| {
                let (realm, over, souls) = (&realm, &over, &souls);
                scope.spawn(move || {
                    for (told, soul) in (0_u64..).zip(souls.iter().cycle().skip(client * 3)) {
                        if over.load(Ordering::Relaxed) {
                            return told;
                        }
                        // By way of the node that a Soul comes to as often as by that which it leaves.
                        realm.ask(1 + told % 2, soul, "add 1").unwrap_or_else(|why| panic!("{soul}: {why}"));
                    }
                    unreachable!("the list goes round")
                })
            })
            .collect();
        for leaves in [1, 2, 1, 2] {
            realm.matrix(1, &["nodes", "drain", &leaves.to_string()]).ok();
            realm.matrix(1, &["nodes", "resume", &leaves.to_string()]).ok();
        }
        over.store(true, Ordering::Relaxed);
        let told: u64 = asking.into_iter().map(|client| client.join().expect("a client ends well")).sum();
        let count = |soul: &String| realm.ask(1, soul, "get").expect("it lives").parse().unwrap_or(0);
        assert_eq!(souls.iter().map(count).sum::<u64>(), told, "each addition was done once");
    });
}

#[test]
fn a_drained_node_is_left_by_its_souls_and_can_go() {
    let mut realm = Realm::start(3);
    realm.push(1, "counter");
    for number in 0..9 {
        let name = format!("tally-{number}");
        realm.matrix(1, &["souls", "spawn", &name, "--component", "counter"]).ok();
        assert_eq!(realm.ask(1, &name, &format!("add {number}")), Ok(number.to_string()));
    }
    assert!(realm.homes(1).values().any(|home| *home == 2), "Souls are spread");
    // One that has Souls does not go at once: it is drained first.
    let busy = realm.matrix(1, &["nodes", "remove", "2"]);
    assert!(!busy.success && busy.stderr.contains("still runs"), "{}", busy.stderr);
    realm.until(1, &["souls", "list"], |list| {
        list["souls"].as_array().is_some_and(|souls| souls.iter().all(|soul| soul["node"] != 2))
    });
    for number in 0..9 {
        let name = format!("tally-{number}");
        assert_eq!(realm.ask(3, &name, "get"), Ok(number.to_string()), "{name} has its state");
    }
    realm.matrix(1, &["souls", "spawn", "late", "--component", "counter"]).ok();
    assert_ne!(realm.home(1, "late"), 2, "a node that is drained gets nothing new");
    realm.matrix(1, &["nodes", "remove", "2"]).ok();
    let said = realm.ends(2);
    assert!(said.contains("was removed"), "{said}");
    assert!(realm.start_again(2).contains("was removed"), "it does not come back");
}

#[test]
fn labels_and_groups_say_where_souls_live() {
    let realm = Realm::start_with(3, |node| match node {
        2 => "[realm]\nname = \"two\"\nlabels = { zone = \"b\" }\n".to_owned(),
        _ => "[realm]\nlabels = { zone = \"a\" }\n".to_owned(),
    });
    realm.push(1, "echo");
    let spawn = |name: &str, more: &[&str]| {
        let mut arguments = vec!["souls", "spawn", name, "--component", "echo"];
        arguments.extend_from_slice(more);
        realm.matrix(1, &arguments)
    };
    for name in ["a", "b", "c"] {
        spawn(name, &["--on", "zone=b"]).ok();
        assert_eq!(realm.home(1, name), 2);
    }
    for name in ["x", "y", "z"] {
        spawn(name, &["--apart", "band"]).ok();
    }
    let mut homes: Vec<_> = ["x", "y", "z"].iter().map(|name| realm.home(1, name)).collect();
    homes.sort_unstable();
    assert_eq!(homes, [1, 2, 3], "a group has each node once");
    let nowhere = spawn("d", &["--on", "zone=c"]);
    assert!(nowhere.stderr.contains("zone=c") && !nowhere.success, "{}", nowhere.stderr);
}
