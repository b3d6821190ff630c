//! What a component is labelled with when a folder is built: what its `matrix.toml` and, in Rust, its crate say of it.

use std::process::Stdio;

use matrix_label::{Label, of_package};
use tokio::process::Command;

use super::project::Project;
use crate::errors::Error;

/// What is known of a folder's components.
#[derive(Debug)]
pub(super) struct Known<'a> {
    project: &'a Project,
    /// What cargo tells of the crate, if it is one.
    cargo: Option<String>,
}

impl<'a> Known<'a> {
    /// Reads what the folder says.
    ///
    /// # Errors
    /// Where cargo cannot be asked about a crate.
    pub(super) async fn of(project: &'a Project) -> Result<Self, Error> {
        if !project.folder.join("Cargo.toml").is_file() {
            return Ok(Self { project, cargo: None });
        }
        let failed = |reason: &dyn std::fmt::Display| {
            Error::local("cannot run it", "cargo metadata --no-deps", reason.to_string())
        };
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&project.folder);
        let told = cargo.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let told = told.map_err(|error| failed(&error))?;
        if !told.status.success() {
            return Err(failed(&String::from_utf8_lossy(&told.stderr).trim()));
        }
        Ok(Self { project, cargo: Some(String::from_utf8_lossy(&told.stdout).into_owned()) })
    }

    /// The component `name`, labelled. Its version is that of `matrix.toml`; what the language's tools wrote beside stays.
    pub(super) fn labelled(&self, name: &str, component: &[u8]) -> Result<Vec<u8>, String> {
        let by_cargo = self.cargo.as_deref().map(|told| of_package(told, name)).transpose();
        let label =
            by_cargo.map_err(|error| format!("cargo metadata: {error}"))?.flatten().unwrap_or_default();
        let (name, version) = (name.to_owned(), self.project.version.clone());
        Label { name, version, ..label }.write(component).map_err(|error| error.to_string())
    }
}
