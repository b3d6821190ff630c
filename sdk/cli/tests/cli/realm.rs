//! `matrix nodes` and `matrix cluster`.

use crate::fake::Fake;

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
