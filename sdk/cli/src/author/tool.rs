//! Tools of languages: programs that are run in a folder.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::errors::Error;

/// The most bytes of what a tool prints that are read.
const TOLD_BYTES_MAX: u64 = 64 << 20;

/// A program of a folder's own is named from there, any other by its name alone.
pub(super) fn command(folder: &Path, program: &str) -> Command {
    let is_own = program.contains('/');
    let mut tool = if is_own { Command::new(folder.join(program)) } else { Command::new(program) };
    tool.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    tool
}

/// Runs a tool, and returns what it prints to stdout; where that is for people, it goes to stderr as it comes, as all else
/// that the tool has to say does.
///
/// # Errors
/// Where it cannot be run, or fails.
pub(super) async fn run(folder: &Path, words: &[String], tells_people: bool) -> Result<String, Error> {
    let shown = words.join(" ");
    let failed = |error| Error::local("cannot run it", &shown, error);
    let [program, arguments @ ..] = words else {
        return Err(Error::local("cannot run it", &folder.display().to_string(), "there is no command"));
    };
    let mut tool = command(folder, program);
    tool.args(arguments).stderr(Stdio::inherit());
    tool.stdout(if tells_people { Stdio::from(std::io::stderr()) } else { Stdio::piped() });
    let mut tool = tool.spawn().map_err(failed)?;
    let mut told = Vec::new();
    if let Some(stdout) = tool.stdout.take() {
        stdout.take(TOLD_BYTES_MAX).read_to_end(&mut told).await.map_err(failed)?;
    }
    let status = tool.wait().await.map_err(failed)?;
    if !status.success() {
        return Err(Error::Failed {
            what: format!("`{shown}` failed ({status})"),
            place: folder.display().to_string(),
            change: "mend what it names above".to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&told).into_owned())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_tool_runs_in_its_folder_and_tells_how_it_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let run = async |line: &[&str], people| super::run(folder.path(), &words(line), people).await;
        std::fs::write(folder.path().join("mine"), "here").expect("a file");
        assert_eq!(run(&["cat", "mine"], false).await.expect("it ends well"), "here");
        assert_eq!(run(&["cat", "mine"], true).await.expect("it ends well"), "", "it was told to people");
        let failed = run(&["cat", "no-such-file"], false).await.expect_err("there is none");
        assert!(failed.to_string().contains("`cat no-such-file` failed"), "{failed}");
        let missing = run(&["./no-such-tool"], false).await.expect_err("there is none");
        assert!(missing.to_string().contains("cannot run it"), "{missing}");
    }
}
