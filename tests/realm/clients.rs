//! Clients in other languages, whose code the usual tools generate from `proto/`: they do what `matrix` does.

use std::process::Command;

use matrix_tests::tools::leave_out;
use serde_json::Value;

use crate::processes::{Realm, root};

/// What `sdk/clients/build.sh` ends with where tools are missing.
const TOOLS_MISSING: i32 = 3;

/// Makes a client ready; false if its tools are missing.
fn is_ready(client: &str) -> bool {
    let script = root().join("sdk/clients/build.sh");
    let output = Command::new(script).arg(client).output().expect("the script starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let is_left_out = output.status.code() == Some(TOOLS_MISSING);
    assert!(output.status.success() || is_left_out, "{client}: {said}");
    if is_left_out {
        leave_out(&format!("the client in {client}"), said.trim());
    }
    !is_left_out
}

/// What a client said to stdout and stderr, and whether it was content.
fn run(mut client: Command, arguments: &[&str]) -> (bool, String, String) {
    let output = client.args(arguments).current_dir(root()).output().expect("it was made ready");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// Has a client do what its README says, and fail as it should. It is given addresses as `address` makes them of a node's.
fn try_out(client: impl Fn() -> Command, address: impl Fn(&str) -> String) {
    let realm = Realm::start_with(1, |_| "[admin]\nlisten = \"127.0.0.1:0\"\nhttp = \"off\"\n".to_owned());
    let status = realm.matrix(1, &["status"]).ok().json();
    let addresses = status["addresses"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let tcp = addresses.clone().find(|it| it.starts_with("http:")).expect("it listens on loopback");
    let tcp = address(tcp);
    let token = realm.data(1).join("token");
    let token = token.to_str().expect("our own folder");
    let counter = root().join("guests/out/counter.wasm");
    let counter = counter.to_str().expect("a path of this project");

    let (done, said, error) = run(client(), &[&tcp, token, counter, "ada", "add 3", "add 4"]);
    assert!(done, "{said}{error}");
    let digest = realm.matrix(1, &["components", "show", "counter"]).ok().json()["digest"].clone();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("component {}", digest.as_str().expect("a digest")));
    for line in ["event soul.spawned soul:ada", "ada: 3", "ada: 7", "event soul.stopped soul:ada"] {
        assert!(lines.contains(&line), "{line}: {said}");
    }
    assert_eq!(lines.last(), Some(&"event soul.stopped soul:ada"));
    // It is another Soul's turn, and the first one's events are nobody's business.
    let (done, said, error) = run(client(), &[&tcp, token, counter, "eve", "subtract 1"]);
    assert!(!done && error.contains("say `add N` or `get`"), "{said}{error}");
    assert!(!said.contains("soul:ada"), "{said}");

    let stranger = realm.data(1).join("stranger");
    std::fs::write(&stranger, "nobody's").expect("our own folder");
    let stranger = stranger.to_str().expect("our own folder");
    let (done, _, error) = run(client(), &[&tcp, stranger, counter, "ada", "get"]);
    assert!(!done && error.to_lowercase().contains("unauthenticated"), "{error}");
}

#[test]
fn a_client_in_python_deploys_follows_and_talks() {
    if !is_ready("python") {
        return;
    }
    let client = || {
        let mut command = Command::new(root().join("target/clients/python/bin/python"));
        command.arg("sdk/clients/python/deploy.py").env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("PYTHONPATH", "target/clients/python/generated");
        command
    };
    try_out(client, |address| address.trim_start_matches("http://").to_owned());
}

#[test]
fn a_client_in_typescript_deploys_follows_and_talks() {
    if !is_ready("typescript") {
        return;
    }
    let client = || {
        let mut command = Command::new("node");
        command.arg("target/clients/typescript/dist/src/main.js");
        command
    };
    try_out(client, str::to_owned);
}
