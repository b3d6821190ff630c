//! The program itself: what it says to wrong arguments and wrong configurations.

use std::process::{Command, Output};

fn matrixd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_matrixd")).args(arguments).output().expect("matrixd starts")
}

#[test]
fn says_its_version() {
    let output = matrixd(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), concat!("matrixd ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn an_unknown_key_is_named_and_nothing_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("matrixd.toml"), "[souls]\nsouls_maximum = 3\n").expect("a file");
    let output = matrixd(&["--data-dir", &folder.path().to_string_lossy()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("unknown field `souls_maximum`") && said.contains("matrixd.toml"), "{said}");
    assert!(!folder.path().join("kv").exists());
}
