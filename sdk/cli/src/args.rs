//! The command line.

use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::commands::{
    access, apply, ask, build, chat, check, cluster, completion, components, dev, events, interceptors, kv,
    logs, matrices, memory, new, nodes, send, souls, teach, test, top, train,
};
use crate::connection::ConnectionArgs;
use crate::errors::EXIT_CODES_HELP;
use crate::output::Format;
use crate::text;

/// Deploys to, talks to and watches Matrix OS nodes
#[derive(Debug, Parser)]
#[command(name = "matrix", version, after_help = EXIT_CODES_HELP, propagate_version = true)]
pub(crate) struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// Which node.
    #[command(flatten, next_help_heading = "Connection")]
    pub(crate) connection: ConnectionArgs,
    /// For whom results are written
    #[arg(long, global = true, value_enum, default_value = "human", help_heading = "Output")]
    pub(crate) output: Format,
    /// How long the node may take to answer a call, in seconds [default: 30, longer where work waits]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = text::parse_seconds, help_heading = "Connection")]
    pub(crate) timeout: Option<Duration>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a folder to write a component in
    New(new::Args),
    /// Builds the component of such a folder
    Build(build::Args),
    /// Plays scenarios against a component, on a node of their own
    Test(test::Args),
    /// Builds on each change, and gives the running node the new code
    Dev(dev::Args),
    /// Shows how the node is
    Status,
    /// Lists, drains and removes the nodes of the realm
    #[command(subcommand, visible_alias = "node")]
    Nodes(nodes::Command),
    /// Invites nodes into the realm
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Says who may do what, and shows what was changed
    #[command(subcommand)]
    Access(access::Command),
    /// Makes the node hold what a manifest says
    Apply(apply::Args),
    /// Says whether a component keeps what its world promises
    Check(check::Args),
    /// Uploads, lists and removes components
    #[command(subcommand, visible_alias = "component")]
    Components(components::Command),
    /// Spawns, lists and stops Souls
    #[command(subcommand, visible_alias = "soul")]
    Souls(souls::Command),
    /// Shows and changes what Souls remember
    #[command(subcommand)]
    Memory(memory::Command),
    /// Sends a message
    Send(send::Args),
    /// Sends a message and shows the reply
    Ask(ask::Args),
    /// Talks with a Soul, a line at a time
    Chat(chat::Args),
    /// Adds to what a Soul learns from
    Teach(teach::Args),
    /// Trains a Soul on what it was taught, or shows how its training goes
    Train(train::Args),
    /// Says which interceptors messages pass
    #[command(subcommand, visible_alias = "interceptor")]
    Interceptors(interceptors::Command),
    /// Creates, runs and looks at Matrices
    #[command(subcommand, visible_alias = "matrix")]
    Matrices(matrices::Command),
    /// Shows who uses most: Souls, Matrices, interceptors
    Top(top::Args),
    /// Lists all limits, as they hold on the node
    Limits,
    /// Shows what happens on the node
    Events(events::Args),
    /// Shows what Souls, rules and the node write
    Logs(logs::Args),
    /// Reads and writes the replicated KV
    #[command(subcommand)]
    Kv(kv::Command),
    /// Prints the completion script of a shell
    Completion(completion::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
