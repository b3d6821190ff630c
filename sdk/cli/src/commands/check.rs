//! `matrix check`: carried out by the program `matrix-check`, which has the engine that this one does without.

mod around;
mod verdict;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) use self::around::{of_matrix, of_soul, of_stage};
pub(super) use self::verdict::{Checked, checked};
use crate::author::build::{self, Whom};
use crate::author::language::Kind;
use crate::author::project::Project;
use crate::errors::Error;
use crate::session::Session;

/// The program that checks.
const PROGRAM: &str = "matrix-check";

/// Says whether a component keeps what its world promises.
///
/// It is run here, in the engine of a node, and needs none. Ends with 0 where it does, with 1 where it does not, and
/// with 2 where it could not be checked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component, a file, or a folder with its matrix.toml, which is built first
    #[arg(value_name = "FOLDER|COMPONENT", default_value = ".")]
    subject: PathBuf,
    /// What it must be: soul, matrix-rules or transport
    #[arg(long)]
    world: Option<String>,
    /// An older version of it, whose state it must take up
    #[arg(long, value_name = "COMPONENT")]
    against: Option<PathBuf>,
    /// Rules that a Soul plays by
    #[arg(long, value_name = "COMPONENT")]
    rules: Option<PathBuf>,
    /// A Soul of the node: who it is, what it is granted, its settings and its limits are those of the check
    #[arg(long, value_name = "NAME")]
    soul: Option<String>,
    /// A setting of a Soul or of a stage; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// The setup of rules, JSON
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// A limit of a Soul, as in its manifest; may be repeated
    #[arg(long, value_name = "NAME=NUMBER")]
    limit: Vec<String>,
    /// A message that a Soul understands; may be repeated
    #[arg(long, value_name = "TEXT")]
    say: Vec<String>,
    /// What a Soul that learns is taught; may be repeated
    #[arg(long, value_name = "INPUT=OUTPUT")]
    teach: Vec<String>,
    /// The seed of everything that is drawn
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Writes the report as JSON
    #[arg(long)]
    json: bool,
    /// Writes the report to a file as well, in the form of JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Hands over to the program that checks: where that succeeds, this one ends.
pub(crate) async fn run(mut args: Args, session: &Session<'_>) -> Result<(), Error> {
    let around = match &args.soul {
        None => Vec::new(),
        Some(name) => of_soul(&session.node().await?, name).await?,
    };
    if args.subject.is_dir() {
        let project = Project::read(&args.subject)?;
        build::prepare(&project).await?;
        args.subject = build::build(&project, Whom::Users, session.output).await?.path;
        args.world.get_or_insert_with(|| world(project.kind).to_owned());
    }
    let functions = session.environment().functions.clone();
    let given = arguments(args, around, functions, session.output.is_json());
    let failed = Command::new(program()).args(given).exec();
    if failed.kind() == std::io::ErrorKind::NotFound {
        return Err(Error::NotFound {
            what: format!("the program `{PROGRAM}` is neither beside `matrix` nor on the PATH"),
            change: format!(
                "install it beside `matrix`: `cargo build --bins` makes both, and {PROGRAM} is one file"
            ),
        });
    }
    Err(Error::local("cannot start the program that checks", PROGRAM, failed))
}

/// What the program calls what is of this kind.
const fn world(kind: Kind) -> &'static str {
    match kind {
        Kind::Soul => "soul",
        Kind::Rules => "matrix-rules",
        Kind::Transport => "transport",
    }
}

/// The program, beside this one or on the PATH.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(PROGRAM));
    beside.filter(|beside| beside.is_file()).unwrap_or_else(|| Path::new(PROGRAM).to_owned())
}

/// What the program is told: first what is `around`, as what is said here counts more.
fn arguments(args: Args, around: Vec<String>, functions: Option<PathBuf>, json: bool) -> Vec<OsString> {
    let mut given: Vec<_> = around.into_iter().map(OsString::from).collect();
    let mut add = |name: &str, value: OsString| given.push([OsString::from(name), value].join("=".as_ref()));
    let files = [
        ("--against", args.against),
        ("--rules", args.rules),
        ("--junit", args.junit),
        ("--functions", functions),
    ];
    for (name, file) in files {
        file.into_iter().for_each(|file| add(name, file.into()));
    }
    let texts =
        [("--world", args.world), ("--config", args.config), ("--seed", args.seed.map(|n| n.to_string()))];
    for (name, text) in texts {
        text.into_iter().for_each(|text| add(name, text.into()));
    }
    let lists = [("--set", args.set), ("--limit", args.limit), ("--say", args.say), ("--teach", args.teach)];
    for (name, list) in lists {
        list.into_iter().for_each(|text| add(name, text.into()));
    }
    if args.json || json {
        given.push("--json".into());
    }
    given.push("--".into());
    given.push(args.subject.into());
    given
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_is_said_here_comes_after_what_is_around() {
        let line = ["check", "a.wasm", "--set", "x=2", "--seed", "7", "--junit", "r.xml"];
        let args = Line::parse_from(line).args;
        let given = arguments(args, vec!["--set=x=1".to_owned()], Some("kept".into()), true);
        let given: Vec<_> = given.iter().map(|one| one.to_string_lossy().into_owned()).collect();
        let files = ["--junit=r.xml", "--functions=kept"];
        let expected =
            [&["--set=x=1"][..], &files, &["--seed=7", "--set=x=2", "--json", "--", "a.wasm"]].concat();
        assert_eq!(given, expected);
    }
}
