//! Who may do what, and whose components run.

use serde_json::json;

use crate::process::Process;
use crate::project;

#[test]
fn a_token_does_what_its_role_may_until_it_is_revoked() {
    let node = Process::start();
    let secret = node.matrix(&["access", "token", "create", "ci", "--role", "deploy"])[0]["secret"].clone();
    let file = node.folder().join("ci.token");
    std::fs::write(&file, secret.as_str().expect("a secret")).expect("a file in the test's folder");
    let file = file.to_string_lossy();
    let counter = project().join("guests/out/counter.wasm");
    node.matrix(&[
        "--token-file",
        &file,
        "components",
        "push",
        &counter.to_string_lossy(),
        "--name",
        "counter",
    ]);
    assert_eq!(node.matrix(&["--token-file", &file, "access", "whoami"])[0]["role"], json!("deploy"));
    let refused = node.fails(&["--token-file", &file, "kv", "put", "notes", "a", "b"]);
    assert!(refused.code == 4 && refused.said.contains("ROLE_TOO_WEAK"), "{}", refused.said);
    node.matrix(&["access", "token", "revoke", "ci"]);
    assert_eq!(node.fails(&["--token-file", &file, "status"]).code, 4);
    let held = node.matrix(&["access", "audit", "--verify"]);
    assert!(held[0]["lines"].as_u64() >= Some(6), "{held:?}");
    node.stop();
}

#[test]
fn only_what_a_trusted_key_has_signed_runs_where_that_is_required() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (wasm, key) = (at("counter.wasm"), at("signer.key"));
    std::fs::copy(project().join("guests/out/counter.wasm"), &wasm).expect("the guests are built");
    let any = Process::start();
    let public = any.matrix(&["components", "keygen", &key])[0]["public_key"].clone();
    any.stop();
    let settings = format!("[components]\nsignatures = \"require\"\ntrusted_keys = [{public}]\n");
    let mut node = Process::start_with(&settings);
    let refused = node.fails(&["components", "push", &wasm]);
    assert!(refused.said.contains("SIGNATURE_REFUSED"), "{}", refused.said);
    node.matrix(&["components", "sign", &wasm, "--key", &key]);
    let pushed = node.matrix(&["components", "push", &wasm]);
    assert_eq!(pushed[0]["component"]["signed_by"], public);
    node.matrix(&["souls", "spawn", "ada", "--component", "counter"]);
    node.kill();
    node.restart();
    assert_eq!(node.matrix(&["ask", "ada", "add 1"])[0]["reply"]["text"], json!("1"));
    let other = node.fails(&["components", "push", &wasm, "--name", "other"]);
    assert!(other.said.contains("header.signature"), "{}", other.said);
    node.stop();
}
