//! `matrix nodes`.

use matrix_proto::v1::{DrainRequest, ListNodesRequest, Node as Listed, RemoveRequest, ResumeRequest};
use serde_json::{Value, json};

use super::all_pages;
use crate::connection::Node;
use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::table::{self, Table};

/// What to do with the nodes of the realm.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Lists the nodes of the realm
    #[command(visible_alias = "ls")]
    List {
        /// Shows those that were removed too
        #[arg(long)]
        removed: bool,
    },
    /// Moves away what a node runs, and gives it nothing new
    Drain {
        /// Its number
        number: u64,
    },
    /// Gives a node that was drained work again
    Resume {
        /// Its number
        number: u64,
    },
    /// Takes a node out of the realm, for good
    Remove {
        /// Its number
        number: u64,
        /// Takes it out although it still runs something, which then comes up elsewhere from its last checkpoint
        #[arg(long)]
        force: bool,
    },
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let show = |listed: &Listed| session.output.show(&json(listed), |style| human(style, listed));
    match command {
        Command::List { removed } => list(&node, removed, session).await,
        Command::Drain { number } => {
            let drain = async |request| node.cluster().drain(request).await;
            show(&node.call(format!("node {number}"), DrainRequest { node: number }, drain).await?)
        }
        Command::Resume { number } => {
            let resume = async |request| node.cluster().resume(request).await;
            show(&node.call(format!("node {number}"), ResumeRequest { node: number }, resume).await?)
        }
        Command::Remove { number, force } => {
            let message = RemoveRequest { node: number, force };
            let remove = async |request| node.cluster().remove(request).await;
            show(&node.call(format!("node {number}"), message, remove).await?)
        }
    }
}

async fn list(node: &Node, removed: bool, session: &Session<'_>) -> Result<(), Error> {
    let nodes = all_pages(async |page| {
        let message = ListNodesRequest { page: Some(page), removed };
        let page =
            node.call("nodes", message, async |request| node.cluster().list_nodes(request).await).await?;
        Ok((page.nodes, page.next_page_token))
    })
    .await?;
    session.output.show(&json!({ "nodes": nodes.iter().map(json).collect::<Vec<_>>() }), |style| {
        let mut table =
            Table::new(["NODE", "NAME", "STATE", "ROLE", "ALIVE", "LINK", "LAG", "VERSION", "PEER"]);
        for node in &nodes {
            table.row([
                node.number.to_string(),
                node.name.clone(),
                node.state.clone(),
                node.role.clone(),
                if node.alive { "yes" } else { "no" }.to_owned(),
                link(node),
                node.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
                node.version.clone(),
                node.peer.clone(),
            ]);
        }
        table.render(style, "no nodes")
    })
}

/// How the links to a node are: `3 down` of the lanes are, while others stand.
fn link(node: &Listed) -> String {
    match (node.connected, node.lanes_down.len()) {
        (false, _) => "down".to_owned(),
        (true, 0) => "up".to_owned(),
        (true, down) => format!("{down} down"),
    }
}

fn json(node: &Listed) -> Value {
    json!({
        "number": node.number,
        "name": node.name,
        "peer": node.peer,
        "addresses": node.addresses,
        "labels": node.labels,
        "state": node.state,
        "role": node.role,
        "alive": node.alive,
        "connected": node.connected,
        "lanes_down": node.lanes_down,
        "lag": node.lag,
        "version": node.version,
        "joined_at_ms": node.joined_at_ms,
    })
}

fn human(style: &Style, node: &Listed) -> String {
    let labels: Vec<_> = node.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    table::fields(
        style,
        [
            ("node", node.number.to_string()),
            ("name", node.name.clone()),
            ("state", node.state.clone()),
            ("role", node.role.clone()),
            ("alive", if node.alive { "yes" } else { "no" }.to_owned()),
            ("labels", labels.join(", ")),
            ("peer", node.peer.clone()),
            ("addresses", node.addresses.join(", ")),
        ],
    )
}
