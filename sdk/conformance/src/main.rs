//! The program `matrix-check`: says whether a component keeps what its world promises. `matrix check` starts it.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use matrix_conformance::junit::junit;
use matrix_conformance::{Kit, Options, Report, course};
use matrixd::capabilities::grants::Grants;
use matrixd::runtime::compile::compile_child;
use matrixd::runtime::inspect::Kind;
use matrixd::runtime::limits::LimitsConfig;
use matrixd::souls::manifest::Persona;
use serde::de::DeserializeOwned;

/// What ends a check that could not be carried out.
const CANNOT: u8 = 2;

/// Says whether a component keeps what its world promises: 0, it does; 1, it does not; 2, it could not be checked.
#[derive(Debug, Parser)]
#[command(
    name = "matrix-check",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Arguments {
    #[command(flatten)]
    check: Check,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Check {
    /// The component, a file.
    #[arg(required = true)]
    component: Option<PathBuf>,
    /// What it must be.
    #[arg(long)]
    world: Option<World>,
    /// An older version of it, whose state it must take up.
    #[arg(long, value_name = "COMPONENT")]
    against: Option<PathBuf>,
    /// Rules that a Soul plays by.
    #[arg(long, value_name = "COMPONENT")]
    rules: Option<PathBuf>,
    /// A setting of a Soul or of a stage; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// The setup of rules, JSON.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "JSON")]
    config: String,
    /// A limit of a Soul, as in its manifest; may be repeated.
    #[arg(long, value_name = "NAME=NUMBER", value_parser = limit)]
    limit: Vec<(String, u64)>,
    /// What a Soul is granted, JSON as in its manifest; without it everything.
    #[arg(long, value_name = "JSON", value_parser = json::<Grants>)]
    grants: Option<Grants>,
    /// Who a Soul is, JSON: description, traits, and values with their weights.
    #[arg(long, value_name = "JSON", value_parser = json::<Persona>)]
    persona: Option<Persona>,
    /// The defaults and maxima of a node, JSON as in its configuration.
    #[arg(long, value_name = "JSON", value_parser = json::<LimitsConfig>)]
    node_limits: Option<LimitsConfig>,
    /// A message that a Soul understands; may be repeated.
    #[arg(long, value_name = "TEXT")]
    say: Vec<String>,
    /// What a Soul that learns is taught; may be repeated.
    #[arg(long, value_name = "INPUT=OUTPUT", value_parser = pair)]
    teach: Vec<(String, String)>,
    /// The seed of everything that is drawn.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..1 << 53))]
    seed: u64,
    /// The data folder of a node: what it has compiled is not compiled again, where its files are this user's.
    #[arg(long, value_name = "DIR")]
    compiled: Option<PathBuf>,
    /// A folder where compiled functions are kept: what did not change since the last check is not compiled again. Only
    /// its owner may enter it.
    #[arg(long, value_name = "DIR")]
    functions: Option<PathBuf>,
    /// Writes the report as JSON.
    #[arg(long)]
    json: bool,
    /// Writes the report to a file as well, in the form of JUnit.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compiles one component under limits; the kit calls this on itself.
    #[command(hide = true)]
    CompileComponent { input: PathBuf, output: PathBuf, settings: String },
    /// Goes through a course in a process of its own; the kit calls this on itself.
    #[command(hide = true)]
    Course { order: String },
}

/// The worlds of `wit/`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum World {
    Soul,
    MatrixRules,
    Transport,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::CompileComponent { input, output, settings }) = &arguments.command {
        return compile_child(input, output, settings);
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return cannot(&format!("cannot start the runtime: {error}")),
    };
    match arguments.command {
        Some(Command::Course { order }) => match runtime.block_on(course(&Kit::default(), &order)) {
            Ok(lines) => {
                println!("{lines}");
                ExitCode::SUCCESS
            }
            Err(why) => cannot(&why),
        },
        _ => match runtime.block_on(check(arguments.check)) {
            Ok(report) if report.is_right() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(why) => cannot(&why),
        },
    }
}

fn cannot(why: &str) -> ExitCode {
    eprintln!("matrix-check: {why}");
    ExitCode::from(CANNOT)
}

async fn check(check: Check) -> Result<Report, String> {
    let Check {
        component,
        world,
        against,
        rules,
        set,
        config,
        limit,
        grants,
        persona,
        node_limits,
        say,
        teach,
        seed,
        compiled,
        functions,
        json,
        junit: file,
    } = check;
    let component = component.ok_or("name a component")?;
    let name = component.display().to_string();
    let bytes = fs::read(&component).map_err(|error| format!("cannot read `{name}`: {error}"))?;
    let world = world.map(|world| match world {
        World::Soul => Kind::Soul,
        World::MatrixRules => Kind::Rules,
        World::Transport => Kind::Transport,
    });
    let (settings, limits) = (set.into_iter().collect(), limit.into_iter().collect());
    let options = Options {
        world,
        seed,
        settings,
        config,
        persona,
        grants,
        limits,
        node_limits,
        say,
        teach,
        against,
        rules,
    };
    let checked = Kit { compiled, functions, ..Kit::default() }.check(&name, bytes.into(), options).await;
    let report = checked.map_err(|error| error.to_string())?;
    if let Some(file) = file {
        let written = fs::write(&file, junit(&report));
        written.map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
    }
    if json {
        println!("{}", serde_json::to_string(&report).map_err(|error| error.to_string())?);
    } else {
        println!("{report}");
    }
    Ok(report)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn limit(text: &str) -> Result<(String, u64), String> {
    let (name, value) = pair(text)?;
    value.parse().map(|value| (name, value)).map_err(|error| format!("`{value}`: {error}"))
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
