//! `matrix nodes` and `matrix cluster`.

use crate::fake::{Fake, command, run};

#[test]
fn nodes_are_listed_drained_resumed_and_removed() {
    let fake = Fake::start();
    let list = fake.matrix(&["nodes", "list"]).ends(0).stdout;
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[1].contains("leader") && lines[1].contains("yes") && lines[1].contains('3'), "{list}");
    assert!(lines[2].contains("learner") && lines[2].contains("down"), "{list}");
    let drained = fake.matrix(&["nodes", "drain", "2"]).ends(0).stdout;
    assert!(drained.contains("draining"), "{drained}");
    fake.matrix(&["nodes", "resume", "2"]).ends(0);
    assert!(fake.calls("Resume")[0].contains("node: 2"));
    let gone = fake.matrix(&["nodes", "remove", "9", "--force"]);
    assert!(gone.ends(3).stderr.contains("there is no node 9"));
    assert!(fake.calls("Remove")[0].contains("force: true"));
}

#[test]
fn an_invitation_is_one_word() {
    let fake = Fake::start();
    assert_eq!(fake.matrix(&["cluster", "invite", "--ttl", "60"]).ends(0).stdout, "matrix1abc\n");
    assert!(fake.calls("Invite")[0].contains("ttl_seconds: 60"));
    let json = fake.matrix(&["cluster", "invite", "--output", "json"]).ends(0).stdout;
    assert!(json.contains(r#""expires_at_ms":7"#) || json.contains(r#""expires_at_ms": 7"#), "{json}");
}

#[test]
fn a_backup_has_its_name_only_once_it_is_whole() {
    let fake = Fake::start();
    let taken = fake.json(&["cluster", "backup", "realm.backup"]).ends(0).json();
    assert_eq!(
        (&taken[0]["index"], &taken[0]["missing"][0]),
        (&300.into(), &"the run log of matrix town".into())
    );
    let path = fake.folder.path().join("realm.backup");
    let bytes = std::fs::read(&path).expect("it is there");
    // Checked without a node.
    let mut alone = command(fake.folder.path());
    let alone = alone.args(["cluster", "backup", "--verify", "realm.backup"]);
    assert!(run(alone, "").ends(0).stdout.contains("matrix town"));
    fake.state().backup_is_cut = true;
    let cut = fake.matrix(&["cluster", "backup", "realm.backup"]).ends(1);
    assert!(cut.stderr.contains("was cut off"), "{cut:?}");
    assert_eq!(std::fs::read(&path).expect("the old one stays"), bytes);
    assert!(!fake.folder.path().join("realm.backup.unfinished").exists());
    let mut damaged = bytes;
    *damaged.last_mut().expect("it ends in a hash") ^= 1;
    fake.file("realm.backup", damaged);
    let refused = fake.matrix(&["cluster", "backup", "--verify", "realm.backup"]).ends(1);
    assert!(refused.stderr.contains("damaged"), "{refused:?}");
}
