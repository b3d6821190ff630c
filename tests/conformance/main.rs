//! The conformance kit, tried on the project's own components, with which it must find nothing wrong, and on components
//! with one planted fault each, which the check that is meant for it must find, and no other.

mod compiled;
mod own;
mod planted;
mod program;

use std::path::Path;

use bytes::Bytes;
use matrix_conformance::{Kit, Options, Report};
use matrix_tests::node::built;

/// A built guest of `guests/`.
fn guest(name: &str) -> Bytes {
    read("../guests/out", name)
}

/// A built program of `tests/programs`.
fn program(name: &str) -> Bytes {
    read("programs/out", name)
}

fn read(folder: &str, name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(format!("{name}.wasm"));
    let read = std::fs::read(&path);
    read.unwrap_or_else(|_| panic!("{}: run `make guests test-guests` first", path.display())).into()
}

/// All that the kit says of a component.
async fn check(name: &str, bytes: Bytes, options: Options) -> Report {
    let kit = Kit { program: built("matrix-check"), ..Kit::default() };
    kit.check(name, bytes, options).await.unwrap_or_else(|error| panic!("{name}: {error}"))
}
