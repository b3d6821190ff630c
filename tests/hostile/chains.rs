//! The realm's interceptors on one node: what they do to messages, in which order, and how they are changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use matrix_tests::node::{TestNode, manifest};
use matrixd::ids::Digest;
use matrixd::runtime::interceptors::{Hold, Wanted};
use matrixd::transport::envelope::SendError;

/// An interceptor as it is asked for.
pub(crate) fn wanted(component: Digest, config: &[(&str, &str)]) -> Wanted {
    let config: BTreeMap<_, _> = config.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Wanted { component: component.to_string(), config }
}

/// Sets the chain of a node, which holds afterwards; its revision.
pub(crate) async fn set(node: &TestNode, chain: Vec<Wanted>) -> u64 {
    let standing = node.node().interceptors().set(chain).await.expect("the chain is sound");
    assert_eq!(standing.hold, Hold::Holds);
    standing.revision
}

/// Spawns `ada`, who asks `bob`, who says what he hears.
async fn two_souls(node: &TestNode) {
    node.run("ada", "caller", &[("peer", "bob")]).await;
    let echo = node.guest("echo").await;
    node.spawn(manifest("bob", echo, &[])).await.expect("it starts");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_souls_of_one_node_say_is_redacted() {
    let node = TestNode::start().await;
    two_souls(&node).await;
    node.run("eve", "citizen", &[("mail", "eve@example.org")]).await;
    let redact = node.guest("redact").await;
    let question = "ask 20000 write to neo@zion.org or call 555 0199 23";
    assert_eq!(node.ask("ada", question).await.as_deref(), Ok("write to neo@zion.org or call 555 0199 23"));
    set(&node, vec![wanted(redact, &[("mask", "email number"), ("with", "#")])]).await;
    assert_eq!(node.ask("ada", "ask 20000 write to neo@zion.org").await.as_deref(), Ok("write to #"));
    assert_eq!(node.ask("eve", "setting mail").await.as_deref(), Ok("#"), "a reply is a message too");
    set(&node, Vec::new()).await;
    assert_eq!(node.ask("eve", "setting mail").await.as_deref(), Ok("eve@example.org"));
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_judged_once_each_way() {
    let node = TestNode::start().await;
    two_souls(&node).await;
    let redact = node.guest("redact").await;
    // Each time that it is judged, the text doubles: from the client to ada, to bob, and back by the same way.
    set(&node, vec![wanted(redact, &[("patterns", "x"), ("with", "xx")])]).await;
    assert_eq!(node.ask("bob", "x").await, Ok("x".repeat(1 << 4)));
    assert_eq!(node.ask("ada", "ask 20000 x").await, Ok("x".repeat(1 << 8)));
    for (direction, times) in [("outbound", 4), ("inbound", 4)] {
        let config = [("patterns", "x"), ("with", "xx"), ("direction", direction)];
        set(&node, vec![wanted(redact, &config)]).await;
        assert_eq!(node.ask("ada", "ask 20000 x").await, Ok("x".repeat(1 << times)), "{direction}");
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_has_one_order_and_out_comes_before_in() {
    let node = TestNode::start().await;
    node.run("bob", "citizen", &[("a", "heard a"), ("b", "heard b"), ("c", "heard c")]).await;
    let redact = node.guest("redact").await;
    let turns = |from: &str, to: &str, direction: &str| {
        let patterns = format!("setting {from}$");
        wanted(
            redact,
            &[("patterns", &patterns), ("with", &format!("setting {to}")), ("direction", direction)],
        )
    };
    for (a_to_b, b_to_c, is_first, heard) in [
        ("outbound", "outbound", true, "heard c"),
        ("outbound", "outbound", false, "heard b"),
        ("inbound", "inbound", true, "heard c"),
        ("inbound", "inbound", false, "heard b"),
        ("outbound", "inbound", false, "heard c"),
        ("inbound", "outbound", true, "heard b"),
    ] {
        let mut chain = vec![turns("a", "b", a_to_b), turns("b", "c", b_to_c)];
        if !is_first {
            chain.reverse();
        }
        set(&node, chain).await;
        let said = node.ask("bob", "setting a").await;
        assert_eq!(said.as_deref(), Ok(heard), "a to b {a_to_b}, b to c {b_to_c}, in this order: {is_first}");
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_changes_between_two_messages() {
    let node = TestNode::start().await;
    two_souls(&node).await;
    let redact = node.guest("redact").await;
    let to = |word: &str| vec![wanted(redact, &[("patterns", "x"), ("with", word)])];
    let mut before = set(&node, to("a")).await;
    let done = AtomicBool::new(false);
    let talking = async {
        let mut heard = 0_u32;
        while !done.load(Ordering::Relaxed) {
            let said = node.ask("bob", "x").await.expect("no message is lost while the chain changes");
            assert!(said == "a" || said == "b", "neither chain judged it: {said}");
            heard += 1;
        }
        heard
    };
    let changing = async {
        for word in ["b", "a", "b", "a", "b", "a"] {
            let revision = set(&node, to(word)).await;
            assert!(revision > before, "{revision} after {before}");
            before = revision;
            assert_eq!(node.ask("bob", "x").await.as_deref(), Ok(word));
        }
        done.store(true, Ordering::Relaxed);
    };
    let (heard, ()) = tokio::join!(talking, changing);
    println!("{heard} answers beside six changes of the chain");
    let node = node.restart_with(|_| {}).await;
    assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("a"), "it is kept");
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_chain_is_refused_and_the_one_before_holds() {
    let node = TestNode::start().await;
    two_souls(&node).await;
    let redact = node.guest("redact").await;
    let mask = [("patterns", "x"), ("with", "y")];
    let revision = set(&node, vec![wanted(redact, &mask)]).await;
    let (echo, reader) = (node.guest("echo").await, node.program("reader").await);
    let long = "x".repeat(17 * 1024);
    for (chain, why) in [
        (vec![wanted(echo, &[])], "build it for the world `transport`"),
        (vec![wanted(redact, &mask), wanted(reader, &[])], "imports the KV"),
        (vec![wanted(Digest::of(b"nothing"), &[])], "nothing"),
        (vec![wanted(redact, &mask); 9], "at most 8 interceptors"),
        (vec![wanted(redact, &[("patterns", &long)])], "too long"),
    ] {
        let refused = node.node().interceptors().set(chain).await.expect_err(why).to_string();
        assert!(refused.contains(why) || why == "nothing", "{why}: {refused}");
        assert_eq!(node.node().interceptors().standing().revision, revision, "{why}");
        assert_eq!(node.ask("bob", "x").await.as_deref(), Ok("y"), "{why}");
    }
    // Settings are for the interceptor to read; this one lets nothing pass where it cannot.
    set(&node, vec![wanted(redact, &[("mask", "faces")])]).await;
    let refused = node.ask("bob", "x").await.expect_err("its settings are wrong");
    assert!(matches!(&refused, SendError::Denied(why) if why.contains("faces")), "{refused}");
    node.end().await;
}
