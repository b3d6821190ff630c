//! Souls that talk by turns, moderated by rules, on a node.

use serde_json::{Value, json};

use crate::processes::{Realm, root};

#[test]
fn a_talk_is_moderated_and_its_log_is_the_transcript() {
    let realm = Realm::start(1);
    let program = root().join("tests/programs/out/talker.wasm");
    let soul = |name: &str, lines: &str| {
        format!("[[soul]]\nname = \"{name}\"\ncomponent = \"talker\"\nconfig = {{ lines = \"{lines}\" }}\n")
    };
    realm.apply(
        1,
        &format!(
            "[components]\nparlour = \"../out/parlour.wasm\"\ntalker = \"{}\"\n{}{}\
             [[matrix]]\nname = \"salon\"\nrules = \"parlour\"\nplayers = [\"ada\", \"bob\"]\nseed = 1\n\
             config = {{ topic = \"bees\", turns = 6, banned = [\"wasp*\"] }}\ntick_deadline_ms = 30000\nstart = true\n",
            program.to_str().expect("a path of this project"),
            soul("ada", "Bees dance to tell the way.|I doubt that.|Flowers are red."),
            soul("bob", "Wasps do not.|Yes, bees dance.|wasps!|WASP|and so on"),
        ),
    );
    let finished = realm.finished(1, "salon");
    assert_eq!(finished["missed_actions"], 0);
    let speakers = &finished["result"]["json"]["speakers"];
    let expected = json!([
        { "speaker": "ada", "words": 12, "warnings": 0, "turns_lost": 0 },
        { "speaker": "bob", "words": 6, "warnings": 2, "turns_lost": 1 },
    ]);
    assert_eq!(speakers, &expected, "{finished}");
    let said = realm.matrix(1, &["events", "--kind", "guest.talk.said", "--source", "matrix:salon"]).ok();
    let line = |event: Value| event["content"]["json"]["text"].as_str().map(str::to_owned);
    let said: Vec<String> = said.lines().into_iter().filter_map(line).collect();
    let expected =
        ["Bees dance to tell the way.", "Yes, bees dance.", "I doubt that.", "Flowers are red.", "and so on"];
    assert_eq!(said, expected);
    // The log has all that anybody said: from it alone the talk is gone through again.
    let replayed = realm.matrix(1, &["matrices", "replay", "salon"]).ok().json();
    assert_eq!((&replayed["same"], &replayed["ticks"]), (&json!(true), &finished["tick"]));
}
