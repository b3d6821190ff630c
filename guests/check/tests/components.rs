//! What every built component exports and imports. A guest that reaches for more than it needs, or a
//! change of the SDK that makes it do so, fails here. Run `build.sh` first.

#![expect(clippy::unwrap_used, reason = "a test ends where a component is not as it should be")]

use std::collections::BTreeSet;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Resolve, WorldItem, WorldKey};

/// What the standard library imports for itself on this target: its panics and its standard streams.
const STANDARD: [&str; 13] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
];

#[test]
fn echo_is_a_soul_and_no_more() {
    check("echo", &["matrix:node/agent"]);
}

#[test]
fn counter_has_a_state() {
    check("counter", &["matrix:node/agent", "matrix:node/stateful"]);
}

#[test]
fn players_have_a_state() {
    for player in ["strategist", "learner", "trader"] {
        check(player, &["matrix:node/agent", "matrix:node/player", "matrix:node/stateful"]);
    }
}

#[test]
fn mirror_is_trained_and_needs_nothing() {
    check("mirror", &["matrix:node/agent", "matrix:node/learner", "matrix:node/stateful"]);
}

#[test]
fn rules_have_a_state() {
    for rules in ["ipd", "schelling", "gridworld", "market", "parlour"] {
        check(rules, &["matrix:node/rules", "matrix:node/stateful"]);
    }
}

#[test]
fn redact_is_a_stage_that_reads_its_settings() {
    // Tables of the regular expressions are hashed by a seed, which the node gives.
    let imports = ["wasi:config/store", "wasi:random/insecure-seed"];
    check_with("redact", &["matrix:node/interceptor"], &imports);
}

/// Of all that a node offers, most guests need no more than the shared types.
fn check(guest: &str, exports: &[&str]) {
    check_with(guest, exports, &[]);
}

fn check_with(guest: &str, exports: &[&str], imports: &[&str]) {
    let path = format!("{}/../out/{guest}.wasm", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}; run guests/build.sh"));
    let DecodedWasm::Component(resolve, world) = decode(&bytes).unwrap() else {
        panic!("{path} is no component");
    };
    let world = &resolve.worlds[world];
    assert_eq!(names(&resolve, &world.exports), exports.iter().map(|name| (*name).to_owned()).collect());
    let mut expected: BTreeSet<String> = STANDARD.iter().map(|name| (*name).to_owned()).collect();
    expected.insert("matrix:node/types".to_owned());
    expected.extend(imports.iter().map(|name| (*name).to_owned()));
    assert_eq!(names(&resolve, &world.imports), expected);
}

/// Names of interfaces, without their versions, which a newer toolchain may raise.
fn names<'a>(
    resolve: &Resolve,
    items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> BTreeSet<String> {
    let named = items.into_iter().map(|(key, _)| resolve.name_world_key(key));
    named.map(|name| name.split('@').next().unwrap_or_default().to_owned()).collect()
}
