//! `matrix ask`.

use std::time::Duration;

use matrix_proto::v1::{Address, AskRequest, AskResponse};
use serde_json::{Value, json};

use crate::content::ContentArgs;
use crate::errors::Error;
use crate::output::Output;
use crate::session::Session;
use crate::{address, content, request};

/// How long a reply may take where the user says nothing: the node's own default.
const REPLY_DEADLINE: Duration = Duration::from_secs(10);

/// What the way there and back may take beside the reply itself.
const WAY: Duration = Duration::from_secs(5);

/// Whom to ask what.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// soul:NAME, matrix:NAME, or NAME for a Soul
    #[arg(value_name = "TO", value_parser = address::parse)]
    recipient: Address,
    #[command(flatten)]
    content: ContentArgs,
    /// Names the question: asked again with the same, a Soul that keeps every turn handles it once
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
}

/// Asks, once: without a request id, a question that is asked again would be handled twice.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let content = args.content.read()?;
    let node = session.node().await?;
    let deadline = node.deadline(REPLY_DEADLINE);
    let place = address::text(&args.recipient);
    let message = AskRequest {
        recipient: Some(args.recipient),
        content: Some(content),
        timeout_ms: timeout_ms(deadline),
        request_id: args.request_id,
    };
    let answer =
        request::once(message, deadline + WAY, async |request| node.souls().ask(request).await).await;
    show(session.output, &answer.map_err(|status| Error::node(status, place))?)
}

/// A deadline as the interface has it.
pub(super) fn timeout_ms(deadline: Duration) -> u32 {
    // 0 would mean the node's default; the flag allows a day at most, which fits.
    u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// Shows an answer.
pub(super) fn show(output: &Output, answer: &AskResponse) -> Result<(), Error> {
    match &answer.reply {
        _ if output.is_json() => output.show(&json(answer), |_| String::new()),
        Some(reply) => content::show(output, reply),
        None => {
            output.note("(no reply)");
            Ok(())
        }
    }
}

fn json(answer: &AskResponse) -> Value {
    json!({ "message_id": answer.message_id, "reply": answer.reply.as_ref().map(content::json) })
}
