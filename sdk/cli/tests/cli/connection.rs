//! Finding the node, showing the token, and what is said when there is no way.

use serde_json::Value;

use crate::fake::{Fake, command, run};

#[test]
fn status_shows_the_node() {
    let fake = Fake::start();
    let run = fake.matrix(&["status"]).ends(0);
    assert!(run.stdout.contains("state       ready\n"), "{}", run.stdout);
    assert!(run.stdout.contains("souls       2 running, 1 failed\n"), "{}", run.stdout);
    assert!(run.stdout.contains("uptime      1 d 2 h\n"), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'), "no colours into a pipe");
    assert_eq!(fake.json(&["status"]).ends(0).json()[0]["souls"]["running"], 2);
}

#[test]
fn the_node_is_found_by_environment_flag_and_tcp() {
    let fake = Fake::start();
    let folder = fake.folder.path();
    run(command(folder).env("MATRIX_DATA_DIR", ".").arg("status"), "").ends(0);
    run(command(folder).env("MATRIX_NODE", "unix:matrixd.sock").arg("status"), "").ends(0);
    run(command(folder).args(["status", "--node", &fake.url, "--token-file", "token"]), "").ends(0);
    // The flag comes first.
    let mut both = command(folder);
    run(both.env("MATRIX_NODE", "unix:nowhere").args(["--node", "unix:matrixd.sock", "status"]), "").ends(0);
}

#[test]
fn without_a_token_the_node_refuses() {
    let fake = Fake::start();
    let refused = run(command(fake.folder.path()).args(["status", "--node", &fake.url]), "").ends(4);
    assert!(refused.stderr.contains("error[denied]: the token is missing"), "{}", refused.stderr);
    assert!(refused.stderr.contains("change: give a token"), "{}", refused.stderr);
}

#[test]
fn where_nothing_answers_it_says_what_was_tried() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let failed = run(command(folder.path()).arg("status"), "").ends(6);
    for part in
        ["no node answers", "unix:data/matrixd.sock (from the data folder `data`)", "make run", "--node"]
    {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.stderr);
    }
    let failed = run(command(folder.path()).args(["status", "--output", "json"]), "").ends(6);
    let error: Value = serde_json::from_str(&failed.stderr).expect("an object");
    assert_eq!(
        (error["error"]["code"].as_str(), error["error"]["exit"].as_u64()),
        (Some("unavailable"), Some(6))
    );
    assert!(failed.stdout.is_empty());
}

#[test]
fn wrong_arguments_are_told_apart() {
    let folder = tempfile::TempDir::new().expect("a folder");
    run(command(folder.path()).arg("nonsense"), "").ends(2);
    run(command(folder.path()).args(["status", "--node", "host:1"]), "").ends(2);
    run(command(folder.path()).args(["status", "--node", "https://127.0.0.1:1"]), "").ends(2);
    let failed = run(command(folder.path()).args(["--output", "json", "nonsense"]), "").ends(2);
    let error: Value = serde_json::from_str(&failed.stderr).expect("an object");
    assert_eq!(error["error"]["code"], "usage");
}

#[test]
fn help_and_completion_need_no_node() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let help = run(command(folder.path()).arg("--help"), "").ends(0);
    assert!(
        help.stdout.contains("   11  difference    a replay differs from its run log"),
        "{}",
        help.stdout
    );
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            run(command(folder.path()).args(["completion", shell]), "").ends(0).stdout.contains("matrix")
        );
    }
}
