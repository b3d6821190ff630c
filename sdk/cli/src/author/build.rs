//! From a folder to its component, by the language's own tools.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::label::Known;
use super::language::Need;
use super::project::Project;
use crate::commands::components::LocalComponent;
use crate::content::read_file;
use crate::errors::Error;

/// The most bytes of what a tool prints that are read.
const TOLD_BYTES_MAX: u64 = 64 << 20;

/// The most bytes in a component.
const COMPONENT_BYTES_MAX: u64 = 256 << 20;

/// How long a tool may take to say whether it is there.
const PROBE_DEADLINE: Duration = Duration::from_secs(60);

/// What a build made.
#[derive(Debug)]
pub(crate) struct Built {
    /// Where the component is.
    pub(crate) path: PathBuf,
    /// The component.
    pub(crate) component: LocalComponent,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Looks whether everything is there that a build needs.
///
/// # Errors
/// Names the first thing that is not, and the command that installs it.
pub(crate) async fn prepare(project: &Project) -> Result<(), Error> {
    for need in project.language.needs {
        if !is_there(need, &project.folder).await {
            let what =
                format!("{} is not installed, and builds in {} need it", need.what, project.language.name);
            return Err(Error::usage(what, format!("install it: {}", need.install)));
        }
    }
    Ok(())
}

async fn is_there(need: &Need, folder: &Path) -> bool {
    let [program, arguments @ ..] = need.probe else { return true };
    let mut probe = Command::new(program);
    probe.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let told = tokio::time::timeout(PROBE_DEADLINE, probe.output()).await;
    let Ok(Ok(told)) = told else { return false };
    told.status.success() && (need.says_yes)(&String::from_utf8_lossy(&told.stdout))
}

/// Builds. What the tools have to say goes to stderr as they say it.
///
/// # Errors
/// Where they fail, or what they made is no component.
pub(crate) async fn build(project: &Project) -> Result<Built, Error> {
    let start = Instant::now();
    let command: Vec<_> =
        project.language.build.iter().map(|part| part.replace("{name}", &project.name)).collect();
    let [program, arguments @ ..] = &command[..] else {
        return Err(Error::local("cannot build", project.language.name, "there is no command for it"));
    };
    let command = command.join(" ");
    let failed = |error| Error::local("cannot run it", &command, error);
    let mut tool = Command::new(program);
    tool.args(arguments).current_dir(&project.folder).kill_on_drop(true);
    tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut tool = tool.spawn().map_err(failed)?;
    let mut told = Vec::new();
    if let Some(stdout) = tool.stdout.take() {
        stdout.take(TOLD_BYTES_MAX).read_to_end(&mut told).await.map_err(failed)?;
    }
    let status = tool.wait().await.map_err(failed)?;
    if !status.success() {
        return Err(Error::Failed {
            what: format!("`{command}` failed ({status})"),
            place: project.folder.display().to_string(),
            change: "mend what it names above".to_owned(),
        });
    }
    let made = (project.language.products)(&String::from_utf8_lossy(&told), project);
    let known = Known::of(project).await?;
    for (name, path) in &made {
        keep(path, &project.out(), name, &known)?;
    }
    let path = project.component();
    if !made.iter().any(|(name, _)| *name == project.name) {
        return Err(Error::local(
            "nothing was built",
            &path.display().to_string(),
            "the build made no such component",
        ));
    }
    let component = LocalComponent::read(&path)?;
    Ok(Built { path, component, took: start.elapsed() })
}

/// Puts a component into the folder `out` as `name`, labelled. Whoever reads the one that was there reads it whole.
fn keep(from: &Path, out: &Path, name: &str, known: &Known<'_>) -> Result<(), Error> {
    let bytes = read_file(from, COMPONENT_BYTES_MAX)?;
    if !wasmparser::Parser::is_component(&bytes) {
        return Err(Error::file(
            "what was built is no component",
            from,
            "it is no WebAssembly, or a core module",
        ));
    }
    let bytes = known.labelled(name, &bytes).map_err(|error| Error::file("cannot label it", from, error))?;
    let failed = |error| Error::file("cannot keep the component", out, error);
    std::fs::create_dir_all(out).map_err(failed)?;
    let aside = out.join(format!(".{name}.wasm"));
    std::fs::write(&aside, &bytes).map_err(failed)?;
    std::fs::rename(&aside, out.join(format!("{name}.wasm"))).map_err(failed)
}

/// What cargo made, as it tells in lines of JSON: the library, and examples that are components too.
pub(crate) fn told_by_cargo(told: &str, project: &Project) -> Vec<(String, PathBuf)> {
    cargo::components(told, &project.folder, &project.name)
}

/// What cargo tells of a build.
mod cargo {
    use super::*;

    /// A line that is about something that was made.
    #[derive(Deserialize)]
    struct Line {
        manifest_path: PathBuf,
        target: Target,
        filenames: Vec<PathBuf>,
    }

    #[derive(Deserialize)]
    struct Target {
        name: String,
        kind: Vec<String>,
    }

    /// The components of the crate in `folder`, each with its name: the library's is `name`, an example's its own.
    pub(super) fn components(told: &str, folder: &Path, name: &str) -> Vec<(String, PathBuf)> {
        let manifest = folder.join("Cargo.toml");
        let lines = told.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        lines
            .filter(|line| line.manifest_path == manifest)
            .filter_map(|line| {
                let is_component = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "wasm");
                let file = line.filenames.iter().find(is_component)?.clone();
                let is_library = line.target.kind.iter().any(|kind| kind == "cdylib");
                let name = if is_library { name.to_owned() } else { line.target.name.replace('_', "-") };
                Some((name, file))
            })
            .collect()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_cargo_made_of_the_crate_itself_is_found() {
            let line = |manifest: &str, kind: &str, name: &str, file: &str| {
                let target = serde_json::json!({ "name": name, "kind": [kind], "crate_types": ["cdylib"] });
                serde_json::json!({
                    "reason": "compiler-artifact",
                    "manifest_path": manifest,
                    "target": target,
                    "filenames": [file],
                })
                .to_string()
            };
            let told = [
                line("/sdk/Cargo.toml", "lib", "matrix_sdk", "/t/libmatrix_sdk.rlib"),
                line("/other/Cargo.toml", "cdylib", "other", "/t/other.wasm"),
                line("/my/Cargo.toml", "cdylib", "my_soul", "/t/my_soul.wasm"),
                line("/my/Cargo.toml", "example", "a_player", "/t/examples/a_player.wasm"),
                line("/my/Cargo.toml", "custom-build", "build-script-build", "/t/build-script"),
                "{\"reason\":\"build-finished\",\"success\":true}".to_owned(),
                "no JSON".to_owned(),
            ];
            let found = components(&told.join("\n"), Path::new("/my"), "my-soul");
            let expected = [("my-soul", "/t/my_soul.wasm"), ("a-player", "/t/examples/a_player.wasm")];
            assert_eq!(found, expected.map(|(name, file)| (name.to_owned(), PathBuf::from(file))));
        }
    }
}
