//! Interceptors that go wrong: the message is refused by name, and nobody else notices.

use std::time::Instant;

use matrix_tests::node::{PATIENCE, TestNode, manifest};
use matrixd::transport::bus::{Filter, Item, Subscription};
use matrixd::transport::envelope::SendError;

use crate::chains::{set, wanted};

/// What the judge of `tests/programs` does, by the word that makes it do so; how the event calls it, and what the
/// error says.
const FAILURES: [(&str, &str, &str); 8] = [
    ("loop", "deadline", "judge"),
    ("copy", "deadline", "judge"),
    ("trap", "trap", "judge"),
    ("recurse", "stack", "judge"),
    ("over", "bounds", "made the body 262145 bytes long, and 262144 are allowed"),
    ("huge", "lifted", "judge"),
    ("type", "bounds", "made the content-type 1000 bytes long"),
    ("type", "bounds", "nothing passes it unjudged"),
];

/// So much that time runs out first.
const FUEL: u64 = 1 << 40;

/// Waits for the next failure; its kind.
async fn failure(events: &mut Subscription) -> String {
    let found = async {
        loop {
            if let Item::Event { event, .. } = events.next().await
                && *event.kind == *"interceptor.failed"
            {
                let detail = serde_json::from_slice::<serde_json::Value>(&event.content.body);
                return detail.expect("events of the node are JSON")["kind"]
                    .as_str()
                    .unwrap_or("")
                    .to_owned();
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("a failure is told")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interceptor_that_fails_refuses_the_message_and_nothing_else() {
    let node = TestNode::start_with(|config| config.interceptors.call_fuel = FUEL).await;
    node.neighbour().await;
    node.run("ada", "caller", &[("peer", "bob")]).await;
    let echo = node.guest("echo").await;
    node.spawn(manifest("bob", echo, &[])).await.expect("it starts");
    let judge = node.program("judge").await;
    for when in ["inbound", "outbound"] {
        let filter = Filter::new(&["interceptor."], &[""; 0]).expect("a sound filter");
        let mut events = node.node().bus().subscribe(filter, None).expect("room for a subscriber");
        for (word, kind, why) in FAILURES {
            // Each chain has a measure of its own of what it may tell in a second.
            set(&node, vec![wanted(judge, &[("when", when)])]).await;
            let start = Instant::now();
            let asked = node.ask("bob", word).await;
            println!("{when} {word}: refused after {:.1?}", start.elapsed());
            let SendError::Denied(refused) = asked.expect_err("it is not judged") else { panic!("{word}") };
            assert!(refused.contains(why) && refused.contains("the interceptor `"), "{word}: {refused}");
            assert_eq!(failure(&mut events).await, kind, "{word}: {refused}");
            // The same from a Soul, on its own stack: it hears of it, and lives.
            let asked = node.ask("ada", &format!("ask 20000 {word}")).await;
            let refused = asked.expect_err("it is not judged").to_string();
            assert!(refused.contains("Denied"), "{word}: {refused}");
            assert_eq!(failure(&mut events).await, kind, "{word}: {refused}");
        }
        assert_eq!((node.view("ada").crashes, node.view("bob").crashes), (0, 0));
        node.assert_lives().await;
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_is_not_charged_for_a_slow_interceptor() {
    let node = TestNode::start_with(|config| {
        config.interceptors.call_ms = 1_000;
        config.interceptors.call_fuel = FUEL;
    })
    .await;
    let judge = node.program("judge").await;
    let mut ada = manifest("ada", node.program("relay").await, &[("next", "goal")]);
    ada.limits.call_ms = 200;
    node.spawn(ada).await.expect("it starts");
    node.run("goal", "citizen", &[]).await;
    set(&node, vec![wanted(judge, &[])]).await;
    // One is counted off the first letter on the way: it loops where it leaves, and this Soul has less time than that.
    let refused = node.ask("ada", "moop").await.expect_err("it is not judged").to_string();
    assert!(refused.contains("Denied") && refused.contains("nothing passes it unjudged"), "{refused}");
    let refused = node.ask("ada", "seject it").await.expect_err("it is rejected").to_string();
    assert!(refused.contains("rejects this: because of it"), "{refused}");
    assert!(!refused.contains('\u{1b}'), "a terminal would obey this");
    assert_eq!(node.view("ada").crashes, 0);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interceptor_changes_what_is_said_and_not_by_whom() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let echo = node.guest("echo").await;
    node.spawn(manifest("bob", echo, &[])).await.expect("it starts");
    let judge = node.program("judge").await;
    set(&node, vec![wanted(judge, &[])]).await;
    assert_eq!(node.ask("bob", "rewrite hello").await.as_deref(), Ok("HELLO"));
    assert_eq!(node.ask("bob", "forge x").await.as_deref(), Ok("forge x"), "its reply finds who asked");
    assert_eq!(node.ask("bob", "swell").await.map(|body| body.len()), Ok(256 * 1024), "as long as may be");
    // What it could not do with its memory, it survives; one that has crashed is replaced.
    assert_eq!(node.ask("bob", "grow").await.as_deref(), Ok("grow"));
    node.ask("bob", "trap").await.expect_err("it is not judged");
    assert_eq!(node.ask("bob", "rewrite again").await.as_deref(), Ok("AGAIN"));
    node.assert_lives().await;
    node.end().await;
}
