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

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_string_lossy().into_owned();
    let sound = matrixd(&["doctor", "--data", &data]);
    assert!(sound.status.success(), "{sound:?}");
    std::fs::write(folder.path().join("matrixd.toml"), "[kv]\nstate_bytes_max = 1152921504606846976\n")
        .expect("a file");
    let large = matrixd(&["doctor", "--data", &data]);
    let said = String::from_utf8_lossy(&large.stdout).into_owned();
    assert!(large.status.success(), "a node would start: {said}");
    assert!(said.contains("warn   memory") && said.contains("kv.state_bytes_max"), "{said}");
    std::fs::write(folder.path().join("matrixd.toml"), "[admin]\nlisten = \"0.0.0.0:1\"\n").expect("a file");
    let open = matrixd(&["doctor", "--data", &data, "--json"]);
    assert_eq!(open.status.code(), Some(1));
    let said = String::from_utf8_lossy(&open.stdout).into_owned();
    let wrong: Vec<_> = said.lines().filter(|line| line.contains("\"level\":\"error\"")).collect();
    assert!(wrong.len() == 1 && wrong[0].contains("admin.tls"), "{said}");
}
