//! `matrix apply`.

use crate::fake::Fake;

const MANIFEST: &str = r#"
[components]
strategist = "strategist.wasm"
ipd = "ipd.wasm"

[[soul]]
name = "tit-for-tat"
component = "strategist"
config = { strategy = "TitForTat" }

[[matrix]]
name = "tournament"
rules = "ipd"
players = ["tit-for-tat"]
seed = 42
config = { turns = 200 }
start = true
"#;

fn prepared() -> Fake {
    let fake = Fake::start();
    fake.file("strategist.wasm", "soul bytes");
    fake.file("ipd.wasm", "rules bytes");
    fake.file("m.toml", MANIFEST);
    fake
}

/// The first word and the name of each line.
fn changes(stdout: &str) -> Vec<(&str, &str)> {
    let words = |line: &str| -> Vec<usize> { line.split_whitespace().map(str::len).collect() };
    stdout
        .lines()
        .filter(|line| words(line).len() == 4)
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.nth(1)?))
        })
        .collect()
}

#[test]
fn apply_creates_once_and_then_leaves_alone() {
    let fake = prepared();
    let first = fake.matrix(&["apply", "m.toml"]).ends(0);
    let names = ["ipd", "strategist", "tit-for-tat", "tournament"];
    assert_eq!(changes(&first.stdout), names.map(|name| ("created", name)), "{}", first.stdout);
    let second = fake.matrix(&["apply", "m.toml"]).ends(0);
    assert_eq!(changes(&second.stdout), names.map(|name| ("unchanged", name)), "{}", second.stdout);
    assert_eq!((fake.calls("Upload").len(), fake.calls("CreateMatrix").len()), (2, 1));
    let create = &fake.calls("CreateMatrix")[0];
    assert!(create.contains(r#"rules: "sha256:"#) && create.contains("start: true"), "{create}");
    assert!(create.contains(r#"config: "{\"turns\":200}""#), "{create}");
}

#[test]
fn apply_updates_what_has_changed() {
    let fake = prepared();
    fake.matrix(&["apply", "m.toml"]).ends(0);
    fake.file("strategist.wasm", "other bytes");
    let run = fake.json(&["apply", "m.toml"]).ends(0).json();
    let changes: Vec<_> = run.iter().map(|line| line["change"].as_str().unwrap_or_default()).collect();
    assert_eq!(changes, ["unchanged", "updated", "updated", "unchanged"]);
}

#[test]
fn a_matrix_that_differs_is_replaced_only_when_told() {
    let fake = prepared();
    fake.matrix(&["apply", "m.toml"]).ends(0);
    fake.file("m.toml", MANIFEST.replace("seed = 42", "seed = 43"));
    let refused = fake.matrix(&["apply", "m.toml"]).ends(8);
    assert!(
        refused.stderr.contains("with another seed") && refused.stderr.contains("--replace"),
        "{}",
        refused.stderr
    );
    let replaced = fake.matrix(&["apply", "m.toml", "--replace"]).ends(0);
    assert_eq!(changes(&replaced.stdout)[3], ("updated", "tournament"), "{}", replaced.stdout);
    assert_eq!((fake.calls("StopMatrix").len(), fake.calls("DeleteMatrix").len()), (1, 1));
    assert_eq!(fake.calls("CreateMatrix").len(), 2);
}

#[test]
fn apply_and_wait_shows_results_again_and_again() {
    let fake = prepared();
    for change in ["created", "unchanged"] {
        let run = fake.matrix(&["apply", "m.toml", "--wait"]).ends(0);
        assert_eq!(changes(&run.stdout)[3], (change, "tournament"), "{}", run.stdout);
        assert!(
            run.stdout.contains("tit-for-tat      3\n") && run.stdout.contains("cooperation.rate   0.75")
        );
    }
    // It is over: --replace runs it again.
    fake.matrix(&["apply", "m.toml", "--wait", "--replace"]).ends(0);
    assert_eq!(fake.calls("CreateMatrix").len(), 2);
}

#[test]
fn faults_of_a_manifest_name_their_line() {
    let fake = prepared();
    fake.file("m.toml", MANIFEST.replace("seed = 42", "sede = 42"));
    let refused = fake.matrix(&["apply", "m.toml"]).ends(5);
    assert!(refused.stderr.contains("unknown field `sede`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("where: m.toml:15:1"), "{}", refused.stderr);
    assert!(fake.state().calls.is_empty(), "nothing is done before the manifest is good");
}

#[test]
fn what_fails_is_placed_in_the_manifest() {
    let fake = prepared();
    fake.file("m.toml", "[[soul]]\nname = \"neo\"\ncomponent = \"nowhere\"\n");
    let failed = fake.matrix(&["apply", "m.toml"]).ends(3);
    assert!(failed.stderr.contains("where: m.toml: [[soul]] neo: component nowhere"), "{}", failed.stderr);
    fake.file("m.toml", "[components]\nx = \"none.wasm\"\n");
    let failed = fake.matrix(&["apply", "m.toml"]).ends(1);
    assert!(failed.stderr.contains("m.toml: [components] x: none.wasm"), "{}", failed.stderr);
}
