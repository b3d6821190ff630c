//! What a person does with the programs `matrixd` and `matrix`, from an empty folder to a result: real
//! processes, real components, and results held to tables made by another implementation.

mod access;
mod author;
mod check;
mod dead;
mod labels;
mod memory;
mod process;
mod programs;
mod registry;
mod traces;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;

use matrix_tests::axelrod::{self, Match, table};
use process::Process;
use serde_json::{Value, json};

/// The world that `make run` applies.
const TOURNAMENT: &str = "guests/worlds/tournament.toml";

pub(crate) fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every match of a Matrix, as its rules told it when it was over.
fn played(node: &Process, matrix: &str) -> BTreeMap<[String; 2], Match> {
    let source = format!("matrix:{matrix}");
    axelrod::told(&node.matrix(&["events", "--kind", "guest.match.finished", "--source", &source]))
}

/// The tournament with other settings, in a file beside the real one's components.
fn variant(node: &Process, change: impl Fn(String) -> String) -> String {
    let world =
        std::fs::read_to_string(project().join(TOURNAMENT)).expect("the world is part of the project");
    let guests = project().join("guests/out");
    let world = change(world).replace("../out", &guests.to_string_lossy());
    let path = node.folder().join("variant.toml");
    std::fs::write(&path, world).expect("a file in the test's folder");
    path.to_string_lossy().into_owned()
}

fn state_hash(node: &Process, matrix: &str) -> Value {
    node.matrix(&["matrices", "show", matrix])[0]["state_hash"].clone()
}

#[test]
fn the_tournament_is_exact_and_replays() {
    let node = Process::start();
    let world = project().join(TOURNAMENT);
    node.matrix(&["apply", "--wait", &world.to_string_lossy()]);
    let (expected, found) = (table(200), played(&node, "tournament"));
    assert_eq!(expected.len(), 300);
    assert_eq!(found, expected);
    let replay = node.matrix(&["matrices", "replay", "tournament"]);
    assert_eq!((&replay[0]["same"], &replay[0]["ticks"]), (&json!(true), &json!(200)));
    assert_eq!(replay[0]["state_hash"], state_hash(&node, "tournament"));
    let again = node.matrix(&["apply", &world.to_string_lossy()]);
    assert!(again.iter().all(|line| line["change"] == "unchanged"), "{again:?}");
    node.stop();
}

#[test]
fn other_turns_and_payoffs_are_exact_too() {
    let node = Process::start();
    let world = variant(&node, |world| {
        let config =
            "config = { turns = 37, payoffs = { reward = 4, sucker = 1, temptation = 6, punishment = 2 } }";
        world.replace("config = { turns = 200, self_play = true }", config).replace("\"200\"", "\"37\"")
    });
    node.matrix(&["apply", "--wait", &world]);
    assert_eq!(played(&node, "tournament"), table(37));
    node.stop();
}

#[test]
fn a_run_that_was_killed_ends_like_one_that_was_not() {
    let mut node = Process::start();
    // Slow enough to be killed in the middle.
    let world = variant(&node, |world| world.replace("start = true", "start = true\ntick_interval_ms = 10"));
    node.matrix(&["apply", &world]);
    for _ in 0..3 {
        let before = tick(&node);
        node.wait_for("the run goes on", |node| tick(node) >= before + 20);
        node.kill();
        node.restart();
    }
    assert!(tick(&node) < 200, "it was over before it was killed");
    node.matrix(&["matrices", "start", "tournament", "--wait"]);
    let shown = node.matrix(&["matrices", "show", "tournament"]);
    assert_eq!((&shown[0]["tick"], &shown[0]["missed_actions"]), (&json!(200), &json!(0)));
    assert_eq!(played(&node, "tournament"), table(200));
    let replay = node.matrix(&["matrices", "replay", "tournament"]);
    assert_eq!(replay[0]["same"], json!(true));
    let killed = state_hash(&node, "tournament");
    node.stop();

    let node = Process::start();
    node.matrix(&["apply", "--wait", &project().join(TOURNAMENT).to_string_lossy()]);
    assert_eq!(state_hash(&node, "tournament"), killed);
    node.stop();
}

fn tick(node: &Process) -> u64 {
    node.matrix(&["matrices", "show", "tournament"])[0]["tick"].as_u64().expect("a number of ticks")
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let mut node = Process::start();
    let counter = project().join("guests/out/counter.wasm");
    node.matrix(&["components", "push", &counter.to_string_lossy(), "--name", "counter"]);
    node.matrix(&["souls", "spawn", "ada", "--component", "counter"]);
    node.matrix(&["ask", "ada", "add 41"]);
    node.matrix(&["souls", "checkpoint", "ada"]);
    for n in 0..20 {
        node.matrix(&["kv", "put", "notes", &format!("key-{n:02}"), "kept"]);
    }
    node.kill();
    node.restart();
    assert_eq!(node.matrix(&["kv", "ls", "notes"]).len(), 20);
    assert_eq!(node.matrix(&["ask", "ada", "add 1"])[0]["reply"]["text"], json!("42"));
    let refused = node.fails(&["kv", "put", "sys/souls", "ada", "x"]);
    assert_eq!(refused.code, 4, "{}", refused.said);
    let unknown = node.fails(&["ask", "nobody", "x"]);
    assert_eq!(unknown.code, 3, "{}", unknown.said);
    node.stop();
}

#[test]
fn who_is_told_to_end_under_load_loses_nothing_that_was_acknowledged() {
    let mut node = Process::start();
    let counter = project().join("guests/out/counter.wasm");
    node.matrix(&["components", "push", &counter.to_string_lossy(), "--name", "counter"]);
    node.matrix(&["souls", "spawn", "ada", "--component", "counter"]);
    let mut add = node.command(&["ask", "ada", "add 1"]);
    let (told, hears) = mpsc::sync_channel(0);
    let counting = std::thread::spawn(move || {
        let mut acknowledged = 0;
        while add.output().expect("matrix can be run").status.success() {
            acknowledged += 1;
            // Whoever heard enough is gone.
            let _ = told.send(acknowledged);
        }
        acknowledged
    });
    assert!(hears.iter().any(|acknowledged| acknowledged == 5));
    drop(hears);
    node.end();
    let acknowledged: u64 = counting.join().expect("no panic");
    node.restart();
    let kept = node.matrix(&["ask", "ada", "get"])[0]["reply"]["text"].as_str().map(str::to_owned);
    let kept: u64 = kept.and_then(|text| text.parse().ok()).expect("a number");
    // The last one may have been counted, and its answer cut off.
    assert!(kept == acknowledged || kept == acknowledged + 1, "{kept} kept, {acknowledged} acknowledged");
    node.stop();
}
