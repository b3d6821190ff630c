//! New code for all users of a component, in a realm of two nodes: Souls, Matrices by their rules, and nodes by their
//! interceptors. Where those that come first fail, all is as it was before, to the bit.

use std::process::Child;

use serde_json::{Value, json};

use crate::processes::{Realm, Run, root};

/// Uploads one of `tests/programs` under a name; its digest.
fn program(realm: &Realm, program: &str, name: &str) -> String {
    let path = root().join(format!("tests/programs/out/{program}.wasm"));
    pushed(realm, path.to_str().expect("a path of this project"), name)
}

/// Uploads something that differs from a component by what it is called, under a name; its digest.
fn variant(realm: &Realm, of: &str, name: &str) -> String {
    let mut bytes = std::fs::read(root().join(of)).expect("guests are built");
    // A custom section, which has a name and says nothing.
    bytes.extend([0, 2, 1, b'x']);
    let path = realm.data(1).join("variant.wasm");
    std::fs::write(&path, bytes).expect("our own folder");
    pushed(realm, path.to_str().expect("a path of ours"), name)
}

fn pushed(realm: &Realm, path: &str, name: &str) -> String {
    let pushed = realm.matrix(1, &["components", "push", path, "--name", name]).ok().json();
    pushed["component"]["digest"].as_str().expect("a digest").to_owned()
}

fn rollout<'a>(name: &'a str, digest: &'a str, watch: &'a str) -> [&'a str; 6] {
    ["components", "rollout", name, digest, "--watch", watch]
}

/// What a command said that was begun.
fn ended(child: Child) -> Run {
    let output = child.wait_with_output().expect("our own child");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { success: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What a rollout came to.
fn assert_told(run: &Run, all: bool, [total, swapped, failed, rolled_back]: [u64; 4]) {
    let told = run.json();
    let figures = ["total", "swapped", "failed", "rolled_back"].map(|figure| told[figure].as_u64());
    assert_eq!(figures, [total, swapped, failed, rolled_back].map(Some), "{}{}", run.stdout, run.stderr);
    assert_eq!((run.success, &told["all"]), (all, &Value::from(all)), "{}", run.stderr);
}

#[test]
fn souls_whose_new_code_crashes_have_the_old_one_again_and_its_state() {
    let realm = Realm::start(2);
    let old = program(&realm, "caterpillar", "insect");
    let names: Vec<_> = (0..4).map(|number| format!("insect-{number}")).collect();
    for (number, name) in (0..).zip(&names) {
        let after = if number == 0 { "after=receive-trap" } else { "after=" };
        realm.matrix(1, &["souls", "spawn", name, "--component", &old, "--config", after]).ok();
        realm.matrix(1, &["souls", "move", name, &(2 - number % 2).to_string()]).ok();
        assert_eq!(realm.ask(1, name, "add main 1").as_deref(), Ok("1"));
    }
    let new = program(&realm, "butterfly", "insect");
    let saved = realm.matrix(1, &["souls", "checkpoint", "insect-0"]).ok().json();
    let history = ["souls", "history", "insect-0"];
    let rolling = realm.begin(1, &rollout("insect", &new, "30"));
    realm.until(2, &history, |history| history["running"] == new.as_str());
    realm.ask(2, "insect-0", "add main 2").expect_err("its new code traps");
    let run = ended(rolling);
    assert_told(&run, false, [4, 1, 1, 1]);
    assert!(run.stdout.contains("insect-0") && run.stdout.contains("crashed"), "{}", run.stdout);
    let after = realm.matrix(1, &history).ok().json();
    let versions = after["versions"].as_array().expect("a list");
    assert_eq!((versions.len(), &versions[2]["cause"]), (3, &Value::from("rollback")), "{after}");
    assert_eq!((&after["running"], &after["wanted"]), (&json!(old), &json!(old)));
    assert_eq!(versions[2]["state"], saved["digest"], "to the bit: {after}");
    for name in &names {
        assert_eq!(realm.ask(2, name, "add main 2").as_deref(), Ok("2"), "{name}");
        assert_eq!(realm.matrix(1, &["souls", "show", name]).ok().json()["component"], json!(old), "{name}");
    }
}

/// Two Matrices on node 1 and one on node 2, all by these rules.
fn matrices(realm: &Realm, rules: &str) {
    for (node, name, word) in [(1, "ants", "stumbles"), (1, "bees", "fine"), (2, "cats", "fine")] {
        let config = format!("\"{word}\"");
        let create = ["matrices", "create", name, "--rules", rules, "--config", &config];
        realm.matrix(node, &[&create[..], &["--tick-interval-ms", "50", "--start"]].concat()).ok();
    }
}

#[test]
fn matrices_whose_new_rules_fail_go_on_by_the_old_ones_from_the_same_state() {
    let realm = Realm::start(2);
    let old = program(&realm, "regime", "regime");
    matrices(&realm, &old);
    let show = |name| ["matrices", "show", name];
    for name in ["ants", "bees", "cats"] {
        realm.until(2, &show(name), |matrix| matrix["tick"].as_u64() >= Some(2));
    }
    let new = program(&realm, "pretender", "regime");
    let run = realm.matrix(2, &rollout("regime", &new, "30"));
    assert_told(&run, false, [3, 1, 1, 1]);
    assert!(run.stdout.contains("ants") && run.stdout.contains("new rules failed"), "{}", run.stdout);
    let back = realm.until(2, &show("ants"), |matrix| matrix["state"] == "running");
    let switches = back["switches"].as_array().expect("a list");
    assert_eq!((switches.len(), &back["rules"]), (2, &json!(old)), "{back}");
    assert_eq!((&switches[0]["after"], &switches[1]["after"]), (&json!(new), &json!(old)));
    for same in ["tick", "state_hash"] {
        assert_eq!(switches[0][same], switches[1][same], "nothing was done by the new ones: {back}");
    }
    let at = back["tick"].as_u64().expect("a number");
    realm.until(1, &show("ants"), |matrix| matrix["tick"].as_u64() >= Some(at + 3));
    let replayed = realm.matrix(1, &["matrices", "replay", "ants"]).ok().json();
    assert_eq!(replayed["same"], true, "{replayed}");
    for name in ["bees", "cats"] {
        let untouched = realm.matrix(2, &show(name)).ok().json();
        assert_eq!((&untouched["rules"], &untouched["switches"]), (&json!(old), &json!([])), "{name}");
    }

    // Rules that get on replace those of all, on both nodes.
    let new = variant(&realm, "tests/programs/out/regime.wasm", "regime");
    let run = realm.matrix(1, &rollout("regime", &new, "0.2"));
    assert_told(&run, true, [3, 3, 0, 0]);
    for name in ["ants", "bees", "cats"] {
        let swapped = realm.matrix(2, &show(name)).ok().json();
        assert_eq!((&swapped["rules"], &swapped["state"]), (&json!(new), &json!("running")), "{name}");
    }
    assert_told(&realm.matrix(1, &rollout("regime", &new, "0.2")), true, [0; 4]);
}

const LIST: [&str; 2] = ["interceptors", "list"];

/// The record of the chain, as it is kept.
fn record(realm: &Realm) -> Value {
    realm.matrix(1, &["kv", "get", "sys/interceptors", "chain"]).ok().json()["value"].clone()
}

fn runs(list: &Value, digest: &str) -> bool {
    list["state"] == "holds" && list["interceptors"][0]["running"] == digest
}

/// A realm of two nodes with an interceptor `guard` and a Soul on each; the interceptor's digest.
fn guarded() -> (Realm, String) {
    let realm = Realm::start(2);
    realm.push(1, "echo");
    let old = variant(&realm, "guests/out/redact.wasm", "guard");
    for (node, name) in [("1", "ann"), ("2", "bob")] {
        realm.matrix(1, &["souls", "spawn", name, "--component", "echo"]).ok();
        realm.matrix(1, &["souls", "move", name, node]).ok();
    }
    realm.matrix(1, &["interceptors", "set", "guard", "--config", "mask=email"]).ok();
    realm.until(2, &LIST, |list| runs(list, &old));
    (realm, old)
}

const SECRET: &str = "write to neo@zion.org";
const HIDDEN: Result<&str, &String> = Ok("write to [redacted]");

#[test]
fn an_interceptor_that_fails_on_the_first_node_is_taken_back_and_no_message_is_lost() {
    let (realm, old) = guarded();
    let before = record(&realm);
    let new = program(&realm, "judge", "guard");
    let rolling = realm.begin(2, &rollout("guard", &new, "30"));
    let list = realm.until(1, &LIST, |list| runs(list, &new));
    assert_eq!(list["interceptors"][0]["next_nodes"], json!([1]), "{list}");
    assert!(runs(&realm.matrix(2, &LIST).ok().json(), &old), "it comes to one node first");
    assert_eq!(realm.ask(1, "ann", SECRET).as_deref(), Ok(SECRET), "the new one lets it pass");
    assert_eq!(realm.ask(1, "ann", "trap").as_deref(), Ok("trap"), "the old one judges what it fails over");
    assert_eq!(realm.ask(1, "ann", SECRET).as_ref().map(String::as_str), HIDDEN, "and from then on");
    let run = ended(rolling);
    assert_told(&run, false, [2, 1, 1, 1]);
    assert!(run.stdout.contains("node 1") && run.stdout.contains("trap"), "{}", run.stdout);
    assert_eq!(record(&realm), before, "to the byte");
    for (node, soul) in [(1, "ann"), (2, "bob")] {
        realm.until(node, &LIST, |list| runs(list, &old) && list["interceptors"][0]["next"] == "");
        assert_eq!(realm.ask(node, soul, SECRET).as_ref().map(String::as_str), HIDDEN);
    }
    // One that gets on judges on both in the end, also after a restart.
    let new = variant(&realm, "tests/programs/out/judge.wasm", "guard");
    assert_told(&realm.matrix(1, &rollout("guard", &new, "0.2")), true, [2, 2, 0, 0]);
    let mut realm = realm;
    realm.kill(2);
    realm.restart(2);
    for node in [1, 2] {
        realm.until(node, &LIST, |list| {
            runs(list, &new) && list["interceptors"][0]["component"] == new.as_str()
        });
    }
    let kept = realm.matrix(1, &["components", "rm", &old]);
    assert!(!kept.success && kept.stderr.contains("interceptors"), "it may go back: {}", kept.stderr);
}

#[test]
fn an_interceptor_is_swapped_and_rolled_back_and_what_fails_leaves_it_as_it_was() {
    let (realm, old) = guarded();
    let new = program(&realm, "judge", "judge");
    assert_eq!(realm.ask(2, "bob", SECRET).as_ref().map(String::as_str), HIDDEN);
    let dry = realm.matrix(2, &["interceptors", "swap", "guard", "judge", "--dry-run"]).ok().json();
    let differs = |it: &Value| it["said"].to_string().contains("neo@zion") && it["new"] == "passes";
    assert!(dry["differences"].as_array().is_some_and(|all| all.iter().any(differs)), "{dry}");
    assert_eq!((&dry["refusal"], dry["messages"].as_u64() >= Some(2)), (&json!(""), true), "{dry}");
    assert!(runs(&realm.matrix(2, &LIST).ok().json(), &old), "a dry run changes nothing");

    let swapped = realm.matrix(2, &["interceptors", "swap", "guard", "judge", "--watch", "0.2"]).ok().json();
    assert_eq!((&swapped["changed"], &swapped["before"]), (&json!(true), &json!(old)), "{swapped}");
    realm.until(1, &LIST, |list| runs(list, &new));
    assert_eq!(realm.ask(1, "bob", SECRET).as_deref(), Ok(SECRET));
    let again = realm.matrix(1, &["interceptors", "swap", "1", "judge"]).ok().json();
    assert_eq!(again["changed"], false, "{again}");

    realm.matrix(1, &["interceptors", "rollback", "guard", "--watch", "0.2"]).ok();
    realm.until(2, &LIST, |list| runs(list, &old));
    assert_eq!(realm.ask(2, "ann", SECRET).as_ref().map(String::as_str), HIDDEN);
    let history = realm.matrix(2, &["interceptors", "history", "guard"]).ok().json();
    let causes = history["versions"].as_array().expect("a list").iter().map(|it| it["cause"].clone());
    assert_eq!(causes.collect::<Vec<_>>(), ["set", "swap", "rollback"]);
    assert_eq!((&history["running"], &history["wanted"]), (&json!(old), &json!(old)));

    // What it would fail over was judged a moment ago: it does not come into force at all.
    let before = record(&realm);
    assert_eq!(realm.ask(1, "ann", "trap").as_deref(), Ok("trap"));
    let refused = realm.matrix(1, &["interceptors", "swap", "guard", "judge"]);
    assert!(!refused.success && refused.stderr.contains("fails over"), "{}", refused.stderr);
    assert!(refused.stderr.contains("stays as it was"), "{}", refused.stderr);
    // On the other node nothing like it was said, and it fails over the first message of its kind.
    let swapping = realm.begin(2, &["interceptors", "swap", "guard", "judge", "--watch", "30"]);
    realm.until(1, &LIST, |list| runs(list, &new));
    assert_eq!(realm.ask(1, "ann", "trap").as_deref(), Ok("trap"), "the old one judges it");
    let refused = ended(swapping);
    assert!(!refused.success && refused.stderr.contains("node 1"), "{}", refused.stderr);
    assert_eq!(record(&realm), before, "to the byte");
    let unknown = realm.matrix(1, &["interceptors", "swap", "nobody", "judge"]);
    assert!(!unknown.success && unknown.stderr.contains("nobody"), "{}", unknown.stderr);
}
