//! `matrix souls`.

use crate::fake::Fake;

#[test]
fn spawn_sends_the_whole_manifest() {
    let fake = Fake::start();
    let arguments = [
        "souls",
        "spawn",
        "neo",
        "--component",
        "hacker",
        "--config",
        "pill=red",
        "--value",
        "truth=0.5",
        "--trait",
        "curious",
        "--send",
        "soul:*",
        "--bucket",
        "zion:rw",
        "--events",
        "--call-ms",
        "50",
        "--every-turns",
        "8",
        "--seed",
        "7",
    ];
    let run = fake.matrix(&arguments).ends(0);
    assert!(run.stdout.contains("config     pill=red\n"), "{}", run.stdout);
    let call = &fake.calls("Spawn")[0];
    for part in [
        r#"name: "neo""#,
        r#"component: "hacker""#,
        r#""pill": "red""#,
        r#"name: "truth", weight: 0.5"#,
        "seed: 7",
        r#"send: ["soul:*"]"#,
        r#"buckets: ["zion:rw"]"#,
        "events: true",
        "call_ms: 50",
        "every_turns: 8",
    ] {
        assert!(call.contains(part), "{part}: {call}");
    }
    assert!(!call.contains(r#"request_id: """#), "{call}");
}

#[test]
fn souls_are_listed_shown_stopped_saved_and_removed() {
    let fake = Fake::start();
    assert!(fake.matrix(&["souls", "list"]).ends(0).stdout.starts_with("no Souls"));
    for name in ["neo", "trinity"] {
        fake.matrix(&["souls", "spawn", name, "--component", "hacker"]).ends(0);
    }
    let list = fake.matrix(&["souls", "ls"]).ends(0).stdout;
    assert!(list.lines().nth(1).is_some_and(|line| line.starts_with("neo         0  running ")), "{list}");
    let list = fake.json(&["souls", "list", "tri"]).ends(0).json();
    assert_eq!(list[0]["souls"][0]["name"], "trinity");
    assert_eq!(fake.json(&["souls", "stop", "soul:neo"]).ends(0).json()[0]["state"], "stopped");
    assert_eq!(
        fake.matrix(&["souls", "checkpoint", "neo"]).ends(0).stdout,
        "saved counter/1, 8 B, sha256:ab\n"
    );
    assert_eq!(fake.matrix(&["souls", "rm", "neo"]).ends(0).stdout, "deleted soul neo\n");
    let gone = fake.matrix(&["souls", "show", "neo"]).ends(3);
    assert!(gone.stderr.contains("where: soul `neo`") && gone.stderr.contains("change: spawn it first"));
}

#[test]
fn a_mutation_is_tried_again_three_times_at_most() {
    let fake = Fake::start();
    fake.state().unavailable = 3;
    fake.matrix(&["souls", "spawn", "neo", "--component", "hacker"]).ends(0);
    let calls = fake.calls("Spawn");
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(|call| *call == calls[0]), "one request id");
    fake.state().unavailable = 4;
    fake.matrix(&["souls", "spawn", "neo", "--component", "hacker"]).ends(6);
}

#[test]
fn code_is_swapped_tried_and_taken_back() {
    let fake = Fake::start();
    let swapped = fake.matrix(&["souls", "swap", "soul:neo", "hacker", "--turn-ms", "9"]).ends(0).stdout;
    assert!(
        swapped.contains("version 2, held up 1.50 ms") && swapped.contains("last checkpoint"),
        "{swapped}"
    );
    let tried = fake.matrix(&["souls", "swap", "neo", "hacker", "--dry-run"]).ends(0).stdout;
    assert!(tried.contains("3 inputs replayed, 1 differences") && tried.contains("text/plain 2"), "{tried}");
    let calls = fake.calls("Swap");
    assert!(calls[0].contains("turn_ms: 9") && calls[1].contains("dry_run: true"), "{calls:?}");
    fake.matrix(&["souls", "rollback", "neo"]).ends(0);
    assert_eq!(
        fake.json(&["souls", "rollback", "neo", "--present"]).ends(0).json()[0]["version"]["number"],
        2
    );
    let calls = fake.calls("Rollback");
    assert!(calls[0].contains("Kept") && calls[1].contains("Present"), "{calls:?}");
    let history = fake.matrix(&["souls", "history", "neo"]).ends(0).stdout;
    assert!(history.contains("counter/2") && history.contains("swap"), "{history}");
    fake.matrix(&["souls", "swap", "neo"]).ends(2);
}
