//! `matrix completion`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::errors::Error;
use crate::session::Session;

/// Which shell.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, session: &Session<'_>) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::Cli::command(), "matrix", &mut script);
    session.output.raw(&script)
}
