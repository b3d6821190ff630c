//! Another program that is measured in the same rounds: it plays one round for each line that it is sent, and
//! answers with the seconds that it took.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A program that waits for the next round.
pub(crate) struct Bystander {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Bystander {
    /// Starts the program; none where it cannot be run, and then `install` is shown, which says what to do.
    pub(crate) fn start(command: &mut Command, install: &str) -> Option<Self> {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                eprintln!("  {}: {error}; {install}", command.get_program().display());
                return None;
            }
        };
        let requests = child.stdin.take()?;
        let answers = BufReader::new(child.stdout.take()?);
        Some(Self { child, requests, answers })
    }

    /// Plays one round; returns the seconds.
    ///
    /// # Panics
    /// If the program ends, or answers with something else: it says why on stderr.
    pub(crate) fn round(&mut self, request: &str) -> f64 {
        writeln!(self.requests, "{request}").and_then(|()| self.requests.flush()).expect("it reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        line.trim().parse().unwrap_or_else(|error| panic!("it answered `{line}`: {error}"))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The programs that are compared with.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bench/rivals")
}
