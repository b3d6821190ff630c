//! One chain of interceptors for the whole realm: what it does does not depend on where somebody lives.

use crate::processes::Realm;

/// The chain as a node shows it.
fn chain(realm: &Realm, node: u64) -> serde_json::Value {
    realm.matrix(node, &["interceptors", "list"]).ok().json()
}

#[test]
fn a_realm_redacts_on_one_node_as_between_two() {
    let mut realm = Realm::start(2);
    realm.push(1, "echo");
    realm.push(1, "redact");
    realm.matrix(1, &["souls", "spawn", "bob", "--component", "echo"]).ok();
    let secret = "write to neo@zion.org";
    assert_eq!(realm.ask(2, "bob", secret).as_deref(), Ok(secret));

    let set = realm.matrix(1, &["interceptors", "set", "redact", "--config", "mask=email"]).ok().json();
    assert_eq!(
        (&set["state"], &set["interceptors"][0]["name"]),
        (&"holds".into(), &"redact".into()),
        "{set}"
    );
    realm.until(2, &["interceptors", "list"], |there| *there == set);
    for node in [1, 2] {
        realm.matrix(1, &["souls", "move", "bob", &node.to_string()]).ok();
        for asked in [1, 2] {
            assert_eq!(
                realm.ask(asked, "bob", secret).as_deref(),
                Ok("write to [redacted]"),
                "{asked} to {node}"
            );
        }
    }
    let removed = realm.matrix(2, &["components", "rm", "redact"]);
    assert!(!removed.success && removed.stderr.contains("interceptors"), "{}", removed.stderr);

    // A node that comes back lets nothing pass that the chain has not judged.
    realm.matrix(1, &["souls", "move", "bob", "1"]).ok();
    realm.kill(2);
    realm.restart(2);
    assert_eq!(realm.ask(2, "bob", secret).as_deref(), Ok("write to [redacted]"));
    assert_eq!(chain(&realm, 2), set);

    // Each time that it is judged the text doubles: out and in, there and back.
    let file = realm.data(2).join("chain.toml");
    let text = "[[interceptor]]\ncomponent = \"redact\"\nconfig = { patterns = \"x\", with = \"xx\" }\n";
    std::fs::write(&file, text).expect("our own folder");
    let set = realm
        .matrix(2, &["interceptors", "set", "--file", file.to_str().expect("a path of ours")])
        .ok()
        .json();
    realm.until(1, &["interceptors", "list"], |there| *there == set);
    for node in [1, 2] {
        assert_eq!(realm.ask(node, "bob", "x"), Ok("x".repeat(1 << 4)), "node {node}");
    }

    let cleared = realm.matrix(1, &["interceptors", "clear"]).ok().json();
    assert_eq!((&cleared["state"], &cleared["interceptors"]), (&"holds".into(), &serde_json::json!([])));
    realm.until(2, &["interceptors", "list"], |there| *there == cleared);
    assert_eq!(realm.ask(2, "bob", secret).as_deref(), Ok(secret));
    realm.matrix(2, &["components", "rm", "redact"]).ok();
}
