//! What every command is given: the user's choices, the way out, and the way to the node.

use std::time::Duration;

use crate::args::Global;
use crate::connection::{ConnectionArgs, Node};
use crate::environment::Environment;
use crate::errors::Error;
use crate::output::Output;

/// One run of the command.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    /// Where results go.
    pub(crate) output: &'a Output,
    connection: ConnectionArgs,
    environment: &'a Environment,
    deadline: Option<Duration>,
}

impl<'a> Session<'a> {
    /// A session that has not connected.
    pub(crate) fn new(global: Global, environment: &'a Environment, output: &'a Output) -> Self {
        Self { output, connection: global.connection, environment, deadline: global.timeout }
    }

    /// Whether the user named a node on the command line.
    pub(crate) fn names_a_node(&self) -> bool {
        self.connection.names_a_node()
    }

    /// What the environment says.
    pub(crate) fn environment(&self) -> &Environment {
        self.environment
    }

    /// How long an answer may take: as the user said, or else `usual`.
    pub(crate) fn deadline(&self, usual: Duration) -> Duration {
        self.deadline.unwrap_or(usual)
    }

    /// Connects to the node.
    pub(crate) async fn node(&self) -> Result<Node, Error> {
        Node::connect(&self.connection, self.environment, self.deadline).await
    }
}
