//! A peer that is not ours, of another libp2p: it is understood, it is refused, and it does no harm.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::processes::{Realm, root};

/// What a node's memory may grow by under a hostile peer, in bytes.
const GROWTH_MAX: u64 = 64 << 20;

/// The peer's program, installed once; none, and why: something that it needs is missing.
fn program() -> Option<PathBuf> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    INSTALLED.get_or_init(install).clone()
}

fn install() -> Option<PathBuf> {
    let (from, to) = (root().join("tests/foreign"), root().join("target/foreign"));
    std::fs::create_dir_all(&to).expect("our own folder");
    for file in std::fs::read_dir(&from).expect("the program is there") {
        let file = file.expect("the program is there");
        if file.file_type().expect("it can be looked at").is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).expect("our own folder");
        }
    }
    let installed =
        Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&to).output();
    let is_there = installed.is_ok();
    let why = match installed {
        Ok(output) if output.status.success() => return Some(to),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    // Where there is npm, the peer has to work.
    assert!(!is_there, "npm: {why}");
    eprintln!("LEFT OUT: the foreign peer, because `npm ci` does not work here: {why}");
    None
}

/// Runs the peer; its exit code, and the line that it wrote.
fn peer(program: &Path, key: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new("node");
    command.current_dir(program).arg("peer.mjs").arg("--key").arg(key).args(arguments);
    let output = command.output().expect("node runs");
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).trim().to_owned())
}

/// Where a peer dials the only node of a realm.
fn address(realm: &Realm) -> String {
    let status = realm.matrix(1, &["status"]).ok().json();
    let addresses = status["peer_addresses"].as_array().expect("addresses").clone();
    let tcp = addresses.iter().filter_map(Value::as_str).find(|address| address.contains("/tcp/"));
    let nodes = realm.matrix(1, &["nodes", "list"]).ok().json();
    format!("{}/p2p/{}", tcp.expect("it listens on TCP"), nodes["nodes"][0]["peer"].as_str().expect("a peer"))
}

fn resident(realm: &Realm) -> u64 {
    realm.matrix(1, &["status"]).ok().json()["resident_bytes"].as_u64().expect("it is told")
}

#[test]
fn a_foreign_peer_that_is_admitted_talks_to_a_soul_and_can_do_no_harm() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    let (_, id) = peer(&program, &key, &["--print-id"]);
    let realm = Realm::start_with(1, |_| format!("[p2p]\nclients = [\"{id}\"]\n"));
    realm.push(1, "echo");
    realm.matrix(1, &["souls", "spawn", "echo", "--component", "echo"]).ok();
    let dial = address(&realm);
    let ask = |to: &str| {
        let (code, line) = peer(&program, &key, &["--dial", &dial, "--to", to, "--body", "hello"]);
        assert_eq!(code, 0, "{line}");
        serde_json::from_str::<Value>(&line).expect("one JSON line")
    };
    let told = ask("soul:echo");
    assert_eq!(told["reply"]["body"], "hello", "{told}");
    assert!(told["agent"].as_str().is_some_and(|agent| agent.starts_with("matrixd/")), "{told}");
    assert_eq!(ask("soul:nobody")["reply"]["failure"]["code"], 1, "unknown recipients are told so");

    let before = resident(&realm);
    for (kind, expected) in [
        ("huge-length", "reset"),
        ("garbage", "reset"),
        ("forged-sender", "denied"),
        ("silent-streams", "streams"),
        ("flood", "replies"),
    ] {
        let (code, line) = peer(
            &program,
            &key,
            &["--dial", &dial, "--hostile", kind, "--timeout-ms", "15000", "--to", "soul:echo"],
        );
        assert!(code == 0 && line.contains(expected), "{kind}: {code} {line}");
        assert_eq!(ask("soul:echo")["reply"]["body"], "hello", "after {kind}");
    }
    let grown = resident(&realm).saturating_sub(before);
    assert!(grown < GROWTH_MAX, "it grew by {grown} bytes");
}

#[test]
fn a_foreign_peer_that_is_not_admitted_is_refused() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let realm = Realm::start(1);
    realm.push(1, "echo");
    realm.matrix(1, &["souls", "spawn", "echo", "--component", "echo"]).ok();
    let dial = address(&realm);
    let arguments = ["--dial", &dial, "--to", "soul:echo", "--body", "hello", "--expect-refusal"];
    let (code, line) = peer(&program, &folder.path().join("key"), &arguments);
    assert!(code == 0 && line.contains("refused"), "{code} {line}");
    assert_eq!(realm.ask(1, "echo", "hello"), Ok("hello".to_owned()));
}
