//! `matrix build`.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::author::build::{self, Built, Whom};
use crate::author::project::Project;
use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::text;

/// What to build.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The folder with its matrix.toml
    #[arg(default_value = ".")]
    folder: PathBuf,
}

/// Builds a folder's component.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let project = Project::read(&args.folder)?;
    build::prepare(&project).await?;
    let built = build::build(&project, Whom::Users, session.output).await?;
    session.output.show(&json(&project, &built), |style| human(style, &project, &built))
}

/// A build for programs.
pub(super) fn json(project: &Project, built: &Built) -> Value {
    json!({
        "name": project.name,
        "kind": project.kind.to_string(),
        "version": project.version,
        "path": built.path.display().to_string(),
        "size": built.component.size(),
        "digest": built.component.digest,
        "build_ms": built.took.as_millis() as u64,
    })
}

/// A build for people.
pub(super) fn human(style: &Style, project: &Project, built: &Built) -> String {
    let (path, size) = (built.path.display(), text::bytes(built.component.size()));
    let took = text::duration(built.took.as_millis() as u64);
    let Project { kind, name, version, .. } = project;
    let digest = &built.component.digest;
    format!("{} {kind} {name} {version} in {took}: {path} ({size})\n{digest}\n", style.green("built"))
}
