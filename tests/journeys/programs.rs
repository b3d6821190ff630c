//! Programs of an interpreter: each a component of its own to whoever spawns or swaps, and compiled once for all.

use matrix_tests::node::built;
use serde_json::json;

use crate::process::Process;
use crate::project;

/// A component that recites this text, made as its author makes it; its path.
fn reciter(node: &Process, name: &str, text: &str) -> String {
    let path = |ending: &str| node.folder().join(format!("{name}.{ending}")).to_string_lossy().into_owned();
    let (wasm, program) = (path("wasm"), path("txt"));
    std::fs::copy(project().join("tests/programs/out/reciter.wasm"), &wasm).expect("`make programs` made it");
    std::fs::write(&program, text).expect("a file in the test's folder");
    let label = std::process::Command::new(built("matrix"))
        .args(["components", "label", &wasm, "--program", &program])
        .status();
    assert!(label.expect("matrix can be run").success());
    wasm
}

#[test]
fn an_interpreter_is_compiled_once_for_all_its_programs() {
    let mut node = Process::start();
    let push = |node: &Process, file: &str| node.matrix(&["components", "push", file])[0].clone();
    let said = |node: &Process, line: &str| node.matrix(&["ask", "bard", line])[0]["reply"]["text"].clone();
    let (ballad, sonnet) = (
        reciter(&node, "ballad", "It is an ancient Mariner"),
        reciter(&node, "sonnet", "Shall I compare thee"),
    );
    let first = push(&node, &ballad);
    assert!(first["compile_us"].as_u64() > Some(0), "{first}");
    node.matrix(&["souls", "spawn", "bard", "--component", "ballad"]);
    assert_eq!(said(&node, "0"), "It is an ancient Mariner (1)");
    // Another program is another component, which nobody compiles, and takes up the state of the one before.
    let second = push(&node, &sonnet);
    assert_eq!(second["compile_us"], 0, "{second}");
    assert_ne!(first["component"]["digest"], second["component"]["digest"]);
    node.matrix(&["souls", "swap", "bard", "sonnet"]);
    assert_eq!(said(&node, "0"), "Shall I compare thee (2)");
    assert!(node.fails(&["ask", "bard", "7"]).said.contains("there is no such line"));
    // Who has the code first may go; the others keep it, also after a restart.
    node.end();
    node.restart();
    let third = push(&node, &reciter(&node, "limerick", "There was an old man with a beard"));
    assert_eq!((&third["compile_us"], &third["existed"]), (&json!(0), &json!(false)));
    node.matrix(&["souls", "swap", "bard", "limerick"]);
    node.matrix(&["components", "rm", "ballad"]);
    node.end();
    node.restart();
    assert_eq!(said(&node, "0"), "There was an old man with a beard (3)");
    node.stop();
}
