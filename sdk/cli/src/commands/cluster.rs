//! `matrix cluster`.

use std::time::Duration;

use matrix_proto::v1::InviteRequest;
use serde_json::json;

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
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    match command {
        Command::Invite { ttl } => {
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
