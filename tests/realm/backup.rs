//! A realm is written into one file, and made anew from it elsewhere.

use std::path::Path;
use std::process::{Command, Output};

use matrix_tests::node::built;

use crate::processes::Realm;

/// Where the new realm's node is among the old one's.
const NEW: u64 = 9;

fn restore(file: &Path, folder: &Path) -> Output {
    let mut command = Command::new(built("matrixd"));
    command.arg("--restore").arg(file).arg("--data-dir").arg(folder);
    command.output().expect("the program starts")
}

#[test]
fn a_realm_comes_back_from_its_backup_as_another() {
    let mut realm = Realm::start(3);
    realm.push(1, "counter");
    realm.matrix(2, &["souls", "spawn", "tally", "--component", "counter", "--every-turns", "1"]).ok();
    assert_eq!(realm.ask(1, "tally", "add 41"), Ok("41".to_owned()));
    for key in 0..50 {
        realm.matrix(3, &["kv", "put", "notes", &format!("key-{key:02}"), "kept"]).ok();
    }
    // Slow enough that the backup is of its middle.
    realm.apply_without_waiting(1, &super::tournament());
    realm.until(1, &["matrices", "show", "tournament"], |matrix| matrix["tick"].as_u64() >= Some(20));
    let file = realm.data(1).join("realm.backup");
    let name = file.to_str().expect("a path of ours");
    let taken = realm.matrix(1, &["cluster", "backup", name]).ok().json();
    assert_eq!((&taken["node"], &taken["runs"]), (&1.into(), &1.into()), "{taken}");
    assert!(taken["components"].as_u64() >= Some(3) && taken["missing"] == serde_json::json!([]), "{taken}");
    let verified = realm.matrix(1, &["cluster", "backup", "--verify", name]).ok().json();
    assert_eq!(verified["index"], taken["index"]);
    // What comes later is not in it.
    realm.matrix(3, &["kv", "put", "notes", "key-00", "later"]).ok();
    assert_eq!(realm.ask(1, "tally", "add 1"), Ok("42".to_owned()));
    let expected = realm.finished(1, "tournament");
    let old = realm.matrix(1, &["status"]).ok().json()["realm"].clone();

    let folder = realm.data(NEW);
    let refused = restore(&file, &realm.data(2));
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not empty"), "{refused:?}");
    let done = restore(&file, &folder);
    assert!(done.status.success(), "{done:?}");
    std::fs::write(folder.join("matrixd.toml"), "[admin]\nlisten = \"off\"\nhttp = \"off\"\n")
        .expect("our own folder");
    realm.restart(NEW);
    let status = realm.matrix(NEW, &["status"]).ok().json();
    assert!(old.is_string() && status["realm"].is_string() && status["realm"] != old, "{status}");
    assert_eq!((&status["node"], &status["nodes"]), (&1.into(), &1.into()), "{status}");
    assert_eq!(realm.matrix(NEW, &["kv", "get", "notes", "key-00"]).ok().json()["value"], "kept");
    assert_eq!(realm.home(NEW, "tally"), 1);
    assert_eq!(realm.ask(NEW, "tally", "add 1"), Ok("42".to_owned()), "it goes on from its checkpoint");
    let got = realm.finished(NEW, "tournament");
    assert_eq!((&got["state_hash"], &got["result"]), (&expected["state_hash"], &expected["result"]));

    // A node of the old realm is none of the new one, whatever it is invited to.
    let word = realm.matrix(NEW, &["cluster", "invite"]).ok().json()["token"].clone();
    realm.kill(2);
    let said = realm.joins(2, word.as_str().expect("a token"));
    assert!(said.contains("belongs to node 2 of realm"), "{said}");
    assert_eq!(realm.matrix(NEW, &["status"]).ok().json()["nodes"], 1);
}
