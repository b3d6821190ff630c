//! From a folder to its component, by the language's own tools.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest as _, Sha256};

use super::label::Known;
use super::language::{Need, Quick};
use super::project::Project;
use super::watch::Snapshot;
use super::{packages, tool};
use crate::commands::components::LocalComponent;
use crate::content::read_file;
use crate::errors::Error;
use crate::output::Output;

/// The most bytes in a component.
const COMPONENT_BYTES_MAX: u64 = 256 << 20;

/// How long a tool may take to say whether it is there.
const PROBE_DEADLINE: Duration = Duration::from_secs(60);

/// Whom a build is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Whoever gets the component: it is as fast as the language's tools can make it.
    Users,
    /// Tests: it does the same, and is built as fast as can be, though in the same way.
    Tests,
    /// An author who waits to see what a change does: it does the same, and is there as soon as can be.
    Author,
}

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

/// Looks whether everything is there that a build needs of the machine.
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
    let told =
        tokio::time::timeout(PROBE_DEADLINE, tool::command(folder, program).args(arguments).output()).await;
    let Ok(Ok(told)) = told else { return false };
    told.status.success() && (need.says_yes)(&String::from_utf8_lossy(&told.stdout))
}

/// Builds for somebody, after what is not in the folder yet is installed there. What the tools have to say goes to stderr as they
/// say it.
///
/// # Errors
/// Where they fail, or what they made is no component.
pub(crate) async fn build(project: &Project, whom: Whom, output: &Output) -> Result<Built, Error> {
    let start = Instant::now();
    let language = project.language;
    if let Some(packages) = &language.packages {
        packages::install(project, packages, output).await?;
    }
    let path = project.component();
    let quick = language.quick.filter(|quick| match whom {
        Whom::Users => false,
        Whom::Tests => matches!(quick, Quick::Plain(_)),
        Whom::Author => true,
    });
    // Before the build: what changes in the midst of it is built next.
    let made_of = (!language.is_incremental).then(|| made_of(project, quick.is_some()));
    if let Some(made_of) = &made_of
        && let Some(component) = unchanged(project, made_of)
    {
        return Ok(Built { path, component, took: start.elapsed() });
    }
    let before = written(&path);
    let command = match quick {
        Some(Quick::Plain(quick) | Quick::Interpreted(quick)) => words(quick, project),
        _ => flagged(words(language.build, project), quick),
    };
    // At once: the one waits for the compiler, and the other hardly takes any time.
    let (told, known) =
        tokio::try_join!(tool::run(&project.folder, &command, language.tells_people), Known::of(project))?;
    if let (Some(beside), Some(name)) = (&language.beside, project.kind.beside())
        && project.folder.join(format!("{name}{}", beside.source)).is_file()
    {
        let command = flagged(words(beside.build, project), quick);
        tool::run(&project.folder, &command, language.tells_people).await?;
    }
    let made = (language.products)(&told, project);
    for (name, path) in &made {
        keep(path, &project.out(), name, &known)?;
    }
    let is_old = made_of.is_some() && before.is_some() && written(&path) == before;
    if is_old || !made.iter().any(|(name, _)| *name == project.name) {
        let reason = "the build made no such component";
        return Err(Error::local("nothing was built", &path.display().to_string(), reason));
    }
    let component = LocalComponent::read(&path)?;
    if let Some(made_of) = made_of {
        let (mark, text) = (mark(project), format!("{made_of} {}", component.digest));
        std::fs::write(&mark, text).map_err(|error| Error::file("cannot write the file", &mark, error))?;
    }
    Ok(Built { path, component, took: start.elapsed() })
}

/// A command as it is run for a project.
pub(super) fn words(command: &[&str], project: &Project) -> Vec<String> {
    let (kind, beside) = (project.kind.to_string(), project.kind.beside().unwrap_or_default());
    let word = |part: &&str| {
        part.replace("{name}", &project.name).replace("{kind}", &kind).replace("{beside}", beside)
    };
    command.iter().map(word).collect()
}

/// The command for who waits, where that is the same with something at its end.
fn flagged(mut command: Vec<String>, quick: Option<Quick>) -> Vec<String> {
    if let Some(Quick::InterpretedBy(flag)) = quick {
        command.push(flag.to_owned());
    }
    command
}

/// What a component is built from, and how, in one word.
fn made_of(project: &Project, is_quick: bool) -> String {
    let mut hash = Sha256::new();
    hash.update([u8::from(is_quick)]);
    if let Some(packages) = &project.language.packages {
        hash.update(packages::wanted(project, packages));
    }
    Snapshot::of(&project.folder, &project.unwatched()).hash_into(&mut hash);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where it is written down what the component was built from, and which it is.
fn mark(project: &Project) -> PathBuf {
    project.out().join(format!(".{}.built", project.name))
}

/// The component, if it was built from this.
fn unchanged(project: &Project, made_of: &str) -> Option<LocalComponent> {
    let mark = std::fs::read_to_string(mark(project)).ok()?;
    let (from, digest) = mark.split_once(' ')?;
    let component = LocalComponent::read(&project.component()).ok()?;
    (from == made_of && component.digest == digest).then_some(component)
}

/// When a file was written.
fn written(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
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
    let labelled =
        known.labelled(name, &bytes).map_err(|error| Error::file("cannot label it", from, error))?;
    let to = out.join(format!("{name}.wasm"));
    if from == to && labelled == bytes {
        return Ok(());
    }
    let failed = |error| Error::file("cannot keep the component", out, error);
    std::fs::create_dir_all(out).map_err(failed)?;
    let aside = out.join(format!(".{name}.wasm"));
    std::fs::write(&aside, &labelled).map_err(failed)?;
    std::fs::rename(&aside, to).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::language::{self, Kind};

    #[test]
    fn what_was_built_is_built_again_only_where_something_differs() {
        let folder = tempfile::tempdir().expect("a folder");
        let project = Project {
            folder: folder.path().to_owned(),
            language: language::parse("python").expect("there is one"),
            kind: Kind::Soul,
            name: "ada".to_owned(),
            version: String::new(),
        };
        assert_eq!(words(project.language.build, &project)[4..], ["soul.py", "--output", "out/ada.wasm"]);
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        write("soul.py", "1");
        write("out/ada.wasm", "component");
        let from = made_of(&project, false);
        assert!(unchanged(&project, &from).is_none(), "nobody says what it was built from");
        let digest = LocalComponent::read(&project.component()).expect("it is there").digest;
        write("out/.ada.built", &format!("{from} {digest}"));
        assert!(unchanged(&project, &made_of(&project, false)).is_some());
        assert!(unchanged(&project, &made_of(&project, true)).is_none(), "built for who waits it is another");
        write("tests/test_soul.py", "1");
        assert!(unchanged(&project, &made_of(&project, false)).is_some(), "nothing is built from tests");
        write("out/ada.wasm", "another");
        assert!(unchanged(&project, &made_of(&project, false)).is_none(), "it is another");
        write("out/ada.wasm", "component");
        write("soul.py", "12");
        assert!(unchanged(&project, &made_of(&project, false)).is_none(), "the source has changed");
    }
}
