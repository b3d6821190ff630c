//! What a Soul remembers goes where the Soul goes, and people reach it from every node.

use serde_json::Value;

use crate::processes::{Realm, root};

/// What the Soul would recall first.
fn first(realm: &Realm, node: u64, cue: &str) -> String {
    let found = realm.matrix(node, &["memory", "recall", "ada", cue, "-n", "1"]).ok().json();
    found["recollections"][0]["episode"]["text"].as_str().expect("it remembers something").to_owned()
}

#[test]
fn memory_follows_a_soul_that_is_moved_and_one_whose_node_dies() {
    let mut realm = Realm::start(3);
    let path = root().join("tests/programs/out/diarist.wasm");
    let path = path.to_str().expect("a path of this project");
    realm.matrix(1, &["components", "push", path, "--name", "diarist"]).ok();
    realm
        .matrix(1, &["souls", "spawn", "ada", "--component", "diarist", "--memory", "--durability", "turn"])
        .ok();
    let told = |node, text: &str| realm.ask(node, "ada", text);
    assert_eq!(told(2, "weighed 0.9 The harbour at dawn").as_deref(), Ok("1"));
    assert_eq!(told(3, "remember A storm took the mast").as_deref(), Ok("2"));
    let home = realm.home(1, "ada");
    let next = home % 3 + 1;
    realm.matrix(home, &["souls", "move", "ada", &next.to_string()]).ok();
    assert_eq!(told(home, "recall mast").as_deref(), Ok("2 A storm took the mast\n1 The harbour at dawn"));
    assert_eq!(told(home, "remember A calm sea").as_deref(), Ok("3"));

    // People, from a node where it does not live.
    let third = 6 - home - next;
    assert_eq!(first(&realm, third, "harbour"), "The harbour at dawn");
    let remember = ["memory", "remember", "ada", "Land was seen", "--importance", "1", "--tag", "coast"];
    assert_eq!(realm.matrix(third, &remember).ok().json()["id"], 4);
    assert_eq!(
        told(home, "recall coast").map(|said| said.lines().next() == Some("4 Land was seen")),
        Ok(true)
    );
    let forgotten = realm.matrix(home, &["memory", "forget", "ada", "3", "99"]).ok().json();
    assert_eq!(forgotten["forgotten"], serde_json::json!([3]));
    let exported = realm.matrix(third, &["memory", "export", "ada"]).ok().lines();
    let ids: Vec<_> = exported.iter().filter_map(|episode| episode["id"].as_u64()).collect();
    assert_eq!((ids, &exported[2]["tags"]), (vec![1, 2, 4], &Value::from(vec!["coast"])));
    realm.matrix(third, &["memory", "remember", "ada", "x", "--importance", "2"]).refused("from 0 to 1");
    realm.matrix(third, &["memory", "list", "nobody"]).refused("no Soul called nobody");

    // Who it is can be changed from everywhere too.
    let edit = ["souls", "persona", "ada", "--description", "a sailor", "--value", "honesty=0.5"];
    assert_eq!(realm.matrix(third, &edit).ok().json()["version"]["cause"], "persona");
    assert_eq!(told(home, "who").as_deref(), Ok("a sailor 0.5"));
    let file = realm.data(1).join("ada.toml");
    std::fs::write(&file, "description = \"a captain\"\n").expect("our own folder");
    realm.matrix(home, &["souls", "persona", "ada", "--set", file.to_str().expect("a path of ours")]).ok();
    let shown = realm.matrix(third, &["souls", "persona", "ada"]).ok().json();
    assert_eq!(
        (&shown["persona"]["description"], &shown["persona"]["values"]),
        (&Value::from("a captain"), &serde_json::json!([]))
    );

    // What was acknowledged is remembered where it comes up next.
    realm.kill(next);
    realm.eventually("it comes up elsewhere", |realm| {
        realm.ask(third, "ada", "usage").is_ok_and(|said| said.starts_with("3 "))
    });
    assert_eq!(realm.ask(third, "ada", "remember Home again").as_deref(), Ok("5"));
    let listed = realm.matrix(home, &["memory", "list", "ada"]).ok().json();
    assert_eq!(listed["episodes"].as_array().map(Vec::len), Some(4));
}

#[test]
fn what_was_exported_is_imported_whole_and_a_bad_line_is_named_before_anything_is_remembered() {
    let realm = Realm::start(2);
    let path = root().join("tests/programs/out/diarist.wasm");
    let path = path.to_str().expect("a path of this project");
    realm.matrix(1, &["components", "push", path, "--name", "diarist"]).ok();
    for (soul, more) in [("ada", &[][..]), ("eve", &[]), ("tiny", &["--episodes", "2"])] {
        let spawn = ["souls", "spawn", soul, "--component", "diarist", "--memory"];
        realm.matrix(1, &[&spawn[..], more].concat()).ok();
    }
    for text in ["weighed 0.9 The harbour at dawn", "remember A storm", "placed 0.5,-0.25 Land"] {
        realm.ask(1, "ada", text).expect("it remembers");
    }
    let exported = |soul: &str| realm.matrix(2, &["memory", "export", soul]).ok();
    let all = exported("ada");
    let file = |name: &str, text: &str| {
        let path = realm.data(1).join(name);
        std::fs::write(&path, text).expect("our own folder");
        path.to_str().expect("a path of ours").to_owned()
    };
    let (good, bad) = (file("good.jsonl", &all.stdout), file("bad.jsonl", &format!("{}{{}}\n", all.stdout)));
    realm.matrix(1, &["memory", "import", "eve", &bad]).refused("line 4 of");
    assert_eq!(exported("eve").stdout, "", "nothing was taken");
    realm.matrix(1, &["memory", "import", "nobody", &good]).refused("after 0 of 3 that are remembered");
    // By way of the node where it does not live as well: the same, but for having been recalled.
    let other = 3 - realm.home(1, "eve");
    let taken = realm.matrix(other, &["memory", "import", "eve", &good]).ok().json();
    assert_eq!((&taken["remembered"], &taken["forgotten"]), (&Value::from(3), &Value::from(0)), "{taken}");
    let told = |run: &crate::processes::Run| {
        let mut lines = run.lines();
        lines.iter_mut().for_each(|line| line["recalled_at_ms"] = line["at_ms"].clone());
        lines
    };
    assert_eq!(told(&exported("eve")), told(&all));
    let taken = realm.matrix(1, &["memory", "import", "tiny", &good]).ok().json();
    assert_eq!((&taken["remembered"], &taken["forgotten"]), (&Value::from(3), &Value::from(1)), "{taken}");
    // What happened oftener is so where it is carried to, and is taken up with all its times.
    let bells =
        "{\"text\":\"a bell rang\",\"importance\":1,\"at_ms\":5,\"last_at_ms\":9,\"times\":3}\n".repeat(3);
    let taken = realm.matrix(1, &["memory", "import", "tiny", &file("bells.jsonl", &bells)]).ok().json();
    assert_eq!(
        (&taken["remembered"], &taken["forgotten"], &taken["consolidated"]),
        (&Value::from(3), &Value::from(1), &Value::from(2)),
        "{taken}"
    );
    let listed = realm.matrix(2, &["memory", "list", "tiny"]).ok().json();
    let times = |place: usize| {
        let episode = &listed["episodes"][place];
        ["times", "at_ms", "last_at_ms"].map(|field| episode[field].as_u64())
    };
    assert_eq!((times(0)[0], times(1)), (Some(1), [Some(9), Some(5), Some(9)]), "{listed}");
}
