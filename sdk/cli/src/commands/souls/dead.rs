//! `matrix souls dead`: messages that Souls did not survive.

use matrix_proto::v1::{DeadLetter, DeadLettersRequest, DropRequest, ResendRequest};
use serde_json::{Value, json};

use super::super::all_pages;
use crate::connection::Node;
use crate::errors::Error;
use crate::session::Session;
use crate::table::Table;
use crate::{address, content, request, text};

/// What to do with dead letters.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Lists the messages that a Soul did not survive, oldest first
    #[command(visible_alias = "ls")]
    List {
        /// The Soul's name
        #[arg(value_parser = super::parse_name)]
        name: String,
    },
    /// Sends some again
    Resend(Which),
    /// Forgets some
    Drop(Which),
}

/// Which dead letters.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Which {
    /// The Soul's name
    #[arg(value_parser = super::parse_name)]
    name: String,
    /// The dead letters, as `list` shows them
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    match command {
        Command::List { name } => {
            let letters = letters(&node, &name).await?;
            let shown = json!({ "letters": letters.iter().map(json).collect::<Vec<_>>() });
            session.output.show(&shown, |style| {
                let mut table = Table::new(["ID", "DIED", "SENDER", "ATTEMPTS", "REASON", "MESSAGE"]);
                for letter in &letters {
                    table.row([
                        letter.id.clone(),
                        text::moment(letter.at_ms),
                        sender(letter),
                        letter.attempts.to_string(),
                        text::one_line(&letter.reason),
                        content::line(&letter.content.clone().unwrap_or_default()),
                    ]);
                }
                table.render(style, "no dead letters")
            })
        }
        Command::Resend(which) => {
            each(&node, which, session, "resent", async |name, id| {
                let (place, request_id) = (format!("dead letter {id} of soul {name}"), request::id()?);
                let message = ResendRequest { name, id, request_id };
                node.call(place, message, async |request| node.souls().resend(request).await).await.map(drop)
            })
            .await
        }
        Command::Drop(which) => {
            each(&node, which, session, "dropped", async |name, id| {
                let (place, request_id) = (format!("dead letter {id} of soul {name}"), request::id()?);
                let message = DropRequest { name, id, request_id };
                node.call(place, message, async |request| node.souls().drop(request).await).await.map(drop)
            })
            .await
        }
    }
}

/// Does the same to each, and says what was done.
async fn each(
    node: &Node,
    Which { name, ids, all }: Which,
    session: &Session<'_>,
    done: &str,
    mut act: impl AsyncFnMut(String, String) -> Result<(), Error>,
) -> Result<(), Error> {
    let ids =
        if all { letters(node, &name).await?.into_iter().map(|letter| letter.id).collect() } else { ids };
    for id in &ids {
        act(name.clone(), id.clone()).await?;
    }
    session.output.show(&json!({ "name": name, "letters": ids }), |style| {
        let lines = ids.iter().map(|id| format!("{} {id}\n", style.green(done)));
        lines.collect()
    })
}

async fn letters(node: &Node, name: &str) -> Result<Vec<DeadLetter>, Error> {
    all_pages(async |page| {
        let message = DeadLettersRequest { name: name.to_owned(), page: Some(page) };
        let list = async |request| node.souls().dead_letters(request).await;
        let page = node.call(format!("soul {name}"), message, list).await?;
        Ok((page.letters, page.next_page_token))
    })
    .await
}

fn sender(letter: &DeadLetter) -> String {
    letter.sender.as_ref().map(address::text).unwrap_or_default()
}

fn json(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "message_id": letter.message_id,
        "sender": sender(letter),
        "content": letter.content.as_ref().map(content::json),
        "reason": letter.reason,
        "attempts": letter.attempts,
        "at_ms": letter.at_ms,
        "trace_id": letter.trace_id,
    })
}
