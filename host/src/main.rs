//! The program `matrixd`: arguments, configuration, node, signal, shutdown.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use matrixd::config::Config;
use matrixd::node::{self, End, Level, Node};
use matrixd::realm::Token;
use matrixd::runtime::compile::compile_child;

/// A node of Matrix OS: hosts Souls, Matrices and the stages between them.
#[derive(Debug, Parser)]
#[command(name = "matrixd", version)]
struct Arguments {
    /// Where everything is kept; made if it is not there.
    #[arg(long, env = "MATRIX_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    /// The configuration; without it, `matrixd.toml` in the data folder, if there is one.
    #[arg(long)]
    config: Option<PathBuf>,
    /// An invitation into a realm, from `matrix cluster invite`: takes a new node there.
    #[arg(long, env = "MATRIX_JOIN", hide_env_values = true, value_name = "TOKEN")]
    join: Option<Token>,
    /// A backup, from `matrix cluster backup`: makes a new realm of it in an empty data folder, and ends.
    #[arg(long, value_name = "FILE", conflicts_with = "join")]
    restore: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compiles one component under limits; the node calls this on itself.
    #[command(hide = true)]
    CompileComponent { input: PathBuf, output: PathBuf, settings: String },
    /// Looks at a configuration and a data folder without starting a node: what is wrong, and what to change.
    ///
    /// Ends with 1 where something is wrong that a node would not start with, or not keep its promises.
    Doctor {
        /// The configuration; without it, `matrixd.toml` in the data folder, if there is one.
        #[arg(long)]
        config: Option<PathBuf>,
        /// The data folder.
        #[arg(long, alias = "data-dir", env = "MATRIX_DATA_DIR", default_value = "data", value_name = "DIR")]
        data: PathBuf,
        /// Writes a JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::CompileComponent { input, output, settings }) => {
            return compile_child(input, output, settings);
        }
        Some(Command::Doctor { config, data, json }) => return doctor(data, config.as_deref(), *json),
        None => {}
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("matrixd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // Two providers may be linked; which one is used must not depend on chance.
    let provider = rustls::crypto::aws_lc_rs::default_provider().install_default();
    provider.map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let mut config = Config::load(&arguments.data_dir, arguments.config.as_deref())?;
    config.owns_process = true;
    config.join.clone_from(&arguments.join);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    if let Some(file) = &arguments.restore {
        return runtime.block_on(restore(&config, file));
    }
    runtime.block_on(async {
        let mut end = End::listen()?;
        // A start may have to wait for the realm. It has told nobody anything yet, so that it may be given up.
        let node = tokio::select! {
            node = Node::start(config) => node?,
            () = end.asked() => return Ok(()),
        };
        end.asked().await;
        node.stop().await
    })
}

fn doctor(data: &Path, config: Option<&Path>, json: bool) -> ExitCode {
    let found = node::doctor(data, config);
    for finding in &found {
        match serde_json::to_string(finding) {
            Ok(object) if json => println!("{object}"),
            _ => println!("{finding}"),
        }
    }
    if found.iter().any(|finding| finding.level == Level::Error) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

async fn restore(config: &Config, file: &Path) -> anyhow::Result<()> {
    let restored = node::restore(config, file).await?;
    let (folder, from) = (config.data_dir.display(), &restored.from);
    println!("restored realm {} at index {} as realm {} in {folder}", from.realm, from.index, restored.realm);
    println!("with {} components and {} run logs", restored.components, restored.runs);
    for what in &restored.missing {
        println!("the backup does not hold {what}");
    }
    println!("start it: matrixd --data-dir {folder}");
    Ok(())
}
