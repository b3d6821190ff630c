//! The programs: what `matrix-check` prints, how it ends, and that `matrix check` starts it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use matrix_tests::node::built;

fn echo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/out/echo.wasm")
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(built(program)).args(arguments).output().expect("it starts")
}

#[test]
fn a_right_component_ends_it_with_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (echo, junit) = (echo(), folder.path().join("report.xml"));
    let (echo, junit) = (echo.to_string_lossy(), junit.to_string_lossy());
    let output = run("matrix-check", &[&echo, "--world", "soul", "--json", "--junit", &junit]);
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (report["kind"].as_str(), report["checks"][0]["outcome"].as_str()),
        (Some("soul"), Some("right"))
    );
    let suite = std::fs::read_to_string(&*junit).expect("it was written");
    assert!(suite.contains("failures=\"0\"") && suite.contains("soul.batch"), "{suite}");
}

#[test]
fn a_wrong_one_ends_it_with_one_and_what_cannot_be_checked_with_two() {
    let echo = echo();
    let echo = echo.to_string_lossy();
    let output = run("matrix-check", &[&echo, "--world", "transport"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("WRONG") && said.contains("world.kind") && said.contains("mend:"), "{said}");
    assert!(said.lines().last().is_some_and(|line| line.starts_with("wrong: ")), "{said}");
    let output = run("matrix-check", &["no-such-file.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("no-such-file.wasm"), "{said}");
}

#[test]
fn what_was_compiled_for_one_check_is_kept_for_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let (echo, kept) = (echo(), folder.path().join("functions"));
    let bytes = || std::fs::metadata(kept.join("young")).expect("functions").len();
    let check = || {
        let output = run("matrix-check", &[&echo.to_string_lossy(), "--functions", &kept.to_string_lossy()]);
        assert!(output.status.success(), "{output:?}");
        bytes()
    };
    let first = check();
    // Of the next ones a few may go by another name, as Cranelift leaves tables of the functions before in it.
    let (grown, whole) = (check() - first, first);
    assert!(whole > 10_000 && grown < whole / 2, "{grown} of {whole} bytes");
}
