//! `matrix events`.

use matrix_proto::v1::subscribe_response::Item;
use matrix_proto::v1::{Event, Missed, StatusRequest, SubscribeRequest};
use serde_json::{Value, json};

use crate::address;
use crate::connection::{CALL_DEADLINE, Node};
use crate::content;
use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::text;

/// Which events.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Go on with the events that follow
    #[arg(short, long)]
    follow: bool,
    /// The first sequence number wanted [default: everything that is kept; with --follow, from now on]
    #[arg(long, value_name = "N")]
    from: Option<u64>,
    /// Only kinds that start with KIND, such as `soul.` or `matrix.signal`; may be given again
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Only what concerns SOURCE: soul:NAME, matrix:NAME, node, or a prefix with a star; may be given again
    #[arg(long = "source", value_name = "SOURCE", value_parser = address::parse_source)]
    sources: Vec<String>,
}

/// Shows events: with `--follow` until it is interrupted, else those that there are.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    if args.follow { follow(args, &node, session).await } else { past(args, &node, session).await }
}

async fn follow(args: Args, node: &Node, session: &Session<'_>) -> Result<(), Error> {
    let request = SubscribeRequest { from: args.from, kinds: args.kinds, sources: args.sources };
    let mut items =
        node.stream("events", request, async |request| node.events().subscribe(request).await).await?;
    while let Some(response) = items.message().await.map_err(|status| Error::node(status, "events"))? {
        show(session, response.item.as_ref())?;
    }
    Ok(())
}

/// Shows the events up to the latest one. The filter is applied here, and not by the node, for the
/// latest event has to be seen to know that it is the end.
async fn past(args: Args, node: &Node, session: &Session<'_>) -> Result<(), Error> {
    let status =
        node.call("the node", StatusRequest {}, async |request| node.cluster().status(request).await).await?;
    let (first, last) = (args.from.unwrap_or(0), status.event_sequence);
    if last == 0 || first > last {
        return Ok(());
    }
    let request = SubscribeRequest { from: Some(first), kinds: Vec::new(), sources: Vec::new() };
    let mut items =
        node.stream("events", request, async |request| node.events().subscribe(request).await).await?;
    let patience = node.deadline(CALL_DEADLINE);
    loop {
        let item = tokio::time::timeout(patience, items.message()).await.map_err(|_| Error::Deadline {
            what: format!("the node kept event {last} back"),
            change: "give it more time (--timeout SECONDS), or use --follow".to_owned(),
        })?;
        let Some(response) = item.map_err(|status| Error::node(status, "events"))? else { return Ok(()) };
        let seen = match &response.item {
            Some(Item::Event(event)) => event.sequence,
            Some(Item::Missed(missed)) => missed.to,
            None => continue,
        };
        if passes(&args, response.item.as_ref()) && seen <= last {
            show(session, response.item.as_ref())?;
        }
        if seen >= last {
            return Ok(());
        }
    }
}

/// The node's filter: of each kind of filter one must pass, or there is none. Gaps always pass.
fn passes(args: &Args, item: Option<&Item>) -> bool {
    let Some(Item::Event(event)) = item else { return true };
    let source = |wanted: &String| match wanted.strip_suffix('*') {
        Some(prefix) => event.source.starts_with(prefix),
        None => event.source == *wanted,
    };
    (args.kinds.is_empty() || args.kinds.iter().any(|kind| event.kind.starts_with(kind.as_str())))
        && (args.sources.is_empty() || args.sources.iter().any(source))
}

fn show(session: &Session<'_>, item: Option<&Item>) -> Result<(), Error> {
    match item {
        Some(Item::Event(event)) => session.output.show(&json(event), |style| human(style, event)),
        Some(Item::Missed(Missed { from, to })) => {
            session.output.show(&json!({ "missed": { "from": from, "to": to } }), |style| {
                format!("{}\n", style.yellow(&format!("(events {from} to {to} are lost)")))
            })
        }
        None => Ok(()),
    }
}

fn json(event: &Event) -> Value {
    json!({
        "sequence": event.sequence,
        "at_ms": event.at_ms,
        "kind": event.kind,
        "source": event.source,
        "content": event.content.as_ref().map(content::json),
    })
}

fn human(style: &Style, event: &Event) -> String {
    let head = style.dim(&format!("{} {}", event.sequence, text::moment(event.at_ms)));
    let kind = style.bold(&text::one_line(&event.kind));
    let body = event.content.as_ref().map(content::line).unwrap_or_default();
    format!("{head} {kind} {} {body}", text::one_line(&event.source)).trim_end().to_owned() + "\n"
}
