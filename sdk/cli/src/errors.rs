//! What can go wrong: what it is, where, what to change, and the exit code that says so to scripts.

mod exit;
mod report;

use std::path::Path;

use tonic::{Code, Status};

pub(crate) use self::exit::{EXIT_CODES_HELP, Exit};
pub(crate) use self::report::{Report, usage};
use crate::manifest::ManifestError;
use crate::output::Output;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An argument says something that cannot be done.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to change.
        change: String,
    },
    /// Something on this machine failed: a file, the terminal.
    #[error("{what}: {reason}")]
    Local {
        /// What could not be done.
        what: String,
        /// The file or device.
        place: String,
        /// Why not.
        reason: String,
    },
    /// A manifest is wrong.
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    /// No node was reached.
    #[error("no node answers")]
    NoNode {
        /// The addresses that were tried, and what came of it.
        tried: Vec<String>,
    },
    /// The node answered with an error.
    #[error("{}", .status.message())]
    Node {
        /// What it said.
        status: Status,
        /// What was asked for, such as `soul neo`.
        place: String,
    },
    /// A registry of components does not do what was asked of it, or not as it should.
    #[error("{what}")]
    Registry {
        /// What is wrong.
        what: String,
        /// Which artifact.
        place: String,
        /// What to change.
        change: String,
        /// How the command ends.
        exit: Exit,
    },
    /// The node's answer lacks what it must hold.
    #[error("the node's answer has no {0}")]
    Answer(&'static str),
    /// What was asked for is not there, though the call succeeded.
    #[error("{what}")]
    NotFound {
        /// What is not there.
        what: String,
        /// What to change.
        change: String,
    },
    /// What is there is not what was expected.
    #[error("{what}")]
    Conflict {
        /// What is there instead.
        what: String,
        /// Where.
        place: String,
        /// What to change.
        change: String,
    },
    /// A replay did not give the same state as the run.
    #[error("the replay differs from the run log at tick {tick}")]
    Difference {
        /// The Matrix.
        matrix: String,
        /// The first tick that differs.
        tick: u64,
    },
    /// A Matrix that was waited for ended without a result.
    #[error("the Matrix `{matrix}` is {state} at tick {tick}{}", .reason.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Unfinished {
        /// The Matrix.
        matrix: String,
        /// What it is now.
        state: &'static str,
        /// Ticks done.
        tick: u64,
        /// Why, as the node says.
        reason: Option<String>,
    },
    /// Something that was tried did not succeed, as its author must see to it.
    #[error("{what}")]
    Failed {
        /// What failed.
        what: String,
        /// Where.
        place: String,
        /// What to change.
        change: String,
    },
    /// Something did not happen in time.
    #[error("{what}")]
    Deadline {
        /// What did not happen.
        what: String,
        /// What to change.
        change: String,
    },
    /// The user pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Whoever read the output has gone; there is nobody left to tell.
    #[error("the output was closed")]
    Closed,
}

impl Error {
    /// A wrong argument.
    pub(crate) fn usage(what: impl Into<String>, change: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), change: change.into() }
    }

    /// A failure on this machine, at `place`.
    pub(crate) fn local(what: &str, place: &str, reason: impl std::fmt::Display) -> Self {
        Self::Local { what: what.to_owned(), place: place.to_owned(), reason: reason.to_string() }
    }

    /// A failure to read or write the file at `path`.
    pub(crate) fn file(what: &str, path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::local(what, &path.display().to_string(), reason)
    }

    /// What the node answered when it was asked for `place`.
    pub(crate) fn node(status: Status, place: impl Into<String>) -> Self {
        Self::Node { status, place: place.into() }
    }

    /// The same error, with `outer` before the place that it names.
    pub(crate) fn within(self, outer: &str) -> Self {
        match self {
            Self::Node { status, place } => Self::Node { status, place: format!("{outer}: {place}") },
            Self::Local { what, place, reason } => {
                Self::Local { what, place: format!("{outer}: {place}"), reason }
            }
            other => other,
        }
    }

    /// Whether the node said that what was asked for does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Node { status, .. } if status.code() == Code::NotFound)
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } => Exit::Usage,
            Self::Local { .. } | Self::Answer(_) | Self::Failed { .. } => Exit::Failure,
            Self::Manifest(_) => Exit::Invalid,
            Self::NoNode { .. } => Exit::Unavailable,
            Self::Node { status, .. } => Exit::from(status.code()),
            Self::NotFound { .. } => Exit::NotFound,
            Self::Registry { exit, .. } => *exit,
            Self::Conflict { .. } => Exit::Conflict,
            Self::Difference { .. } => Exit::Difference,
            Self::Unfinished { .. } => Exit::Unfinished,
            Self::Deadline { .. } => Exit::Deadline,
            Self::Interrupted => Exit::Interrupted,
            Self::Closed => Exit::Ok,
        }
    }

    /// Tells the user, on stderr, and returns the exit code.
    pub(crate) fn print(&self, output: &Output) -> Exit {
        if !matches!(self, Self::Closed) {
            output.error(&Report::of(self));
        }
        self.exit()
    }
}
