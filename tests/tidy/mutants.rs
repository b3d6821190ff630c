//! Mutants, `tests/mutants`: patches that each break one promise. What is written in them is held here; that the tests
//! notice them, `make mutants` shows.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::tree::{File, root};

/// What is wrong with a mutant: `sources` are the files in which its test may be.
pub(crate) fn broken(file: &File, sources: &[File]) -> Vec<String> {
    let field = |name: &str| file.text.lines().find_map(|line| line.strip_prefix(name));
    let mut found = vec![];
    for name in ["promise: ", "cargo: ", "test: "] {
        if field(name).is_none_or(str::is_empty) {
            found.push(file.finding(1, &format!("it has no line `{name}…`")));
        }
    }
    let test = field("test: ").and_then(|test| test.rsplit("::").next());
    let has = |test: &str| sources.iter().any(|file| file.text.contains(&format!("fn {test}(")));
    if let Some(test) = test.filter(|test| !has(test)) {
        found.push(file.finding(1, &format!("no test is called `{test}`")));
    }
    if let Err(why) = applies(&file.text) {
        found.push(file.finding(1, &format!("it does not apply: {why}")));
    }
    found
}

/// Whether git would apply a patch to the project as it stands.
fn applies(patch: &str) -> Result<(), String> {
    let root = root();
    let mut git = Command::new("git");
    git.args(["apply", "--check", "-"]).current_dir(&root);
    // A copy of the project in another's repository is still the project.
    git.env("GIT_CEILING_DIRECTORIES", root.parent().unwrap_or(&root));
    git.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let failed = |error: std::io::Error| format!("git cannot be asked: {error}");
    let mut child = git.spawn().map_err(failed)?;
    let mut input = child.stdin.take().ok_or("git listens to nobody")?;
    let written = input.write_all(patch.as_bytes());
    drop(input);
    let output = child.wait_with_output().map_err(failed)?;
    written.map_err(failed)?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{read, sample};

    #[test]
    fn mutants_that_are_of_no_use_are_found() {
        let sources = [sample("a.rs", "fn one() {}")];
        let head = |test: &str| format!("promise: it holds\ncargo: -p a --lib\ntest: a::{test}\n\n");
        let settings = read("clippy.toml");
        let (first, rest) = settings.split_once('\n').expect("it says something");
        let second = rest.lines().next().expect("it says more");
        let patch =
            |line: &str| format!("--- a/clippy.toml\n+++ b/clippy.toml\n@@ -1,2 +1 @@\n-{line}\n {second}\n");
        let find = |text: String| broken(&sample("m.patch", &text), &sources);
        assert_eq!(find(head("one") + &patch(first)), Vec::<String>::new());
        assert!(find(head("two") + &patch(first))[0].contains("no test is called `two`"));
        assert!(find(head("one") + &patch("what was never there"))[0].contains("does not apply"));
        assert_eq!(find(patch(first)).len(), 3);
    }
}
