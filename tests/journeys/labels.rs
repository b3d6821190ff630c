//! What components say of themselves, from the author's folder to the node.

use std::process::Command;

use matrix_tests::node::built;
use serde_json::{Value, json};

use crate::process::Process;
use crate::project;

/// What somebody writes into the Cargo.toml of a new folder.
const SAID: &str = "authors = [\"Ada Example <ada@example.org>\"]\nlicense = \"MIT OR Apache-2.0\"\n\
    description = \"Greets.\"\nrepository = \"https://example.org/greeter.git\"\n";

/// Runs `matrix` without a node.
fn matrix(arguments: &[&str]) -> Value {
    let mut command = Command::new(built("matrix"));
    // What the guests are built of needs not be fetched and built again.
    command.env("CARGO_TARGET_DIR", project().join("guests/target")).env("CARGO_NET_OFFLINE", "true");
    let output = command.args(["--output", "json"]).args(arguments).output().expect("matrix can be run");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn what_an_author_says_of_a_component_is_told_by_the_node() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let at = |path: &str| folder.path().join(path).to_string_lossy().into_owned();
    matrix(&["new", "--kind", "soul", &at("greeter")]);
    let change = |path: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(at(path)).expect("it is there");
        assert!(text.contains(from), "{path}: {text}");
        std::fs::write(at(path), text.replacen(from, to, 1)).expect("our own folder");
    };
    change("greeter/Cargo.toml", "edition =", &format!("{SAID}edition ="));
    change("greeter/matrix.toml", "version = \"0.1.0\"", "version = \"0.2.0\"");
    let built = matrix(&["build", &at("greeter")]);
    let wasm = at("greeter/out/greeter.wasm");
    matrix(&[
        "components",
        "label",
        &wasm,
        "--set",
        "revision=5e3f",
        "--set",
        "homepage=https://example.org",
    ]);

    let node = Process::start();
    let pushed = node.matrix(&["components", "push", &wasm]);
    assert_ne!(pushed[0]["component"]["digest"], built["digest"], "a label is part of the bytes");
    let shown = &node.matrix(&["components", "show", "greeter"])[0]["label"];
    let expected = json!({
        "name": "greeter",
        "version": "0.2.0",
        "authors": "Ada Example <ada@example.org>",
        "description": "Greets.",
        "licenses": "MIT OR Apache-2.0",
        "source": "https://example.org/greeter.git",
        "homepage": "https://example.org",
        "revision": "5e3f",
        "producers": shown["producers"],
    });
    assert_eq!(*shown, expected);
    let made_with = |role: &str, name: &str| {
        let all = shown["producers"].as_array().expect("a list");
        all.iter().any(|it| it["role"] == role && it["name"] == name)
    };
    assert!(made_with("language", "Rust") && made_with("sdk", "matrix-sdk"), "{shown}");
    assert_eq!(matrix(&["components", "label", &wasm]), expected, "the file says the same");
    let listed = node.matrix(&["components", "list"]);
    assert_eq!(listed[0]["components"][0]["label"]["version"], "0.2.0");
    node.stop();
}

#[test]
fn the_project_s_own_components_say_what_they_are() {
    let node = Process::start();
    for (name, about) in [("counter", "counts"), ("ipd", "prisoner"), ("redact", "masks")] {
        let file = project().join(format!("guests/out/{name}.wasm"));
        let label = &node.matrix(&["components", "push", &file.to_string_lossy()])[0]["component"]["label"];
        let said = [&label["name"], &label["version"], &label["licenses"]];
        assert_eq!(said, [&json!(name), &json!("0.1.0"), &json!("Apache-2.0")]);
        let description = label["description"].as_str().expect("a text");
        assert!(description.contains(about), "{description}");
    }
    node.stop();
}
