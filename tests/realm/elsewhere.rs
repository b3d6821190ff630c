//! A component that was built for the standard interfaces, without anything of this project but the interface `agent`.

use serde_json::Value;

use crate::processes::{Realm, root};

/// Pushes the component, and spawns a Soul of it with these grants.
fn visitor(realm: &Realm, name: &str, grants: &[&str]) -> Value {
    let path = root().join("tests/elsewhere/out/visitor.wasm");
    let path = path.to_str().expect("a path of this project");
    let pushed = realm.matrix(1, &["components", "push", path]).ok().json();
    let spawn = ["souls", "spawn", name, "--component", "visitor"];
    realm.matrix(1, &[&spawn, grants].concat()).ok();
    pushed["component"].clone()
}

#[test]
fn a_component_from_elsewhere_runs_as_it_is() {
    let mut realm = Realm::start(1);
    let component = visitor(&realm, "door", &["--bucket", "guests:rw"]);
    assert_eq!(component["kind"], "soul", "{component}");
    let imports = component["imports"].as_array().expect("a list");
    for standard in ["store", "atomics", "batch"].map(|name| format!("wasi:keyvalue/{name}@0.2.0-draft")) {
        assert!(imports.contains(&Value::String(standard.clone())), "{standard}: {imports:?}");
    }
    let foreign = |name: &Value| {
        !name.as_str().is_some_and(|name| name.starts_with("wasi:") || name.contains("/types@"))
    };
    assert!(!imports.iter().any(foreign), "it imports nothing of the node's own: {imports:?}");
    let own = component["label"]["producers"].to_string();
    assert!(own.contains("wit-component") && !own.contains("matrix-sdk"), "others labelled it: {own}");

    assert_eq!(realm.ask(1, "door", "Ada"), Ok("Welcome, Ada: number 1.".to_owned()));
    assert_eq!(realm.ask(1, "door", "Eve"), Ok("Welcome, Eve: number 2 after Ada.".to_owned()));
    let value = realm.matrix(1, &["kv", "get", "guests", "guest/1"]).ok();
    assert!(value.stdout.contains("Ada"), "{}", value.stdout);
    let logs = realm.matrix(1, &["logs", "soul:door"]).ok().lines();
    let is_it =
        |line: &&Value| line["text"].as_str().is_some_and(|text| text.contains("Eve came as number 2"));
    let line = logs.iter().find(is_it);
    let line = line.unwrap_or_else(|| panic!("{logs:?}"));
    assert_eq!(line["level"], "warn", "{line}");

    // What it keeps is the node's, and outlives it.
    realm.kill(1);
    realm.restart(1);
    assert_eq!(realm.ask(1, "door", "Bob"), Ok("Welcome, Bob: number 3 after Eve.".to_owned()));
}

#[test]
fn it_may_do_no_more_than_it_is_granted() {
    let realm = Realm::start(1);
    visitor(&realm, "barred", &[]);
    let refused = realm.ask(1, "barred", "Ada").expect_err("it has no bucket");
    assert!(refused.contains("AccessDenied") || refused.contains("NoSuchStore"), "{refused}");
    visitor(&realm, "onlooker", &["--bucket", "guests:r"]);
    let refused = realm.ask(1, "onlooker", "Ada").expect_err("it may only read");
    assert!(refused.contains("AccessDenied"), "{refused}");
}
