//! `matrix cluster`.

use std::path::PathBuf;
use std::time::Duration;

use matrix_proto::v1::InviteRequest;
use serde_json::json;

use super::backup;

use crate::errors::Error;
use crate::session::Session;
use crate::text;

/// What to do with the realm.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Makes an invitation, with which one node can join: `matrixd --join TOKEN`
    Invite {
        /// For how many seconds it is good: up to 30 days [default: an hour]
        #[arg(long, value_name = "SECONDS", value_parser = text::parse_seconds)]
        ttl: Option<Duration>,
    },
    /// Writes everything that the realm holds into one file, for `matrixd --restore FILE`
    ///
    /// It holds what was acknowledged before; components; and the run logs of Matrices that run on the node that is
    /// asked. It holds secrets, too: whoever has it has the realm's data.
    Backup {
        /// The file; one that is there is replaced, once the new one is whole
        file: PathBuf,
        /// Writes nothing, and asks no node: checks the file
        #[arg(long)]
        verify: bool,
    },
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    match command {
        Command::Backup { file, verify: true } => backup::verify(session, &file),
        Command::Backup { file, verify: false } => backup::take(session, &file).await,
        Command::Invite { ttl } => {
            let node = session.node().await?;
            // Less than a second would be the default.
            let ttl_seconds = ttl.map_or(0, |ttl| ttl.as_secs().max(1));
            let invite = async |request| node.cluster().invite(request).await;
            let invitation = node.call("the realm", InviteRequest { ttl_seconds }, invite).await?;
            let json = json!({ "token": invitation.token, "expires_at_ms": invitation.expires_at_ms });
            // The word alone, so that it can be handed to a command.
            session.output.show(&json, |_| format!("{}\n", invitation.token))
        }
    }
}
