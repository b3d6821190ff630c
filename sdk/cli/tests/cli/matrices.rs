//! `matrix matrices`.

use crate::fake::{Fake, Run};

fn create(fake: &Fake, name: &str) -> Run {
    fake.matrix(&[
        "matrices",
        "create",
        name,
        "--rules",
        "ipd",
        "--player",
        "neo,smith",
        "--config",
        "{\"turns\": 3}",
        "--seed",
        "42",
    ])
}

#[test]
fn create_sends_the_whole_manifest() {
    let fake = Fake::start();
    create(&fake, "ipd").ends(0);
    let call = &fake.calls("CreateMatrix")[0];
    for part in [r#"players: ["neo", "smith"]"#, r#"config: "{\"turns\": 3}""#, "seed: 42", "start: false"] {
        assert!(call.contains(part), "{part}: {call}");
    }
    let wrong = fake.matrix(&["matrices", "create", "x", "--rules", "r", "--config", "{turns}"]).ends(2);
    assert!(wrong.stderr.contains("not JSON"), "{}", wrong.stderr);
}

#[test]
fn start_and_wait_shows_ranking_and_signals() {
    let fake = Fake::start();
    create(&fake, "ipd").ends(0);
    let run = fake.matrix(&["matrices", "start", "ipd", "--wait"]).ends(0);
    let expected = "NAME         SCORE\ntit-for-tat      3\ndefector       1.5\n\n\
                    SIGNAL            VALUE\ncooperation.rate   0.75\n\nipd finished at tick 3, 0 missed, \n";
    assert_eq!(run.stdout.replace("missed,\n", "missed, \n"), expected);
    assert_eq!(run.stderr, "Matrix ipd ...\nMatrix ipd done (3 ticks)\n");
    let subscribed = &fake.calls("Subscribe")[0];
    assert!(subscribed.contains(r#"sources: ["matrix:ipd"]"#), "{subscribed}");
    let calls: Vec<_> = fake.state().calls.iter().map(|(name, _)| *name).collect();
    let at = |wanted| calls.iter().position(|name| *name == wanted);
    assert!(at("Subscribe") < at("StartMatrix"), "it listens before it starts: {calls:?}");
}

#[test]
fn a_matrix_that_fails_has_a_code_of_its_own() {
    let fake = Fake::start();
    let run = fake.json(&["matrices", "create", "doomed", "--rules", "ipd", "--wait"]).ends(12);
    assert_eq!(run.json()[0]["state"], "failed");
    let error: serde_json::Value = serde_json::from_str(&run.stderr).expect("an object");
    assert_eq!(error["error"]["code"], "unfinished");
    assert_eq!(
        error["error"]["message"],
        "the Matrix `doomed` is failed at tick 2: the rules ran out of fuel"
    );
}

#[test]
fn replay_tells_same_from_different() {
    let fake = Fake::start();
    assert_eq!(fake.matrix(&["matrices", "replay", "ipd"]).ends(0).stdout, "same ipd: 3 ticks, sha256:cd\n");
    fake.state().differs_at = Some(2);
    let run = fake.json(&["matrices", "replay", "ipd"]).ends(11);
    assert_eq!(run.json()[0]["first_difference"], 2);
    assert!(run.stderr.contains(r#""code":"difference""#), "{}", run.stderr);
}

#[test]
fn a_view_is_written_to_a_file_or_a_pipe() {
    let fake = Fake::start();
    assert_eq!(fake.matrix(&["matrices", "view", "ipd"]).ends(0).stdout, "<svg/>");
    let run = fake.matrix(&["matrices", "view", "ipd", "-o", "ipd.svg"]).ends(0);
    assert_eq!(run.stdout, "wrote ipd.svg (tick 2, 6 B)\n");
    assert_eq!(std::fs::read(fake.folder.path().join("ipd.svg")).expect("a file"), b"<svg/>");
}

#[test]
fn rules_are_rehearsed_swapped_and_rolled_back() {
    let fake = Fake::start();
    create(&fake, "ipd").ends(0);
    fake.matrix(&["matrices", "rollback", "ipd"]).ends(8);
    let dry = ["matrices", "swap", "ipd", "--component", "ipd-2", "--dry-run", "--ticks", "7"];
    let told = fake.json(&dry).ends(0).json();
    assert_eq!(
        (&told[0]["ticks"], &told[0]["same"], &told[0]["left_out"]),
        (&7.into(), &false.into(), &3.into())
    );
    assert_eq!(told[0]["differences"][0]["after"], "0: rate 0.25");
    let told = fake.matrix(&dry).ends(0).stdout;
    assert!(told.contains("signals") && told.contains("nothing was changed"), "{told}");
    let before = fake.json(&["matrices", "show", "ipd"]).ends(0).json()[0]["rules"].clone();
    let swapped = fake.json(&["matrices", "swap", "ipd", "-c", "ipd-2"]).ends(0).json();
    assert_eq!((&swapped[0]["rules"], &swapped[0]["switches"][0]["before"]), (&"ipd-2".into(), &before));
    let back = fake.json(&["matrices", "rollback", "ipd"]).ends(0).json();
    assert_eq!((&back[0]["rules"], back[0]["switches"].as_array().map(Vec::len)), (&before, Some(2)));
    let shown = fake.matrix(&["matrices", "show", "ipd"]).ends(0).stdout;
    assert!(shown.contains("ipd-2 after tick"), "{shown}");
    fake.matrix(&["matrices", "swap", "ipd", "-c", "ipd-2", "--ticks", "7"]).ends(2);
    fake.matrix(&["matrices", "swap", "ipd"]).ends(2);
}

#[test]
fn matrices_are_stepped_paused_stopped_listed_and_removed() {
    let fake = Fake::start();
    create(&fake, "ipd").ends(0);
    assert_eq!(fake.json(&["matrices", "step", "ipd", "5"]).ends(0).json()[0]["tick"], 5);
    assert_eq!(fake.json(&["matrices", "pause", "matrix:ipd"]).ends(0).json()[0]["state"], "paused");
    assert_eq!(fake.json(&["matrices", "move", "ipd", "2"]).ends(0).json()[0]["node"], 2);
    fake.matrix(&["matrices", "move", "ipd"]).ends(2);
    assert_eq!(fake.json(&["matrices", "stop", "ipd"]).ends(0).json()[0]["state"], "stopped");
    assert_eq!(fake.json(&["matrices", "show", "ipd"]).ends(0).json()[0]["config"]["turns"], 3);
    let list = fake.matrix(&["matrices", "list"]).ends(0).stdout;
    assert!(list.contains("ipd      2  stopped     5        2    42"), "{list}");
    fake.matrix(&["matrices", "rm", "ipd"]).ends(0);
    fake.matrix(&["matrices", "rm", "ipd"]).ends(3);
    for (name, count) in [("StepMatrix", 1), ("PauseMatrix", 1), ("StopMatrix", 1), ("DeleteMatrix", 2)] {
        let calls = fake.calls(name);
        assert_eq!(calls.len(), count, "{name}");
        assert!(calls.iter().all(|call| !call.contains(r#"request_id: """#)), "{calls:?}");
    }
    fake.matrix(&["matrices", "step", "ipd", "0"]).ends(2);
}
