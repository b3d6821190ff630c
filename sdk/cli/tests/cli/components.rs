//! `matrix components`.

use serde_json::Value;

use crate::fake::Fake;

#[test]
fn push_streams_in_chunks_and_pull_brings_back() {
    let fake = Fake::start();
    let bytes: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
    fake.file("my_soul.wasm", &bytes);
    let pushed = fake.matrix(&["components", "push", "my_soul.wasm"]).ends(0);
    assert!(pushed.stdout.starts_with("created soul my-soul sha256:"), "{}", pushed.stdout);
    assert_eq!(pushed.stderr, "Uploading my-soul (195.3 KiB) ...\nUploading my-soul done (195.3 KiB)\n");
    let call = &fake.calls("Upload")[0];
    assert!(call.contains("size: 200000") && call.ends_with(", 4)"), "{call}");
    assert!(fake.matrix(&["components", "push", "my_soul.wasm"]).ends(0).stdout.starts_with("unchanged"));

    fake.matrix(&["components", "pull", "my-soul", "-o", "back.wasm"]).ends(0);
    assert_eq!(std::fs::read(fake.folder.path().join("back.wasm")).expect("a file"), bytes);
}

#[test]
fn an_upload_is_tried_again_with_the_same_request_id() {
    let fake = Fake::start();
    fake.file("a.wasm", "bytes");
    fake.state().unavailable = 2;
    let run = fake.json(&["components", "push", "a.wasm", "--name", "b"]).ends(0);
    assert_eq!(run.json()[0]["component"]["name"], "b");
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    let calls = fake.calls("Upload");
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0], calls[2]);
}

#[test]
fn a_refusal_shows_what_to_change() {
    let fake = Fake::start();
    fake.file("a.wasm", "bad bytes");
    let refused = fake.matrix(&["components", "push", "a.wasm"]).ends(5);
    for part in [
        "error[invalid]: these bytes are no component",
        "where: field `chunk`",
        "change: build it for wasm32-wasip2",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let refused = fake.json(&["components", "push", "a.wasm"]).ends(5);
    let error: Value = serde_json::from_str(&refused.stderr).expect("an object");
    assert_eq!(error["error"]["reason"], "NOT_A_COMPONENT");
    assert_eq!(error["error"]["grpc"], "INVALID_ARGUMENT");
    assert_eq!(error["error"]["metadata"]["offset"], "0");
}

#[test]
fn lists_follow_their_pages() {
    let fake = Fake::start();
    for name in ["one", "two", "three"] {
        fake.file(name, name);
        fake.matrix(&["components", "push", name]).ends(0);
    }
    let list = fake.json(&["components", "list"]).ends(0).json();
    assert_eq!(list[0]["components"].as_array().map(Vec::len), Some(3));
    assert_eq!(fake.matrix(&["components", "ls"]).ends(0).stdout.lines().count(), 4);
    assert!(fake.matrix(&["components", "show", "two"]).ends(0).stdout.contains("size      3 B"));
    fake.matrix(&["components", "rm", "two"]).ends(0);
    fake.matrix(&["components", "show", "two"]).ends(3);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let fake = Fake::start();
    let failed = fake.matrix(&["components", "push", "none.wasm"]).ends(1);
    assert!(failed.stderr.contains("where: none.wasm"), "{}", failed.stderr);
}

#[test]
fn a_signature_lies_beside_its_component_and_is_pushed_with_it() {
    let fake = Fake::start();
    let key = fake.matrix(&["components", "keygen", "signer.key"]).ends(0).stdout;
    assert!(key.starts_with("ed25519:") && key.trim().len() == 72, "{key}");
    fake.matrix(&["components", "keygen", "signer.key"]).ends(1);
    // A component that is empty, and imports nothing.
    fake.file("my_soul.wasm", b"\0asm\x0d\0\x01\0");
    let signed = fake.json(&["components", "sign", "my_soul.wasm", "--key", "signer.key"]).ends(0).json();
    assert_eq!(
        (&signed[0]["signature"]["name"], &signed[0]["file"]),
        (&"my-soul".into(), &"my_soul.wasm.sig".into())
    );
    fake.matrix(&["components", "push", "my_soul.wasm"]).ends(0);
    assert!(fake.calls("Upload")[0].contains("ComponentSignature"), "{:?}", fake.calls("Upload"));
    fake.file("my_soul.wasm.sig", "no signature");
    fake.matrix(&["components", "push", "my_soul.wasm"]).ends(1);
    fake.file("other.wasm", "no component");
    fake.matrix(&["components", "sign", "other.wasm", "--key", "signer.key"]).ends(1);
}

#[test]
fn a_rollout_tells_who_failed_and_ends_as_it_went() {
    let fake = Fake::start();
    let arguments = ["components", "rollout", "neo", "good", "--canary", "10", "--watch", "0.5"];
    let done = fake.matrix(&arguments).ends(0).stdout;
    assert!(done.contains("9 of 9 Souls swapped"), "{done}");
    let call = &fake.calls("Rollout")[0];
    assert!(call.contains("canary_percent: 10") && call.contains("watch_ms: 500"), "{call}");
    let run = fake.matrix(&["components", "rollout", "neo", "bad"]);
    assert!(run.stderr.contains("neo: it trapped") && run.stderr.contains("taking back"), "{}", run.stderr);
    run.ends(8);
    fake.matrix(&["components", "rollout", "neo", "bad", "--canary", "101"]).ends(2);
}
