//! Where results go: stdout, for people or for programs. Errors go to stderr.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use crate::environment::Environment;
use crate::errors::{Error, Report};

/// Whom results are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text and tables, for people.
    Human,
    /// One JSON object, or one a line where results stream.
    Json,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// No colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { colour: false };

    /// For headings and names.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// For what matters less.
    pub(crate) fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// For what is wrong.
    pub(crate) fn red(&self, text: &str) -> String {
        self.paint("31", text)
    }

    /// For what was done.
    pub(crate) fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// For what was changed, and for warnings.
    pub(crate) fn yellow(&self, text: &str) -> String {
        self.paint("33", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The way out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    /// Nothing is told beside results.
    quiet: bool,
    stdout: Style,
    stderr: Style,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
}

impl Output {
    /// The process's own streams.
    pub(crate) fn new(format: Format, environment: &Environment) -> Self {
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let colour = !environment.no_colour;
        Self {
            format,
            quiet: false,
            stdout: Style { colour: stdout && colour },
            stderr: Style { colour: stderr && colour },
            stdout_is_terminal: stdout,
            stderr_is_terminal: stderr,
        }
    }

    /// The same streams, for what is part of a larger piece of work: nothing is told of how far it is.
    pub(crate) fn quiet(&self) -> Self {
        Self { quiet: true, ..*self }
    }

    /// Whether anybody is to be told how far a piece of work is.
    pub(crate) fn tells_progress(&self) -> bool {
        self.format == Format::Human && !self.quiet
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person sees stdout as it is written.
    pub(crate) fn stdout_is_terminal(&self) -> bool {
        self.stdout_is_terminal
    }

    /// Whether a person sees stderr as it is written.
    pub(crate) fn stderr_is_terminal(&self) -> bool {
        self.stderr_is_terminal
    }

    /// Writes a result: the object `json` on one line, or the text that `human` makes, which brings
    /// its own line feeds.
    pub(crate) fn show(&self, json: &Value, human: impl FnOnce(&Style) -> String) -> Result<(), Error> {
        match self.format {
            Format::Json => self.raw(format!("{json}\n").as_bytes()),
            Format::Human => self.raw(human(&self.stdout).as_bytes()),
        }
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::Closed,
            _ => Error::local("cannot write", "stdout", error),
        })
    }

    /// Tells a person something beside the result, on a line of stderr; programs are not told.
    pub(crate) fn note(&self, text: &str) {
        if self.tells_progress() {
            // A note that nobody can read is no reason to fail.
            drop(writeln!(io::stderr().lock(), "{}", self.stderr.dim(text)));
        }
    }

    /// Tells of an error, on stderr.
    pub(crate) fn error(&self, report: &Report) {
        if self.is_json() {
            return error_object(report);
        }
        let style = &self.stderr;
        let mut text = format!("{} {}\n", style.red(&format!("error[{}]:", report.exit.name())), report.what);
        for place in &report.place {
            text += &format!("{} {place}\n", style.bold("   where:"));
        }
        for change in &report.change {
            text += &format!("{} {change}\n", style.bold("  change:"));
        }
        drop(io::stderr().lock().write_all(text.as_bytes()));
    }
}

/// Writes an error object to stderr, on one line.
pub(crate) fn error_object(report: &Report) {
    // Where stderr is closed, the exit code has to do.
    drop(writeln!(io::stderr().lock(), "{}", report.json()));
}
