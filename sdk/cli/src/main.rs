//! The command `matrix`: deploys to, talks to and watches Matrix OS nodes.
//!
//! Arguments → [`args`] → one file a command group in [`commands`] → the node, through [`connection`].
//! Results go to stdout ([`output`]), progress and errors to stderr ([`progress`], [`errors`]).

mod address;
mod args;
mod author;
mod commands;
mod connection;
mod content;
mod environment;
mod errors;
mod jsonl;
mod manifest;
mod output;
mod outside;
mod progress;
mod registry;
mod request;
mod result;
mod session;
mod table;
mod text;
mod wait;

use std::process::ExitCode;

use clap::Parser as _;

use crate::environment::Environment;
use crate::errors::{Error, Exit};
use crate::output::Output;
use crate::session::Session;

fn main() -> ExitCode {
    let environment = Environment::read();
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(refusal) => return ExitCode::from(errors::usage(&refusal)),
    };
    let output = Output::new(cli.global.output, &environment);
    let end = run(cli, &environment, &output);
    ExitCode::from(end.map_or_else(|error| error.print(&output), |()| Exit::Ok) as u8)
}

/// Carries out one command, until it ends or the user interrupts it.
fn run(cli: args::Cli, environment: &Environment, output: &Output) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::local("cannot start the runtime", "this process", error))?;
    let session = Session::new(cli.global, environment, output);
    let end = runtime.block_on(async {
        tokio::select! {
            // What is interrupted by Ctrl-C in order, ends in order.
            biased;
            end = commands::run(cli.command, &session) => end,
            _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
        }
    });
    // A read of the terminal that is still under way cannot be cancelled; nobody waits for it.
    runtime.shutdown_background();
    end
}
