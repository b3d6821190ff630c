//! Souls with large states, as a person has them: forked, carried to another realm, moved, and kept in backups.

use std::path::Path;
use std::process::Command;

use matrix_tests::node::built;

use crate::processes::{Realm, root};

/// A Soul with a state of 3 MiB.
const NEO: &str = "[[soul]]\nname = \"neo\"\ncomponent = \"weights\"\nconfig = { bytes = \"3145728\" }\n\
    learning = { manual = true, held_out_percent = 0 }\nlimits = { memory_bytes = 67108864 }\n";
/// Where the restored realm's node is.
const NEW: u64 = 9;

fn push(realm: &Realm) {
    let path = root().join("tests/programs/out/weights.wasm");
    let path = path.to_str().expect("a path of this project");
    realm.matrix(1, &["components", "push", path, "--name", "weights"]).ok();
}

/// A realm in which it lives, and what its state comes to.
fn start(nodes: u64) -> (Realm, String) {
    let realm = Realm::start(nodes);
    push(&realm);
    realm.apply_without_waiting(1, NEO);
    realm.ask(1, "neo", "add 7").expect("it answers");
    let sum = realm.ask(1, "neo", "sum").expect("it answers");
    assert!(sum.starts_with("3145728 "), "{sum}");
    (realm, sum)
}

fn teach(realm: &Realm, soul: &str) {
    realm.matrix(1, &["teach", soul, "--input", "red", "--answer", "3"]).ok();
    realm.matrix(1, &["train", soul, "--now", "--watch"]).ok();
}

fn file(realm: &Realm, name: &str) -> String {
    realm.data(1).join(name).to_str().expect("a path of ours").to_owned()
}

#[test]
fn a_large_state_is_forked_and_carried_to_another_realm_as_it_is() {
    let (old, sum) = start(1);
    old.matrix(1, &["souls", "fork", "neo", "eve"]).ok();
    assert_eq!(old.ask(1, "eve", "sum").as_ref(), Ok(&sum));
    teach(&old, "neo");
    let learnt = old.ask(1, "neo", "sum");
    teach(&old, "neo");
    assert_ne!(old.ask(1, "neo", "sum"), learnt);
    old.matrix(1, &["souls", "restore", "neo", "2"]).ok();
    let last = old.ask(1, "neo", "sum");

    let new = Realm::start(1);
    let (path, small) = (file(&old, "neo.soul"), file(&old, "lesson.soul"));
    old.matrix(1, &["souls", "export", "neo", "-o", &path]).ok();
    new.matrix(1, &["souls", "import", &path]).ok();
    assert_eq!(new.ask(1, "neo", "sum"), last);
    let restored = new.matrix(1, &["souls", "restore", "neo", "2"]).ok().json();
    assert_eq!(restored["verdict"], "restored", "the lesson's state went along: {restored}");
    assert_eq!(new.ask(1, "neo", "sum"), last);
    old.matrix(1, &["souls", "export", "eve", "-o", &small]).ok();
    let strict = Realm::start_with(1, |_| "[souls]\nstate_bytes_max = 1048576\n".to_owned());
    strict.matrix(1, &["souls", "import", &small]).refused("souls.state_bytes_max");
    strict.matrix(1, &["souls", "show", "eve"]).refused("no Soul called eve");
}

#[test]
fn a_large_state_moves_and_comes_back_from_a_backup() {
    let (mut realm, sum) = start(2);
    let other = 3 - realm.home(1, "neo");
    realm.matrix(1, &["souls", "move", "neo", &other.to_string()]).ok();
    assert_eq!((realm.home(1, "neo"), realm.ask(2, "neo", "sum").as_ref()), (other, Ok(&sum)));
    realm.matrix(1, &["souls", "checkpoint", "neo"]).ok();
    let backup = file(&realm, "realm.backup");
    realm.matrix(1, &["cluster", "backup", &backup]).ok();
    let folder = realm.data(NEW);
    let mut command = Command::new(built("matrixd"));
    command.arg("--restore").arg(Path::new(&backup)).arg("--data-dir").arg(&folder);
    let restored = command.output().expect("the program starts");
    assert!(restored.status.success(), "{restored:?}");
    let settings = "[admin]\nlisten = \"off\"\nhttp = \"off\"\n";
    std::fs::write(folder.join("matrixd.toml"), settings).expect("our own folder");
    realm.restart(NEW);
    assert_eq!(realm.ask(NEW, "neo", "sum"), Ok(sum));
}
