//! The same in other languages than Rust. One whose tools are missing on this machine, or whose packages cannot be had, is
//! left out, by name; where the variable `MATRIX_NOTHING_LEFT_OUT` is set, none may be.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use matrix_tests::node::built;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Dev, at, folder, is_right, matrix, next};
use crate::process::Process;

/// How an author works in a language.
struct Language {
    name: &'static str,
    /// The file that says what the Soul does.
    source: &'static str,
    /// What runs its unit tests, in the folder.
    unit_tests: &'static [&'static str],
    /// Whether `dev` serves an interpreter with the code beside it, and not what `build` makes.
    interpreted: bool,
    /// A change that cannot be built, and what is then told.
    broken: (&'static str, &'static str),
    told: &'static str,
}

const PYTHON: Language = Language {
    name: "python",
    source: "soul.py",
    unit_tests: &[".venv/bin/python", "-W", "error", "-m", "unittest", "discover", "tests"],
    interpreted: true,
    broken: ("self.greeted += 1", "self.greeted +="),
    told: "SyntaxError",
};

const TYPESCRIPT: Language = Language {
    name: "js",
    source: "src/soul.ts",
    unit_tests: &["npm", "test"],
    interpreted: true,
    broken: ("this.state.greeted += 1", "this.state.greeted += one"),
    told: "Cannot find name 'one'",
};

const C: Language = Language {
    name: "c",
    source: "soul.c",
    unit_tests: &["make", "test"],
    interpreted: false,
    broken: ("greeted++;", "greeted += one;"),
    told: "use of undeclared identifier 'one'",
};

#[test]
fn an_author_writes_a_soul_in_python() {
    journey(&PYTHON);
}

#[test]
fn an_author_writes_a_soul_in_typescript() {
    journey(&TYPESCRIPT);
}

#[test]
fn an_author_writes_a_soul_in_c() {
    journey(&C);
}

#[test]
fn an_author_writes_rules_and_an_interceptor_in_python() {
    others(&PYTHON);
}

#[test]
fn an_author_writes_rules_and_an_interceptor_in_typescript() {
    others(&TYPESCRIPT);
}

#[test]
fn an_author_writes_rules_and_an_interceptor_in_c() {
    others(&C);
}

/// From an empty folder to a Soul that lives, and to new code while it does.
fn journey(language: &Language) {
    let folder = folder();
    let Some(first) = plays(language, &folder, "soul", "greeter", 3) else { return };
    let own = folder.path().join("greeter");
    let again = matrix(folder.path(), &["build", "greeter"], 0);
    assert_eq!(again[0]["digest"], first["digest"], "nothing has changed");

    let source = own.join(language.source);
    let text = std::fs::read_to_string(&source).expect("the template has it");
    let write = |from: &str, to: &str| {
        assert!(text.contains(from), "{}: {from}", language.name);
        std::fs::write(&source, text.replace(from, to)).expect("a file");
    };
    let node = Process::start();
    let dev = Dev::start(&node, folder.path(), &["greeter", "--soul", "ada"]);
    let served = dev.told("served");
    let serves = |digest: &Value| assert_eq!(&node.matrix(&["souls", "show", "ada"])[0]["digest"], digest);
    let says = |name: &str| node.matrix(&["ask", "ada", name])[0]["reply"]["text"].clone();
    assert_eq!(served["change"], "spawned");
    assert_eq!(served["served"] != first["digest"], language.interpreted, "{}", language.name);
    serves(&served["served"]);
    assert_eq!(says("Neo"), "Hello, Neo: you are number 1.");
    let logged = dev.told("level")["text"].clone();
    assert!(logged.as_str().is_some_and(|line| line.ends_with("greets Neo")), "{logged}");

    write(language.broken.0, language.broken.1);
    next(&dev.stderr, |line| line.contains(language.told).then_some(()));
    next(&dev.stderr, |line| line.contains("\"code\":\"failure\"").then_some(()));
    assert_eq!(says("Neo"), "Hello, Neo: you are number 2.", "the old code goes on");

    write("Hello", "Welcome");
    let next = dev.told("served");
    assert_eq!(next["change"], "swapped");
    assert_ne!(next["served"], served["served"]);
    serves(&next["served"]);
    assert_eq!(says("Trinity"), "Welcome, Trinity: you are number 3.", "its state went over");
    dev.interrupt();
    node.stop();
    // What others get is made as ever.
    write("Hello", "Greetings");
    let told = matrix(folder.path(), &["test", "greeter"], 1)
        .iter()
        .any(|line| line.to_string().contains("Greetings, Trinity"));
    assert!(told, "the tests see what `build` makes of what is there now");
}

/// Rules and an interceptor: what is new plays its scenario, and is right.
fn others(language: &Language) {
    let folder = folder();
    if plays(language, &folder, "rules", "coin", 1).is_some() {
        plays(language, &folder, "transport", "hush", 2);
    }
}

/// What was built in a new folder, that passes its tests and is right; none: the language is left out.
fn plays(language: &Language, folder: &TempDir, kind: &str, name: &str, steps: u32) -> Option<Value> {
    let first = made(language, folder, kind, name)?;
    let ran = tool(&folder.path().join(name), language.unit_tests);
    assert!(ran.status.success(), "{}: {ran:?}", language.name);
    let tested = matrix(folder.path(), &["test", name], 0);
    assert_eq!(tested.last(), Some(&json!({ "scenarios": 1, "steps": steps, "failed": 0 })));
    is_right(&matrix(folder.path(), &["check", name], 0), kind);
    Some(first)
}

/// What was built in a new folder; none: the language is left out.
fn made(language: &Language, folder: &TempDir, kind: &str, name: &str) -> Option<Value> {
    let lang = language.name;
    let made = matrix(folder.path(), &["new", "--lang", lang, "--kind", kind, name], 0);
    assert_eq!((&made[0]["lang"], &made[0]["name"]), (&json!(lang), &json!(name)));
    let mut build = at(folder.path(), Command::new(built("matrix")));
    // What builds components may have to be fetched, once.
    build.args(["--output", "json", "build", name]).env_remove("CARGO_NET_OFFLINE");
    let Output { status, stdout, stderr } = build.output().expect("matrix can be run");
    if status.success() {
        return Some(serde_json::from_slice(&stdout).expect("it is JSON"));
    }
    let said = String::from_utf8_lossy(&stderr);
    let error = said.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let error = error.unwrap_or_else(|| panic!("{lang}: {said}"))["error"]["message"].to_string();
    let is_left_out = error.contains("is not installed") || error.contains(" install ");
    assert!(is_left_out, "{lang}: {said}");
    #[expect(clippy::disallowed_methods, reason = "a test's settings have no other place")]
    let may_be = std::env::var_os("MATRIX_NOTHING_LEFT_OUT").is_none();
    assert!(may_be, "nothing may be left out: {lang}: {said}");
    // Straight to the stream: what tests that pass print is not shown.
    let _ = writeln!(std::io::stderr(), "LEFT OUT: what an author does in {lang}: {error}");
    None
}

/// A tool of a language's, in a folder.
fn tool(folder: &Path, words: &[&str]) -> Output {
    let is_own = words[0].contains('/');
    let program = if is_own { folder.join(words[0]) } else { words[0].into() };
    at(folder, Command::new(program)).args(&words[1..]).output().expect("it can be run")
}
