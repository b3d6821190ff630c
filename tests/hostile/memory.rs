//! Guests that want more memory than they may have, their own or the node's.

use bytes::Bytes;
use matrix_tests::by_hand::{ByHand, REPLIES, RESULT};
use matrix_tests::node::{NEIGHBOUR, TestNode, manifest, name, resident_bytes};
use matrixd::transport::envelope::SendError;
use matrixd::transport::mailbox::MAILBOX_BYTES_MAX;

use crate::falls;

/// What the node's memory may grow by over all that a test does: allocators keep some of what they got.
const GROWTH_MAX: u64 = 96 << 20;
/// The longest body that the node takes, in bytes.
const BODY_BYTES: usize = 256 * 1024;

/// Runs `test`, and checks how much the process has grown by its end.
async fn within_budget(what: &str, test: impl Future<Output = ()>) {
    let before = resident_bytes();
    test.await;
    let grown = resident_bytes().saturating_sub(before);
    println!("{what}: grown by {} KiB", grown >> 10);
    assert!(grown < GROWTH_MAX, "{what}: the node grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_ends_at_the_limit() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let limit = 4 << 20;
    for program in ["rogue", "caller"] {
        let mut manifest = manifest(program, node.program(program).await, &[]);
        manifest.limits.memory_bytes = limit;
        node.spawn(manifest).await.expect("it behaves until told");
        within_budget(program, async {
            let got: u64 = node.ask(program, "grow").await.expect("it survives").parse().expect("a number");
            assert!(got < limit && got > limit / 4, "{program} got {got} bytes");
            let fall = falls(&node, program, "hoard", "denied").await;
            assert!(fall.reason.contains("limits.memory_bytes"), "{}", fall.reason);
        })
        .await;
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_denied_and_survived_is_no_reason_later() {
    let node = TestNode::start().await;
    node.neighbour().await;
    node.run("rogue", "rogue", &[]).await;
    node.ask("rogue", "grow").await.expect("it survives a refusal");
    falls(&node, "rogue", "trap", "trap").await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_end_at_the_limit() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let by_hand = ByHand {
        fields: "(table $t 1 funcref)".into(),
        receive: "(if (i32.lt_s (table.grow $t (ref.null func) (i32.const 1000000)) (i32.const 0))
                      (then (unreachable)))"
            .into(),
        ..ByHand::default()
    };
    let digest = node.upload(&by_hand.build()).await.expect("it is well-formed");
    node.spawn(manifest("table", digest, &[])).await.expect("it behaves until told");
    let fall = falls(&node, "table", "go", "denied").await;
    assert!(fall.reason.contains("table"), "{}", fall.reason);
    node.end().await;
}

/// Replies whose every body is the same megabyte: far more to copy than there is.
pub(crate) fn aliases() -> ByHand {
    const COUNT: u32 = 10_000;
    let receive = format!(
        "(loop
           (i32.store (i32.add (i32.const {OPTION}) (local.get $at)) (i32.const 1))
           (i32.store (i32.add (i32.const {LENGTH}) (local.get $at)) (i32.const 0x100000))
           (local.set $at (i32.add (local.get $at) (i32.const 24)))
           (br_if 0 (i32.lt_u (local.get $at) (i32.const {END}))))",
        OPTION = REPLIES + 4,
        LENGTH = REPLIES + 20,
        END = COUNT * 24,
    );
    ByHand { pages: 32, receive, replies: COUNT, ..ByHand::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_copies_is_bounded() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let set = |at: u32, value: u32| format!("(i32.store (i32.const {at}) (i32.const {value:#x}))");
    let bodies = |length| [set(REPLIES + 4, 1), set(REPLIES + 20, length)].concat();
    let cases = [
        ("gibibyte", ByHand { receive: bodies(1 << 30), ..ByHand::default() }, "trap"),
        ("endless", ByHand { receive: set(RESULT + 4, 1 << 31), ..ByHand::default() }, "trap"),
        ("overflow", ByHand { receive: set(RESULT + 4, u32::MAX), ..ByHand::default() }, "trap"),
        ("aliases", aliases(), "lifted"),
    ];
    for (soul, by_hand, kind) in cases {
        let digest = node.upload(&by_hand.build()).await.expect("it is well-formed");
        node.spawn(manifest(soul, digest, &[])).await.expect("it behaves until told");
        within_budget(soul, async { drop(falls(&node, soul, "go", kind).await) }).await;
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_may_be_no_longer_than_a_message() {
    let node = TestNode::start().await;
    node.neighbour().await;
    node.run("rogue", "rogue", &[]).await;
    node.run("asker", "caller", &[("peer", "rogue")]).await;
    assert!(matches!(node.ask("rogue", "reply").await, Err(SendError::TooLarge { .. })));
    assert!(matches!(node.ask("rogue", "media-type").await, Err(SendError::TooLarge { .. })));
    let Err(SendError::Failed(reason)) = node.ask("rogue", "error").await else { panic!("it fails") };
    assert!(reason.len() <= 4_200, "a reason of {} bytes", reason.len());
    // Who asks a Soul that answers too much is told so, and lives.
    for word in ["reply", "media-type", "error"] {
        let error = node.ask("asker", &format!("ask 5000 {word}")).await.expect_err("no answer fits");
        assert!(
            matches!(&error, SendError::Failed(reason) if !reason.contains("crashed")),
            "{word}: {error}"
        );
    }
    assert_eq!(node.view("asker").crashes, 0);
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_messages_do_not_crash_who_receives_them() {
    let node = TestNode::start().await;
    node.neighbour().await;
    // Quick answers teach the node to hand over many messages at once.
    for _ in 0..200 {
        node.assert_lives().await;
    }
    within_budget("large messages", async {
        for _ in 0..4_096 {
            let body = Bytes::from(vec![b' '; BODY_BYTES]);
            if node.send(NEIGHBOUR, body).is_err() {
                tokio::task::yield_now().await;
            }
        }
        let answered = async {
            while node.ask(NEIGHBOUR, "ping").await == Err(SendError::MailboxFull) {
                tokio::task::yield_now().await;
            }
        };
        answered.await;
    })
    .await;
    assert_eq!(node.view(NEIGHBOUR).crashes, 0, "{}", node.view(NEIGHBOUR).reason);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_holds_a_bounded_number_of_bytes() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let mut rogue = manifest("rogue", node.program("rogue").await, &[("peer", "rogue")]);
    rogue.limits.call_ms = 20_000;
    node.spawn(rogue).await.expect("it behaves until told");
    within_budget("mailbox", async {
        let said = node.ask("rogue", "send-large 200").await.expect("it is answered before its own messages");
        println!("mailbox: {said}");
        let (accepted, refusal) = said.split_once(' ').expect("a number and a word");
        let accepted: usize = accepted.parse().expect("a number");
        assert_eq!(refusal, "mailbox-full");
        assert!(
            accepted * BODY_BYTES <= MAILBOX_BYTES_MAX,
            "{accepted} messages of {BODY_BYTES} bytes were accepted"
        );
    })
    .await;
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_to_the_kv_copies_a_bounded_number_of_bytes() {
    let node = TestNode::start().await;
    node.neighbour().await;
    node.run("caller", "caller", &[]).await;
    within_budget("get-many", async {
        let error = node.ask("caller", "kv-amplify").await.expect_err("128 MiB of values");
        println!("get-many: {error}");
        assert!(!error.to_string().contains("crashed"), "{error}");
    })
    .await;
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_guests_together_meet_the_nodes_budget() {
    const SOULS: usize = 500;
    const BUDGET: u64 = 256 << 20;
    let node = TestNode::start_with(|config| {
        config.engine.live_instances_max = 2 * SOULS as u32;
        config.engine.guest_memory_bytes_max = BUDGET;
    })
    .await;
    node.neighbour().await;
    // It has then all the memory that it needs for an answer.
    node.undisturbed("an empty node", node.assert_lives()).await;
    let digest = node.program("rogue").await;
    let memory = node.node().catalog().memory().clone();
    let before = memory.used();
    assert!(before > 0 && memory.max() == BUDGET);
    let by_name = |error: &str| assert!(error.contains("engine.guest_memory_bytes_max"), "{error}");
    within_budget("budget", async {
        let mut alive = Vec::new();
        for number in 0..SOULS {
            let soul = format!("hoarder-{number}");
            match node.spawn(manifest(&soul, digest, &[])).await {
                Ok(_) => alive.push(soul),
                Err(error) => by_name(&error.to_string()),
            }
        }
        // Each of them wants to touch its whole limit.
        let mut fell = 0;
        for soul in &alive {
            let mut watch = node.watch(soul);
            if let Err(error) = node.ask(soul, "grow").await {
                by_name(&error.to_string());
                assert_eq!(watch.crash().await.kind, "no-room");
                fell += 1;
            }
            assert!(memory.used() <= BUDGET);
        }
        println!("budget: {} of {SOULS} came to life, {fell} of them fell over it", alive.len());
        assert!(alive.len() < SOULS && fell > 0);
        node.undisturbed("a full node", node.assert_lives()).await;
        for soul in &alive {
            node.node().souls().delete(&name(soul), None).await.expect("it can be deleted");
        }
        assert_eq!(memory.used(), before, "memory did not come back");
        node.spawn(manifest("late", digest, &[])).await.expect("there is room again");
    })
    .await;
    node.end().await;
}
