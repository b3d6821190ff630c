//! What a Soul that keeps every turn may rely on, and what becomes of messages that Souls do not survive.

use std::time::Duration;

use futures::future::join_all;
use matrix_tests::node::{PATIENCE, TestNode, manifest, name};
use matrixd::ids::{Digest, MessageId};
use matrixd::souls::manifest::Mode;
use matrixd::souls::status::State;
use matrixd::transport::envelope::{Address, Content, SendError};
use matrixd::transport::router::{Draft, Stamp};

/// How often a message is tried here.
const ATTEMPTS: u32 = 2;

async fn node() -> TestNode {
    TestNode::start_with(|config| {
        config.souls.restart.attempts = ATTEMPTS;
        config.souls.restart.crashes_max = 50;
    })
    .await
}

async fn spawn(node: &TestNode, soul: &str, component: Digest, settings: &[(&str, &str)], mode: Mode) {
    let mut manifest = manifest(soul, component, settings);
    manifest.durability.mode = mode;
    node.spawn(manifest).await.unwrap_or_else(|error| panic!("{soul} does not start: {error}"));
}

/// Asks under an id of its own.
async fn ask(node: &TestNode, soul: &str, text: &str, id: u128) -> Result<String, SendError> {
    let draft = Draft {
        sender: "client:tests".parse().expect("an address"),
        recipient: Address::Soul(name(soul)),
        content: Content { content_type: "text/plain".into(), body: text.to_owned().into() },
        in_reply_to: None,
        hops: 0,
        trace: None,
    };
    let answer = node.node().router().ask_stamped(draft, Stamp::named(MessageId(id)), PATIENCE).await?;
    let body = answer.content.map(|content| content.body).unwrap_or_default();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Asks until the answer is this one.
async fn comes_to(node: &TestNode, soul: &str, question: &str, answer: &str) {
    let coming = async {
        while node.ask(soul, question).await.as_deref() != Ok(answer) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let came = tokio::time::timeout(PATIENCE, coming).await;
    assert!(came.is_ok(), "{soul} {question}: {:?}, not {answer}", node.ask(soul, question).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_kept_whole_or_never_was() {
    let node = node().await;
    let (teller, counter) = (node.program("teller").await, node.guest("counter").await);
    spawn(&node, "heir", counter, &[], Mode::Turn).await;
    spawn(&node, "teller", teller, &[("peer", "heir")], Mode::Turn).await;
    assert_eq!(ask(&node, "teller", "tell add 1", 1).await.as_deref(), Ok("1"));
    // The same message again is answered as it was, and not handled.
    assert_eq!(ask(&node, "teller", "tell add 1", 1).await.as_deref(), Ok("1"));
    assert_eq!(ask(&node, "teller", "tell add 1", 2).await.as_deref(), Ok("2"));
    // A crash costs nothing that was acknowledged.
    assert!(node.ask("teller", "trap").await.is_err());
    assert_eq!(node.ask("teller", "told").await.as_deref(), Ok("2"));
    comes_to(&node, "heir", "get", "2").await;
    comes_to(&node, "teller", "heard", "2").await;

    let node = node.restart_with(|_| {}).await;
    assert_eq!(
        ask(&node, "teller", "tell add 1", 2).await.as_deref(),
        Ok("2"),
        "it remembers across restarts"
    );
    assert_eq!(node.ask("teller", "told").await.as_deref(), Ok("2"));
    assert_eq!(ask(&node, "teller", "tell add 1", 3).await.as_deref(), Ok("3"));
    comes_to(&node, "heir", "get", "3").await;
    comes_to(&node, "teller", "heard", "3").await;
    // A Soul that is forgotten remembers nothing.
    let souls = node.node().souls();
    souls.delete(&name("teller"), None).await.expect("it is there");
    spawn(&node, "teller", teller, &[("peer", "heir")], Mode::Turn).await;
    assert_eq!(ask(&node, "teller", "tell add 1", 3).await.as_deref(), Ok("1"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_share_a_write_and_none_is_lost() {
    let node = node().await;
    let counter = node.guest("counter").await;
    spawn(&node, "counter", counter, &[], Mode::Turn).await;
    let before = node.node().kv().stats().applied_index;
    let asked = (0..400).map(|id| ask(&node, "counter", "add 1", id));
    let told = join_all(asked).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    let writes = node.node().kv().stats().applied_index - before;
    assert_eq!(node.ask("counter", "get").await.as_deref(), Ok("400"));
    println!("400 messages took {writes} writes");
    assert!(writes < 200, "{writes}");
    // A question that changes nothing is not written.
    let before = node.node().kv().stats().applied_index;
    for _ in 0..20 {
        assert_eq!(node.ask("counter", "get").await.as_deref(), Ok("400"));
    }
    assert!(node.node().kv().stats().applied_index - before < 20);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_culprit_of_a_batch_fails() {
    for mode in [Mode::Checkpoint, Mode::Turn] {
        let node = node().await;
        node.neighbour().await;
        let teller = node.program("teller").await;
        spawn(&node, "teller", teller, &[("peer", "neighbour")], mode).await;
        let mut watch = node.watch("teller");
        let words = (0..40).map(|number| if number == 17 { "trap" } else { "told" });
        let told = join_all(words.map(|word| node.ask("teller", word))).await;
        for (number, told) in told.iter().enumerate() {
            match number {
                17 => assert!(
                    matches!(told, Err(SendError::Failed(why)) if why.contains("crashed")),
                    "{told:?}"
                ),
                _ => assert_eq!(told.as_deref(), Ok("0"), "{mode:?}: message {number}"),
            }
        }
        let event = watch.event("soul.dead-letter").await;
        let detail = String::from_utf8_lossy(&event.content.body).into_owned();
        assert!(detail.contains(r#""attempts":2"#) && detail.contains("client:tests"), "{detail}");
        let view = node.view("teller");
        assert_eq!((view.state, view.crashes, view.crashes_recent), (State::Running, 2, 1));
        node.assert_lives().await;
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_heard_is_not_said_again() {
    let node = node().await;
    let (teller, counter) = (node.program("teller").await, node.guest("counter").await);
    spawn(&node, "heir", counter, &[], Mode::Checkpoint).await;
    spawn(&node, "teller", teller, &[("peer", "heir")], Mode::Checkpoint).await;
    // It says something, and crashes in the same turn: at most once is what such a Soul promises.
    let mut watch = node.watch("teller");
    assert!(node.ask("teller", "tell-and-trap add 1").await.is_err());
    let event = watch.event("soul.dead-letter").await;
    assert!(String::from_utf8_lossy(&event.content.body).contains(r#""attempts":1"#));
    assert_eq!(node.ask("heir", "get").await.as_deref(), Ok("1"));
    // One that keeps its turns says nothing until it is kept.
    spawn(&node, "keeper", teller, &[("peer", "heir")], Mode::Turn).await;
    assert!(node.ask("keeper", "tell-and-trap add 1").await.is_err());
    assert_eq!(node.ask("heir", "get").await.as_deref(), Ok("1"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_code_remembers_what_the_old_has_handled() {
    let mut node = node().await;
    let (old, new) = (node.program("caterpillar").await, node.program("butterfly").await);
    spawn(&node, "insect", old, &[], Mode::Turn).await;
    let turn = Duration::from_secs(5);
    for id in 1..=5 {
        assert_eq!(ask(&node, "insect", &format!("add main {id}"), id).await, Ok(id.to_string()));
    }
    let swapped = node.node().souls().swap(&name("insect"), new, turn).await.expect("it is taken up");
    assert_eq!(swapped.version.schema, "insect/2");
    for restarted in [false, true] {
        if restarted {
            node = node.restart_with(|_| {}).await;
        }
        // What was handled is answered as it was then, and not handled again.
        assert_eq!(ask(&node, "insect", "add main 5", 5).await.as_deref(), Ok("5"));
        assert_eq!(node.ask("insect", "total").await.as_deref(), Ok(if restarted { "6" } else { "5" }));
        assert_eq!(ask(&node, "insect", "add main 6", 6).await.as_deref(), Ok("6"));
        assert_eq!(node.ask("insect", "code").await.as_deref(), Ok("butterfly"));
    }
    // Nor by one that was swapped while it was stopped.
    let souls = node.node().souls().clone();
    souls.stop(&name("insect"), None).await.expect("it stops");
    souls.roll_back(&name("insect"), true, turn).await.expect("the state is kept");
    let manifest = (*node.view("insect").manifest).clone();
    assert_eq!(manifest.component, old);
    node.spawn(manifest).await.expect("it comes back");
    assert_eq!(node.ask("insect", "total").await.as_deref(), Ok("5"), "what it did since is undone");
    assert_eq!(ask(&node, "insect", "add main 6", 6).await.as_deref(), Ok("6"), "and not done anew");
    assert_eq!(node.ask("insect", "total").await.as_deref(), Ok("5"));
    assert_eq!(ask(&node, "insect", "add main 6", 7).await.as_deref(), Ok("6"));
    node.stop().await;
}
