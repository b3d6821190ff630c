//! Tables of the iterated prisoner's dilemma that were made with Axelrod-Python, in `tests/data`, and what rules told of the
//! same matches.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// A match as a table has it, and as the rules tell it: scores and cooperations of both players.
pub type Match = ([f64; 2], [u64; 2]);

/// Every match of the table of so many turns, by the names that the Souls of `guests/worlds/tournament.toml` have.
///
/// # Panics
/// Where there is no such table.
#[must_use]
pub fn table(turns: u32) -> BTreeMap<[String; 2], Match> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/axelrod-4.14.0-turns-{turns}.json"));
    let text = std::fs::read_to_string(path).expect("the table is part of the project");
    let table: Value = serde_json::from_str(&text).expect("the table is JSON");
    let matches = table["matches"].as_array().expect("it lists matches");
    matches.iter().map(row).collect()
}

fn row(row: &Value) -> ([String; 2], Match) {
    let number = |key: &str| row[key].as_f64().expect("a score");
    let count = |key: &str| row[key].as_u64().expect("a count");
    let name = |key: &str| soul(row[key].as_str().expect("a strategy"));
    let found = ([number("score_a"), number("score_b")], [count("cooperations_a"), count("cooperations_b")]);
    ([name("a"), name("b")], found)
}

/// The Soul that plays a strategy: `TitFor2Tats` is `tit-for-2-tats`, `CyclerCCD` is `cycler-ccd`.
fn soul(strategy: &str) -> String {
    let mut name = String::new();
    let mut before = '-';
    for letter in strategy.chars() {
        let starts = letter.is_ascii_uppercase() && !before.is_ascii_uppercase() || letter.is_ascii_digit();
        if starts && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
        before = letter;
    }
    name
}

/// Every match that the events `guest.match.finished` tell of, as `matrix events` prints them.
///
/// # Panics
/// Where one tells of no match.
#[must_use]
pub fn told(events: &[Value]) -> BTreeMap<[String; 2], Match> {
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    let told = events.iter().map(|event| {
        let told = &event["content"]["json"];
        let names = [text(&told["players"][0]), text(&told["players"][1])];
        let score = |place: usize| told["scores"][place].as_f64().expect("a score");
        let count = |place: usize| told["cooperations"][place].as_u64().expect("a count");
        (names, ([score(0), score(1)], [count(0), count(1)]))
    });
    told.collect()
}
