//! A component is checked with what a Soul of a node has, before that Soul gets it.

use serde_json::{Value, json};

use crate::process::Process;
use crate::project;

/// Limits that no node has unless it is told.
const SETTINGS: &str = "[limits.default]\nbody_bytes = 200\n[limits.max]\ncall_ms = 100000\n";

/// What came of a check.
fn outcome<'a>(report: &'a Value, id: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("a list");
    checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id}: {report}"))
}

#[test]
fn a_component_is_checked_with_what_a_soul_of_the_node_has() {
    let node = Process::start_with(SETTINGS);
    let strategist = project().join("guests/out/strategist.wasm");
    let diarist = project().join("tests/programs/out/diarist.wasm");
    let [strategist, diarist] = [&strategist, &diarist].map(|path| path.to_string_lossy());
    let world = node.folder().join("world.toml");
    let description = "x".repeat(300);
    let text = format!(
        "[components]\nstrategist = \"{strategist}\"\ndiarist = \"{diarist}\"\n\n\
         [[soul]]\nname = \"bob\"\ncomponent = \"strategist\"\nconfig = {{ strategy = \"TitForTat\" }}\n\
         limits = {{ call_ms = 90000 }}\n\n\
         [[soul]]\nname = \"eve\"\ncomponent = \"diarist\"\n\n\
         [[soul]]\nname = \"ada\"\ncomponent = \"diarist\"\ngrants = {{ memory = true }}\n\
         persona = {{ description = \"{description}\" }}\n"
    );
    std::fs::write(&world, text).expect("a file in the test's folder");
    node.matrix(&["apply", &world.to_string_lossy()]);

    // Its settings: without them it is not born. Its limits: they are more than a node allows that is told nothing.
    let refused = node.fails(&["check", &strategist]);
    assert!(refused.code == 2 && refused.said.contains("--set NAME=VALUE"), "{}", refused.said);
    let report = node.matrix(&["check", "--soul", "bob", &strategist]);
    assert_eq!(outcome(&report[0], "soul.birth")["outcome"], "right", "{report:?}");
    let refused = node.fails(&["check", "--soul", "bob", &strategist, "--limit", "call_ms=200000"]);
    assert!(refused.code == 2 && refused.said.contains("allows 100000 at most"), "{}", refused.said);

    // Its grants.
    let report = node.matrix(&["check", "--soul", "eve", &diarist]);
    let grants = outcome(&report[0], "world.grants");
    assert_eq!(grants["outcome"], "noted", "{grants}");
    assert!(grants["seen"].as_str().is_some_and(|seen| seen.contains("grants.memory")), "{grants}");

    // Who it is, and what this node gives where its manifest says nothing: it says who it is, in too many words.
    let wrong = node.command(&["check", "--soul", "ada", &diarist]).output().expect("matrix can be run");
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    let report: Value = serde_json::from_slice(&wrong.stdout).expect("it is JSON");
    assert_eq!(outcome(&report, "world.grants")["outcome"], "right");
    let replies = outcome(&report, "soul.replies");
    assert_eq!(replies["outcome"], json!("wrong"), "{replies}");
    assert!(replies["expected"].as_str().is_some_and(|text| text.contains("200 bytes")), "{replies}");

    let refused = node.fails(&["check", "--soul", "nobody", &diarist]);
    assert_eq!(refused.code, 3, "{}", refused.said);
    node.stop();
}
