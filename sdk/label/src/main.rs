//! Labels components in Rust with what their crates say of themselves: `matrix-label FOLDER COMPONENT...`, where FOLDER is
//! that of the workspace, and a component is called like its file.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use matrix_label::{Label, of_package};

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let done = match &arguments[..] {
        [folder, components @ ..] if !components.is_empty() => label(folder, components),
        _ => Err("say `matrix-label FOLDER COMPONENT...`".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("matrix-label: {error}");
            ExitCode::FAILURE
        }
    }
}

fn label(folder: &Path, components: &[PathBuf]) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: cargo metadata: {error}", folder.display());
    let told = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(folder)
        .output()
        .map_err(|error| failed(&error))?;
    if !told.status.success() {
        return Err(failed(&String::from_utf8_lossy(&told.stderr)));
    }
    let told = String::from_utf8_lossy(&told.stdout);
    for path in components {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let label: Label = of_package(&told, &name)
            .map_err(|error| failed(&error))?
            .ok_or_else(|| at(&format!("no crate in {} makes it", folder.display())))?;
        let component = std::fs::read(path).map_err(|error| at(&error))?;
        let labelled = label.write(&component).map_err(|error| at(&error))?;
        // Written aside and renamed, so that whoever reads the old one at this moment reads it whole.
        let partial = path.with_extension("part");
        std::fs::write(&partial, labelled).map_err(|error| at(&error))?;
        std::fs::rename(&partial, path).map_err(|error| at(&error))?;
    }
    Ok(())
}
