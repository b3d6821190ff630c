//! What an author does: from an empty folder to a Soul that lives, and to new code while it does.

mod languages;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use matrix_tests::node::built;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{PATIENCE, Process};
use crate::project;

/// How many lines of a process may wait to be read.
const LINES_MAX: usize = 1_000;

/// A folder of an author's own.
fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// A command as authors have it, but that what the guests are built of, and by, needs not be fetched and built again.
fn at(folder: &Path, mut command: Command) -> Command {
    command.current_dir(folder).stdin(Stdio::null());
    command.env("CARGO_TARGET_DIR", project().join("guests/target")).env("CARGO_NET_OFFLINE", "true");
    command.env("TOOL", project().join("target/languages/c/tool"));
    command.env("MATRIX_CACHE_DIR", cache());
    command
}

/// Where the commands keep compiled functions.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

/// Runs `matrix` without a node; its exit code must be this.
fn matrix(folder: &Path, arguments: &[&str], code: i32) -> Vec<Value> {
    let mut command = at(folder, Command::new(built("matrix")));
    let Output { status, stdout, stderr } =
        command.args(["--output", "json"]).args(arguments).output().expect("matrix can be run");
    assert_eq!(status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    let lines = String::from_utf8(stdout).expect("JSON is text");
    lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// Makes a folder whose component is right, and says what its scenario saw.
fn made_and_tested(folder: &Path, kind: &str, name: &str) -> Vec<Value> {
    let made = matrix(folder, &["new", "--kind", kind, name], 0);
    assert_eq!((&made[0]["kind"], &made[0]["name"]), (&json!(kind), &json!(name)));
    is_right(&matrix(folder, &["check", name], 0), kind);
    assert!(cache().join("functions/young").exists(), "nothing is kept for the next check");
    matrix(folder, &["test", name], 0)
}

/// That a report finds nothing wrong with a component of this kind.
fn is_right(report: &[Value], kind: &str) {
    let [report] = report else { panic!("it is one: {report:?}") };
    assert_eq!(report["kind"], kind, "{report}");
    let checks = report["checks"].as_array().expect("a list");
    assert!(checks.len() > 3 && checks.iter().all(|check| check["outcome"] != "wrong"), "{report}");
}

/// `matrix dev` at work.
struct Dev {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Dev {
    fn start(node: &Process, folder: &Path, arguments: &[&str]) -> Self {
        let mut command = at(folder, node.command(&["dev"]));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("matrix can be run");
        let stdout = lines(child.stdout.take().expect("it is piped"));
        let stderr = lines(child.stderr.take().expect("it is piped"));
        Self { child, stdout, stderr }
    }

    /// The next thing told on stdout that has this field.
    fn told(&self, field: &str) -> Value {
        next(&self.stdout, |line| {
            let told: Value = serde_json::from_str(line).expect("each line is JSON");
            Some(told).filter(|told| !told[field].is_null())
        })
    }

    /// Ends it as an author does, with Ctrl-C.
    fn interrupt(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill can be run").success());
        let ended = self.child.wait().expect("it is a child of this process");
        assert_eq!(ended.code(), Some(0));
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines as they come.
fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (told, hears) = sync_channel(LINES_MAX);
    std::thread::spawn(move || {
        // Whoever heard enough is gone.
        BufReader::new(from).lines().map_while(Result::ok).all(|line| told.send(line).is_ok())
    });
    hears
}

/// The first line that is of use.
fn next<T>(hears: &Receiver<String>, of: impl Fn(&str) -> Option<T>) -> T {
    loop {
        let line = hears.recv_timeout(PATIENCE).expect("what is waited for is told in time");
        if let Some(found) = of(&line) {
            return found;
        }
    }
}

#[test]
fn an_author_gets_from_an_empty_folder_to_a_soul_and_changes_it_while_it_lives() {
    let folder = folder();
    let tested = made_and_tested(folder.path(), "soul", "greeter");
    assert_eq!(tested.last(), Some(&json!({ "scenarios": 1, "steps": 3, "failed": 0 })));
    let source = folder.path().join("greeter/src/lib.rs");
    let first = std::fs::read_to_string(&source).expect("the template has it");

    let node = Process::start();
    let dev = Dev::start(&node, folder.path(), &["greeter", "--soul", "ada"]);
    let served = dev.told("served");
    let serves = |digest: &Value| assert_eq!(&node.matrix(&["souls", "show", "ada"])[0]["digest"], digest);
    let says = |name: &str| node.matrix(&["ask", "ada", name])[0]["reply"]["text"].clone();
    assert_eq!((&served["change"], &served["by"]), (&json!("spawned"), &json!("soul ada")));
    serves(&served["served"]);
    assert_eq!(says("Neo"), "Hello, Neo: you are number 1.");
    assert_eq!(dev.told("level")["text"], "greeter: greets Neo");

    // What cannot be compiled is shown, and changes nothing.
    std::fs::write(&source, first.replace("self.greeted += 1;", "self.greeted += one;")).expect("a file");
    next(&dev.stderr, |line| line.contains("cannot find value `one`").then_some(()));
    next(&dev.stderr, |line| line.contains("\"code\":\"failure\"").then_some(()));
    assert_eq!(says("Neo"), "Hello, Neo: you are number 2.");

    // What is not right is told, and changes nothing either.
    std::fs::write(&source, first.replace("usize = 100;", "usize = 1 << 30;")).expect("a file");
    let wrong = next(&dev.stdout, |line| line.contains("\"checked\":false").then(|| line.to_owned()));
    assert!(wrong.contains("soul.replies") && wrong.contains("shorten the reply"), "{wrong}");
    next(&dev.stderr, |line| line.contains("--no-check").then_some(()));
    assert_eq!(says("Neo"), "Hello, Neo: you are number 3.");

    std::fs::write(&source, first.replace("Hello", "Welcome")).expect("a file");
    let next = dev.told("served");
    assert_eq!(next["change"], "swapped");
    assert_ne!(next["served"], served["served"]);
    serves(&next["served"]);
    assert_eq!(says("Trinity"), "Welcome, Trinity: you are number 4.", "its state went over");
    dev.interrupt();

    // The scenario tells what has changed.
    let tested = matrix(folder.path(), &["test", "greeter"], 1);
    let miss = json!({ "expected": "Hello, Trinity: you are number 1.", "seen": "Welcome, Trinity: you are number 1." });
    assert_eq!(tested[1]["misses"], json!([miss]));
    assert_eq!(tested.last(), Some(&json!({ "scenarios": 1, "steps": 3, "failed": 1 })));
    node.stop();
}

#[test]
fn new_rules_play_their_scenario_and_are_swapped_while_they_run() {
    let folder = folder();
    let tested = made_and_tested(folder.path(), "rules", "coin");
    assert_eq!(tested.last(), Some(&json!({ "scenarios": 1, "steps": 1, "failed": 0 })));
    let node = Process::start();
    let world = folder.path().join("coin/world.toml");
    node.matrix(&["apply", &world.to_string_lossy()]);
    let dev = Dev::start(&node, folder.path(), &["coin", "--matrix", "coin"]);
    assert_eq!(dev.told("served")["change"], "unchanged");
    let source = folder.path().join("coin/src/lib.rs");
    let text = std::fs::read_to_string(&source).expect("the template has it");
    std::fs::write(&source, text.replace("tosses were heads", "tosses showed heads")).expect("a file");
    let served = dev.told("served");
    assert_eq!((&served["change"], &served["by"]), (&json!("swapped"), &json!("matrix coin")));
    let shown = node.matrix(&["matrices", "show", "coin"]);
    assert_eq!((&shown[0]["rules"], &shown[0]["state"]), (&served["served"], &json!("running")));
    dev.interrupt();
    node.stop();
}

#[test]
fn a_new_interceptor_plays_its_scenario() {
    let folder = folder();
    let tested = made_and_tested(folder.path(), "transport", "hush");
    assert_eq!(tested.last(), Some(&json!({ "scenarios": 1, "steps": 2, "failed": 0 })));
}

#[test]
fn a_component_is_held_to_scores_that_are_known() {
    let folder = folder();
    let out = project().join("guests/out");
    let scenario = |name: &str, points: u32| {
        let text = format!(
            "[components]\nstrategist = \"{}\"\n\n\
             [[soul]]\nname = \"a\"\ncomponent = \"strategist\"\nconfig = {{ strategy = \"TitForTat\" }}\n\n\
             [[soul]]\nname = \"b\"\ncomponent = \"strategist\"\nconfig = {{ strategy = \"Defector\" }}\n\n\
             [[matrix]]\nname = \"game\"\nrules = \"ipd\"\nplayers = [\"a\", \"b\"]\nseed = 1\n\
             config = {{ turns = 10, self_play = false }}\n\n\
             [[step]]\nrun = \"game\"\nticks = 10\nmissed = 0\n\
             result = {{ ranking = [{{ player = \"b\", total_without_self_play = {points} }}, {{ player = \"a\", \
             total_without_self_play = 9 }}] }}\n",
            out.join("strategist.wasm").display()
        );
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    // The first turn earns 0 and 5 points, each that follows 1 and 1.
    scenario("right.toml", 14);
    scenario("wrong.toml", 15);
    let ipd = out.join("ipd.wasm").to_string_lossy().into_owned();
    let tested = matrix(folder.path(), &["test", &ipd, "right.toml"], 0);
    assert_eq!(tested.last(), Some(&json!({ "scenarios": 1, "steps": 1, "failed": 0 })));
    let tested = matrix(folder.path(), &["test", &ipd, "right.toml", "wrong.toml"], 1);
    let miss = &tested[3]["misses"][0];
    let told = |side: &str, text: &str| {
        assert!(miss[side].as_str().is_some_and(|told| told.contains(text)), "{miss}")
    };
    told("expected", "\"total_without_self_play\":15");
    told("seen", "\"total_without_self_play\":14.0");
    std::fs::write(folder.path().join("broken.toml"), "[[step]]\nsay = 1\n").expect("a file");
    matrix(folder.path(), &["test", &ipd, "broken.toml"], 2);
}
