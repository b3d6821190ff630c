//! Bytes that are refused before they run.

use matrix_tests::by_hand::ByHand;
use matrix_tests::node::TestNode;

/// A component of one import and one export, in text form.
fn with_import(import: &str) -> Vec<u8> {
    let text = format!(
        r#"(component {import}
             (core module $m (func (export "f")))
             (core instance $i (instantiate $m))
             (func $f (canon lift (core func $i "f")))
             (instance $agent (export "init" (func $f)) (export "receive" (func $f)))
             (export "matrix:node/agent@0.1.0" (instance $agent)))"#
    );
    wat::parse_str(&text).expect("the text is well-formed")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sound_component_is_refused_by_name() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let before = node.node().catalog().components().store().list();
    let sound = ByHand::default().build();
    let module = wat::parse_str("(module)").expect("the text is well-formed");
    let sockets = r#"(import "wasi:sockets/tcp@0.2.0" (instance))"#;
    let wrong = r#"(import "matrix:node/messaging@0.1.0" (instance
                     (export "unsubscribe" (func (param "topic" u32)))))"#;
    let too_large = vec![0; (64 << 20) + 1];
    let cases: [(&str, &[u8], &str); 8] = [
        ("nothing", b"", "ends after 0 bytes"),
        ("text", b"(component)", "not WebAssembly"),
        ("machine code", b"\x7fELF\x02\x01\x01\0", "machine code"),
        ("a core module", &module, "core WebAssembly module"),
        ("cut off", &sound[..sound.len() / 2], "in the middle"),
        ("an import that no node has", &with_import(sockets), "wasi:sockets/tcp"),
        ("a wrong signature", &with_import(wrong), "unsubscribe"),
        ("too large", &too_large, "67108864"),
    ];
    for (what, bytes, reason) in cases {
        let error = node.upload(bytes).await.expect_err("it is refused");
        println!("{what}: {error}");
        assert!(error.contains(reason), "{what}: {error}");
        assert_eq!(node.node().catalog().components().store().list(), before, "{what}: its bytes were kept");
        node.assert_lives().await;
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_off_anywhere_is_refused_and_never_a_panic() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let sound = ByHand::default().build();
    for length in (0..sound.len()).step_by(sound.len() / 50) {
        assert!(node.upload(&sound[..length]).await.is_err(), "{length} of {} bytes", sound.len());
    }
    node.assert_lives().await;
    node.end().await;
}
