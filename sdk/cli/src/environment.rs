//! The environment variables that the command reads, and the only place that reads them.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the environment says. An empty variable counts as one that is not set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `MATRIX_NODE`: the node's address, where `--node` is not given.
    pub(crate) node: Option<String>,
    /// `MATRIX_DATA_DIR`: the node's data folder, where `--data-dir` is not given.
    pub(crate) data_dir: Option<PathBuf>,
    /// `NO_COLOR`: no colours, even on a terminal.
    pub(crate) no_colour: bool,
}

impl Environment {
    /// Reads the environment of this process.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub(crate) fn read() -> Self {
        let read = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            node: read("MATRIX_NODE").map(OsString::into_string).map(|text| match text {
                Ok(text) => text,
                // Kept, so that the error about it shows what was given.
                Err(raw) => raw.to_string_lossy().into_owned(),
            }),
            data_dir: read("MATRIX_DATA_DIR").map(PathBuf::from),
            no_colour: read("NO_COLOR").is_some(),
        }
    }
}
