//! `matrix access`.

use crate::fake::Fake;

#[test]
fn a_secret_is_printed_alone_so_that_it_fits_a_file() {
    let fake = Fake::start();
    let made = fake.matrix(&["access", "token", "create", "ci", "--role", "deploy", "--expires", "30d"]);
    assert_eq!(made.ends(0).stdout, "matrix-token-1\n");
    let call = &fake.calls("CreateToken")[0];
    assert!(call.contains("ttl_seconds: 2592000") && call.contains("role: Deploy"), "{call}");
    let json = fake.json(&["access", "token", "rotate", "ci", "--grace", "1h"]).ends(0).json();
    assert_eq!((&json[0]["secret"], &json[0]["role"]), (&"matrix-token-2".into(), &"deploy".into()));
    assert!(fake.calls("RotateToken")[0].contains("grace_seconds: 3600"));
    let list = fake.matrix(&["access", "tokens", "ls"]).ends(0).stdout;
    assert!(list.contains("ci") && list.contains("deploy") && !list.contains("matrix-token"), "{list}");
    fake.matrix(&["access", "token", "revoke", "ci"]).ends(0);
    fake.matrix(&["access", "token", "create", "ci", "--role", "root"]).ends(2);
    fake.matrix(&["access", "token", "create", "ci", "--role", "read", "--expires", "soon"]).ends(2);
}

#[test]
fn certificates_are_granted_by_their_fingerprints() {
    let fake = Fake::start();
    let shown = ["AB"; 32].join(":");
    let granted = fake.matrix(&["access", "cert", "grant", &shown, "--role", "operate"]).ends(0).stdout;
    assert!(granted.contains(&"ab".repeat(32)), "{granted}");
    assert!(fake.matrix(&["access", "cert", "list"]).ends(0).stdout.contains("operate"));
    let who = fake.json(&["access", "whoami"]).ends(0).json();
    assert_eq!((&who[0]["caller"], &who[0]["role"]), (&"local".into(), &"admin".into()));
}

#[test]
fn the_audit_log_is_shown_and_its_chain_is_reckoned_anew() {
    let fake = Fake::start();
    let shown = fake.matrix(&["access", "audit", "--caller", "local", "--last", "2"]).ends(0).stdout;
    assert!(shown.contains("Kv/Put") && shown.contains("OK of 1"), "{shown}");
    let call = &fake.calls("Audit")[0];
    assert!(call.contains("caller: \"local\"") && call.contains("last: 2"), "{call}");
    let held = fake.json(&["access", "audit", "--verify"]).ends(0).json();
    assert_eq!((&held[0]["lines"], &held[0]["first"]), (&2.into(), &1.into()));
    fake.state().audit_is_changed = true;
    let broken = fake.matrix(&["access", "audit", "--verify"]).ends(1);
    assert!(broken.stderr.contains("line 2") && broken.stderr.contains("changed"), "{}", broken.stderr);
}
