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
    /// `MATRIX_REGISTRY_USERNAME`: who one is to a registry of components, where `--username` is not given.
    pub(crate) registry_username: Option<String>,
    /// `MATRIX_REGISTRY_PASSWORD`: what proves it, where `--password-file` is not given.
    pub(crate) registry_password: Option<Secret>,
    /// Where Docker keeps who one is: in `DOCKER_CONFIG`, or in the folder `.docker` of `HOME`.
    pub(crate) docker_config: Option<PathBuf>,
    /// Where compiled functions are kept for the next check and test: in `MATRIX_CACHE_DIR`, or in the folder `matrix` of
    /// `XDG_CACHE_HOME`, or of `.cache` in `HOME`.
    pub(crate) functions: Option<PathBuf>,
    /// `NO_COLOR`: no colours, even on a terminal.
    pub(crate) no_colour: bool,
}

/// What is not to be shown, also where all else is.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret")
    }
}

impl Environment {
    /// Reads the environment of this process.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub(crate) fn read() -> Self {
        let read = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| {
            read(name).map(OsString::into_string).map(|text| match text {
                Ok(text) => text,
                // Kept, so that the error about it shows what was given.
                Err(raw) => raw.to_string_lossy().into_owned(),
            })
        };
        let in_home = |folder| read("HOME").map(|home| PathBuf::from(home).join(folder));
        let docker = read("DOCKER_CONFIG").map(PathBuf::from).or_else(|| in_home(".docker"));
        let cache = read("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| in_home(".cache"));
        let cache = read("MATRIX_CACHE_DIR").map(PathBuf::from).or_else(|| cache.map(|of| of.join("matrix")));
        Self {
            node: text("MATRIX_NODE"),
            registry_username: text("MATRIX_REGISTRY_USERNAME"),
            registry_password: text("MATRIX_REGISTRY_PASSWORD").map(Secret),
            docker_config: docker.map(|folder| folder.join("config.json")),
            functions: cache.map(|folder| folder.join("functions")),
            data_dir: read("MATRIX_DATA_DIR").map(PathBuf::from),
            no_colour: read("NO_COLOR").is_some(),
        }
    }
}
