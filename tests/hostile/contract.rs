//! Guests that break the rules of the component model, or of an interface.

use matrix_tests::by_hand::{ByHand, REPLIES};
use matrix_tests::node::{TestNode, manifest};

use crate::falls;

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_contract_is_a_crash_and_never_a_panic() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let set = |at: u32, value: u32| format!("(i32.store (i32.const {at}) (i32.const {value:#x}))");
    // A reply that is an error, with its text's bytes at 0: no UTF-8.
    let bad_text = [set(0, 0xFFFF_FFFF), set(REPLIES, 1), set(REPLIES + 8, 4)].concat();
    // A media type beyond the end of memory.
    let outside = [set(REPLIES + 4, 1), set(REPLIES + 8, 0xFFFF_0000), set(REPLIES + 12, 4)].concat();
    let cases = [
        ("bad-text", ByHand { receive: bad_text, ..ByHand::default() }, "trap", "utf-8"),
        ("outside", ByHand { receive: outside, ..ByHand::default() }, "trap", "bounds"),
        ("bad-case", ByHand { receive: set(REPLIES, 7), ..ByHand::default() }, "trap", "discriminant"),
        ("no-reply", ByHand { replies: 0, ..ByHand::default() }, "contract", "0 results"),
        ("two-replies", ByHand { replies: 2, ..ByHand::default() }, "contract", "2 results"),
        (
            "forged",
            ByHand { receive: "(call $block (i32.const 77))".into(), ..ByHand::default() },
            "trap",
            "handle",
        ),
        (
            "dropped",
            ByHand { receive: "(call $drop (i32.const 1))".into(), ..ByHand::default() },
            "trap",
            "handle",
        ),
        (
            "unaligned",
            ByHand { receive: "(return (i32.const 1))".into(), ..ByHand::default() },
            "trap",
            "aligned",
        ),
    ];
    for (soul, by_hand, kind, reason) in cases {
        let digest = node.upload(&by_hand.build()).await.expect("it is well-formed");
        node.spawn(manifest(soul, digest, &[])).await.expect("it behaves until told");
        let fall = falls(&node, soul, "go", kind).await;
        println!("{soul}: {}", fall.reason);
        assert!(fall.reason.to_lowercase().contains(reason), "{soul}: {}", fall.reason);
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soul_by_hand_that_keeps_the_rules_lives() {
    let node = TestNode::start().await;
    let digest = node.upload(&ByHand::default().build()).await.expect("it is well-formed");
    node.spawn(manifest("plain", digest, &[])).await.expect("it starts");
    assert_eq!(node.ask("plain", "go").await.as_deref(), Ok(""));
    assert_eq!(node.view("plain").crashes, 0);
    node.end().await;
}
