//! `matrix events` and `matrix logs`.

use crate::fake::Fake;

#[test]
fn events_end_with_the_latest() {
    let fake = Fake::start();
    let run = fake.matrix(&["events"]).ends(0);
    let lines: Vec<_> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", run.stdout);
    assert_eq!(lines[0], "(events 0 to 1 are lost)");
    assert_eq!(lines[2], r#"3 2024-02-29T23:59:59.999Z matrix.tick matrix:ipd {"tick":1,"ticks_max":3}"#);
    let run = fake.json(&["events", "--kind", "soul.", "--source", "soul:*"]).ends(0).json();
    assert_eq!(run.len(), 2);
    assert_eq!((run[0]["missed"]["to"].as_u64(), run[1]["kind"].as_str()), (Some(1), Some("soul.spawned")));
    assert!(fake.matrix(&["events", "--from", "5"]).ends(0).stdout.is_empty());
}

#[test]
fn events_are_followed_with_the_nodes_filters() {
    let fake = Fake::start();
    // The pretended node ends a stream that starts now.
    fake.matrix(&["events", "--follow", "--kind", "matrix.", "--source", "neo"]).ends(0);
    let call = &fake.calls("Subscribe")[0];
    for part in ["from: None", r#"kinds: ["matrix."]"#, r#"sources: ["soul:neo"]"#] {
        assert!(call.contains(part), "{part}: {call}");
    }
}

#[test]
fn logs_are_shown_without_their_control_characters() {
    let fake = Fake::start();
    let run = fake.matrix(&["logs", "neo", "--lines", "5", "--level", "warn"]).ends(0);
    let expected = "2024-02-29T23:59:59.999Z info  soul:neo awake\n(7 lines are lost)\n\
                    2024-02-29T23:59:59.999Z error soul:neo pill \\u{1b}[2J\n";
    assert_eq!(run.stdout, expected);
    let call = &fake.calls("Tail")[0];
    for part in [r#"source: "soul:neo""#, "level: Warn", "lines: 5", "follow: false"] {
        assert!(call.contains(part), "{part}: {call}");
    }
    assert_eq!(fake.json(&["logs"]).ends(0).json()[1]["dropped"], 7);
}
