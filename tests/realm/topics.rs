//! Topics of a realm: whoever subscribes hears what is published on any node, once.

use std::time::Instant;

use crate::processes::{PATIENCE, Realm, root};

/// Three nodes, and on each a Soul that may say and hear news.
fn citizens() -> Realm {
    let realm = Realm::start_with(3, |node| format!("[realm]\nlabels = {{ zone = \"{node}\" }}\n"));
    let program = root().join("tests/programs/out/citizen.wasm");
    let program = program.to_str().expect("a path of this project");
    realm.matrix(1, &["components", "push", program, "--name", "citizen"]).ok();
    for node in 1..=3 {
        let (name, zone) = (format!("citizen-{node}"), format!("zone={node}"));
        let mut arguments = vec!["souls", "spawn", &name, "--component", "citizen", "--on", &zone];
        arguments.extend_from_slice(&["--subscribe", "news", "--send", "topic:news"]);
        realm.matrix(1, &arguments).ok();
        assert_eq!(realm.home(1, &name), node);
    }
    realm
}

fn tell(realm: &Realm, citizen: u64, text: &str) -> String {
    realm.ask(citizen, &format!("citizen-{citizen}"), text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

/// Does something until all these citizens have heard `text` last.
fn until_heard(realm: &Realm, citizens: &[u64], text: &str, again: impl Fn()) {
    let began = Instant::now();
    while !citizens.iter().all(|citizen| tell(realm, *citizen, "heard") == text) {
        assert!(began.elapsed() < PATIENCE, "{citizens:?} do not hear {text:?}");
        again();
    }
}

#[test]
fn what_is_published_on_one_node_is_heard_on_all_once_and_no_more_after_unsubscribing() {
    let realm = citizens();
    for citizen in [2, 3] {
        assert_eq!(tell(&realm, citizen, "subscribe news"), "subscribed");
    }
    let publish = |text: &str| assert_eq!(tell(&realm, 1, &format!("publish news {text}")), "published");
    // Nodes learn of subscribers after the Souls that subscribe.
    until_heard(&realm, &[2, 3], "is anybody there", || publish("is anybody there"));
    // Of one node, messages come in order: nothing from before comes after this.
    publish("begin");
    until_heard(&realm, &[2, 3], "begin", || {});
    let count = |citizen| tell(&realm, citizen, "heard-count").parse::<u64>().expect("a number");
    let before = [2, 3].map(count);
    for number in 0..10 {
        publish(&number.to_string());
    }
    until_heard(&realm, &[2, 3], "9", || {});
    assert_eq!([2, 3].map(count), before.map(|before| before + 10), "each is heard once");
    assert_eq!(tell(&realm, 1, "heard"), "", "who does not subscribe hears nothing");

    // An operator, too, says it on any node.
    realm.matrix(1, &["send", "topic:news", "from outside"]).ok();
    until_heard(&realm, &[2, 3], "from outside", || {});

    assert_eq!(tell(&realm, 2, "unsubscribe news"), "unsubscribed");
    publish("end");
    until_heard(&realm, &[3], "end", || {});
    assert_eq!(tell(&realm, 2, "heard"), "from outside");
    assert_eq!([2, 3].map(count), [before[0] + 11, before[1] + 12]);
}
