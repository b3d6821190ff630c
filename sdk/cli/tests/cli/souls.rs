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
        "--durability",
        "turn",
        "--seed",
        "7",
        "--learning-manual",
        "--learning-every-experiences",
        "9",
        "--learning-every-seconds",
        "11",
        "--learning-batch",
        "13",
        "--learning-mode",
        "in-place",
        "--learning-held-out-percent",
        "15",
        "--learning-metric",
        "accuracy",
        "--learning-more-is-better",
        "--learning-tolerance",
        "0.5",
        "--learning-capture",
        "matrix",
    ];
    let run = fake.matrix(&arguments).ends(0);
    assert!(run.stdout.contains("config      pill=red\n"), "{}", run.stdout);
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
        "mode: Turn",
        "learning: Some(Training { manual: true, every_experiences: 9, every_seconds: 11, batch: 13, mode: InPlace, \
         held_out_percent: Some(15), metric: \"accuracy\", more_is_better: true, tolerance: Some(0.5), \
         capture: [Matrix] })",
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
fn dead_letters_are_listed_sent_again_and_dropped() {
    let fake = Fake::start();
    let list = fake.matrix(&["souls", "dead", "list", "neo"]).ends(0).stdout;
    let line = list.lines().nth(1).expect("one is dead");
    for part in ["000000000000007-01ARZ3NDEKTSV4RRFFQ69G5FAV", "client:trinity", "2", "told to", "red pill"] {
        assert!(line.contains(part), "{part}: {list}");
    }
    let resent = fake.matrix(&["souls", "dead", "resend", "neo", "--all"]).ends(0).stdout;
    assert!(resent.contains("resent 000000000000007-"), "{resent}");
    fake.matrix(&["souls", "dead", "drop", "neo", "a", "b"]).ends(0);
    assert_eq!((fake.calls("Resend").len(), fake.calls("Drop").len()), (1, 2));
    assert!(!fake.matrix(&["souls", "dead", "drop", "neo"]).ends(2).stderr.is_empty(), "say which");
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
    assert!(history.contains("trinity after lesson 7"), "{history}");
    fake.matrix(&["souls", "swap", "neo"]).ends(2);
}

#[test]
fn a_persona_is_shown_and_edited_part_by_part() {
    let fake = Fake::start();
    let born = ["--description", "kind", "--trait", "calm", "--value", "honesty=1", "--value", "gold=-1"];
    fake.matrix(&[&["souls", "spawn", "neo", "--component", "hacker"], &born[..]].concat()).ends(0);
    let shown = fake.json(&["souls", "persona", "neo"]).ends(0).json();
    assert_eq!(
        (&shown[0]["persona"]["description"], &shown[0]["persona"]["traits"][0]),
        (&"kind".into(), &"calm".into())
    );
    assert!(fake.calls("SetPersona").is_empty());
    let edited = fake.matrix(&["souls", "persona", "neo", "--trait", "bold", "--value", "gold=0.5"]).ends(0);
    assert!(edited.stdout.starts_with("born anew with "), "{}", edited.stdout);
    let call = &fake.calls("SetPersona")[0];
    for part in [
        r#"description: "kind""#,
        r#"traits: ["bold"]"#,
        r#""honesty", weight: 1.0"#,
        r#""gold", weight: 0.5"#,
    ] {
        assert!(call.contains(part), "{part}: {call}");
    }
    let both = fake.matrix(&["souls", "persona", "neo", "--set", "neo.toml", "--trait", "bold"]);
    assert_eq!(both.code, 2, "{}", both.stderr);
}

#[test]
fn a_soul_is_forked_as_it_is_or_as_a_lesson_left_it() {
    let fake = Fake::start();
    let forked = fake.json(&["souls", "fork", "soul:neo", "smith"]).ends(0).json();
    assert_eq!(forked[0]["name"], "smith", "{forked:?}");
    let all = ["souls", "fork", "neo", "smith", "--lesson", "7", "--without-memory", "--with-experience"];
    fake.matrix(&all).ends(0);
    let calls = fake.calls("Fork");
    assert!(calls[0].contains("lesson: 0, without_memory: false, with_experience: false"), "{calls:?}");
    assert!(calls[1].contains("lesson: 7, without_memory: true, with_experience: true"), "{calls:?}");
    fake.matrix(&["souls", "fork", "neo", "smith", "--lesson", "0"]).ends(2);
}

#[test]
fn a_soul_is_written_into_a_file_signed_and_read_from_one_that_is_whole() {
    let fake = Fake::start();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path of ours").to_owned();
    let (file, key) = (path("neo.soul"), path("key"));
    fake.matrix(&["components", "keygen", &key]).ends(0);
    let written = fake.json(&["souls", "export", "neo", "-o", &file, "--key", &key]).ends(0).json();
    let signed_by = written[0]["signed_by"].as_str().expect("it is signed").to_owned();
    let named = ["souls", "import", &file, "--name", "smith", "--signed-by", &signed_by];
    let imported = fake.json(&named).ends(0).json();
    assert_eq!(imported[0]["name"], "smith", "{imported:?}");
    let other = format!("ed25519:{}", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let refused = fake.matrix(&["souls", "import", &file, "--signed-by", &other]);
    assert!(refused.code != 0 && refused.stderr.contains(&signed_by), "{}", refused.stderr);
    let mut bytes = std::fs::read(&file).expect("it was written");
    bytes.truncate(bytes.len() - 1);
    std::fs::write(&file, bytes).expect("our own folder");
    let refused = fake.matrix(&["souls", "import", &file]);
    assert!(refused.code != 0 && refused.stderr.contains("cut off"), "{}", refused.stderr);
    assert_eq!(fake.calls("Import").len(), 1);
}
