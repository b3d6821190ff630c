//! `matrix send`.

use matrix_proto::v1::{Address, SendRequest};
use serde_json::json;

use crate::content::ContentArgs;
use crate::errors::Error;
use crate::session::Session;
use crate::{address, request};

/// Whom to send what.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// soul:NAME, matrix:NAME, topic:NAME, or NAME for a Soul
    #[arg(value_name = "TO", value_parser = address::parse)]
    recipient: Address,
    #[command(flatten)]
    content: ContentArgs,
    /// Names the message: sent again with the same, a Soul that keeps every turn handles it once [default: a new one]
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Sends a message; it is done once a mailbox has accepted it, or a Soul that keeps every turn has kept this one.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let content = args.content.read()?;
    let node = session.node().await?;
    let place = address::text(&args.recipient);
    let request_id = args.request_id.map_or_else(request::id, Ok)?;
    let message = SendRequest { recipient: Some(args.recipient), content: Some(content), request_id };
    let sent = node.call(&place, message, async |request| node.souls().send(request).await).await?;
    let json = json!({ "message_id": sent.message_id, "recipient": place });
    session.output.show(&json, |style| format!("{} {}\n", style.green("sent"), sent.message_id))
}
