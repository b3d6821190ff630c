//! `matrix top` and `matrix limits`.

use crate::fake::Fake;

#[test]
fn who_uses_most_is_shown_in_seconds_and_shares() {
    let fake = Fake::start();
    let top = fake.matrix(&["top", "--once", "--sort", "memory", "-n", "7", "-i", "2", "ne"]).ends(0).stdout;
    let asked = fake.calls("Usage").remove(0);
    for field in ["window_ms: 2000", "order: Memory", "limit: 7", "name_prefix: \"ne\"", "here: false"] {
        assert!(asked.contains(field), "{field}: {asked}");
    }
    let lines: Vec<_> = top.lines().collect();
    assert!(lines[0].contains("50.0 % of 4 processors") && lines[0].contains("3.0 MiB of 1.0 GiB"), "{top}");
    assert!(lines[1].contains("it did not answer in time"), "{top}");
    let cells: Vec<_> = lines.last().expect("a row").split_whitespace().collect();
    let row = [
        "50.0",
        "1.5M",
        "1.0",
        "MiB",
        "20",
        "4.0",
        "0",
        "3.0",
        "5",
        "1.0",
        "running",
        "1",
        "soul",
        "neo\\u{1b}",
    ];
    assert_eq!(cells, row, "{top}");
    let json = fake.json(&["top", "--once"]).ends(0).json();
    let guest = &json[0]["guests"][0];
    assert_eq!((&guest["cpu_percent"], &guest["received_per_second"]), (&50.0.into(), &20.0.into()));
    assert_eq!((&guest["total"]["turned_away"], &guest["used"]["fuel"]), (&9.into(), &3_000_000.into()));
}

#[test]
fn limits_are_listed_with_what_holds() {
    let fake = Fake::start();
    let limits = fake.matrix(&["limits"]).ends(0).stdout;
    assert!(limits.lines().nth(1).is_some_and(|line| line.contains("16.0 MiB") && line.contains("64.0 MiB")));
    assert!(limits.contains("limits.call_ms") && limits.contains("What it limits"), "{limits}");
    let json = fake.json(&["limits"]).ends(0).json();
    assert_eq!(json[0]["limits"][1]["max"], 60_000);
}
