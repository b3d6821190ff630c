//! A message that a Soul does not survive: seen, sent again, dropped.

use serde_json::Value;

use crate::process::Process;
use crate::project;

#[test]
fn a_dead_letter_is_seen_sent_again_and_dropped() {
    let node = Process::start();
    let program = project().join("tests/programs/out/teller.wasm");
    node.matrix(&["components", "push", program.to_str().expect("a path of this project")]);
    node.matrix(&["souls", "spawn", "ada", "--component", "teller", "--durability", "turn"]);
    assert!(node.fails(&["ask", "ada", "trap"]).said.contains("crashed"));
    let letters = |node: &Process| -> Vec<Value> {
        let list = node.matrix(&["souls", "dead", "list", "ada"]).remove(0);
        list["letters"].as_array().expect("a list").clone()
    };
    node.wait_for("the dead letter is kept", |node| letters(node).len() == 1);
    let first = letters(&node).remove(0);
    assert_eq!(
        (first["attempts"].as_u64(), first["content"]["text"].as_str()),
        (Some(2), Some("trap")),
        "{first}"
    );
    let id = |letter: &Value| letter["id"].as_str().expect("it has a name").to_owned();
    node.matrix(&["souls", "dead", "resend", "ada", &id(&first)]);
    // It kills again, and another letter takes its place.
    node.wait_for("it is dead again", |node| {
        let letters = letters(node);
        letters.len() == 1 && letters[0]["id"] != first["id"]
    });
    node.matrix(&["souls", "dead", "drop", "ada", "--all"]);
    assert!(letters(&node).is_empty());
    let unknown = node.fails(&["souls", "dead", "drop", "ada", &id(&first)]);
    assert!(unknown.said.contains("no dead letter"), "{}", unknown.said);
    let shown = node.matrix(&["souls", "show", "ada"]).remove(0);
    assert_eq!((shown["durability"].as_str(), shown["crashes"].as_u64()), (Some("turn"), Some(4)), "{shown}");
    assert_eq!(node.matrix(&["ask", "ada", "told"])[0]["reply"]["text"], "0");
    node.stop();
}
