//! `matrix kv`.

use crate::fake::Fake;

#[test]
fn values_go_in_and_come_back_as_they_are() {
    let fake = Fake::start();
    assert_eq!(fake.matrix(&["kv", "put", "b", "k", "-1"]).ends(0).stdout, "put revision 1\n");
    assert_eq!(fake.matrix(&["kv", "get", "b", "k"]).ends(0).stdout, "-1");
    assert_eq!(fake.matrix_with(&["kv", "put", "b", "k", "-"], "from stdin").ends(0).code, 0);
    assert_eq!(fake.json(&["kv", "get", "b", "k"]).ends(0).json()[0]["value"], "from stdin");
    fake.file("raw", [0xff, 0xfe]);
    fake.matrix(&["kv", "put", "b", "k", "--file", "raw"]).ends(0);
    assert_eq!(fake.json(&["kv", "get", "b", "k"]).ends(0).json()[0]["value_base64"], "//4=");
    assert_eq!(fake.matrix(&["kv", "del", "b", "k"]).ends(0).stdout, "deleted revision 3\n");
    assert_eq!(fake.matrix(&["kv", "del", "b", "k"]).ends(0).stdout, "unchanged it held nothing\n");
    let gone = fake.matrix(&["kv", "get", "b", "k"]).ends(3);
    assert!(gone.stderr.contains("the key `k` holds nothing"), "{}", gone.stderr);
}

#[test]
fn keys_are_listed_over_pages() {
    let fake = Fake::start();
    for key in ["a1", "a2", "a3", "b1"] {
        fake.matrix(&["kv", "put", "b", key, "v"]).ends(0);
    }
    let keys = |arguments: &[&str]| {
        fake.json(arguments).ends(0).json().iter().map(|line| line["key"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&["kv", "ls", "b", "a"]), [r#""a1""#, r#""a2""#, r#""a3""#]);
    assert_eq!(keys(&["kv", "ls", "b", "-n", "3"]).len(), 3);
    assert_eq!(fake.matrix(&["kv", "ls", "b"]).ends(0).stdout.lines().count(), 5);
    assert_eq!(fake.matrix(&["kv", "ls", "b", "z"]).ends(0).stdout, "no keys\n");
}

#[test]
fn a_swap_that_fails_is_a_conflict() {
    let fake = Fake::start();
    assert_eq!(
        fake.matrix(&["kv", "cas", "b", "k", "--absent", "v1"]).ends(0).stdout,
        "swapped revision 1\n"
    );
    let failed = fake.matrix(&["kv", "cas", "b", "k", "--absent", "v2"]).ends(8);
    assert!(failed.stderr.contains("the key holds revision 1: v1"), "{}", failed.stderr);
    fake.matrix(&["kv", "cas", "b", "k", "--revision", "1", "v2"]).ends(0);
    fake.matrix(&["kv", "cas", "b", "k", "--expect", "v2", "--delete"]).ends(0);
    assert!(fake.state().kv.is_empty());
    fake.matrix(&["kv", "cas", "b", "k", "v"]).ends(2);
}

#[test]
fn changes_are_watched() {
    let fake = Fake::start();
    let run = fake.matrix(&["kv", "watch", "b", "k", "--from", "1"]).ends(0);
    assert_eq!(run.stdout, "1 put k v\n2 deleted k\n");
    assert!(fake.calls("Watch")[0].contains("from_revision: Some(1)"));
    assert_eq!(fake.json(&["kv", "watch", "b"]).ends(0).json()[1]["deleted"], true);
}
