//! `matrix interceptors`.

mod swap;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use matrix_proto::v1::{Chain, ChainStage, ChainState, GetChainRequest, SetChainRequest, WantedStage};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::content::read_file;
use crate::errors::Error;
use crate::output::Style;
use crate::request;
use crate::session::Session;
use crate::table::Table;
use crate::text::{self, parse_pair};

/// The most bytes in a file with a chain: more than a node takes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What to do with the interceptors of the realm.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Shows the chain, and how it stands on the node
    #[command(visible_alias = "ls")]
    List,
    /// Sets the chain, in place of the one before: one interceptor, or those of a file
    Set {
        /// The component of the only interceptor: a digest or a name that the node knows
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        component: Option<String>,
        /// A setting of it; may be given again
        #[arg(long = "config", value_name = "KEY=VALUE", value_parser = parse_pair, conflicts_with = "file")]
        config: Vec<(String, String)>,
        /// A chain in TOML: one [[interceptor]] each, with `component` and the table `config`
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Takes all interceptors away: every message passes
    Clear,
    /// Puts new code into the place of an interceptor's own, on trial first
    Swap(swap::SwapArgs),
    /// Goes back to the code before the present one
    Rollback(swap::RollbackArgs),
    /// Shows which code an interceptor has had
    History {
        /// What the chain calls it, or its place
        name: String,
    },
}

/// A file with a chain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    interceptor: Vec<Entry>,
}

/// One interceptor of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    component: String,
    #[serde(default)]
    config: HashMap<String, String>,
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    let stages = match command {
        Command::List => {
            let node = session.node().await?;
            let get = async |request| node.interceptors().get_chain(request).await;
            let message = GetChainRequest { revision: 0 };
            return show(session, &node.call("the interceptors", message, get).await?);
        }
        Command::Swap(args) => return swap::swap(args, session).await,
        Command::Rollback(args) => return swap::roll_back(args, session).await,
        Command::History { name } => return swap::history(name, session).await,
        Command::Set { file: Some(file), .. } => read(&file)?,
        Command::Set { component, config, .. } => {
            let component = component.unwrap_or_default();
            vec![WantedStage { component, config: config.into_iter().collect() }]
        }
        Command::Clear => Vec::new(),
    };
    let node = session.node().await?;
    let message = SetChainRequest { stages, request_id: request::id()? };
    let set = async |request| node.interceptors().set_chain(request).await;
    show(session, &node.call("the interceptors", message, set).await?)
}

fn read(path: &Path) -> Result<Vec<WantedStage>, Error> {
    let bytes = read_file(path, FILE_BYTES_MAX)?;
    let place = path.display().to_string();
    let chain: File = std::str::from_utf8(&bytes)
        .map_err(|error| error.to_string())
        .and_then(|text| toml::from_str(text).map_err(|error| error.to_string()))
        .map_err(|problem| Error::local("cannot read the chain", &place, problem))?;
    let wanted = |Entry { component, config }| WantedStage { component, config };
    Ok(chain.interceptor.into_iter().map(wanted).collect())
}

fn show(session: &Session<'_>, chain: &Chain) -> Result<(), Error> {
    session.output.show(&json(chain), |style| human(style, chain))
}

fn state(chain: &Chain) -> &'static str {
    match chain.state() {
        ChainState::Holds => "holds",
        ChainState::Readying => "readying",
        ChainState::Closed => "closed",
        ChainState::Unspecified => "unknown",
    }
}

fn json(chain: &Chain) -> Value {
    let stage = |stage: &ChainStage| {
        json!({
            "name": stage.name,
            "component": stage.component,
            "config": stage.config,
            "running": stage.running,
            "next": stage.next,
            "next_nodes": stage.next_nodes,
            "next_failure": stage.next_failure,
        })
    };
    json!({
        "interceptors": chain.stages.iter().map(stage).collect::<Vec<_>>(),
        "revision": chain.revision,
        "state": state(chain),
        "reason": chain.reason,
    })
}

fn human(style: &Style, chain: &Chain) -> String {
    let mut table = Table::new(["PLACE", "NAME", "RUNNING", "WANTED", "CONFIG"]);
    let mut notes = String::new();
    for (place, stage) in (1..).zip(&chain.stages) {
        let mut config: Vec<_> = stage.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
        config.sort();
        let wanted = if stage.next.is_empty() { &stage.component } else { &stage.next };
        table.row([
            place.to_string(),
            stage.name.clone(),
            if stage.running.is_empty() { "-".to_owned() } else { text::short_digest(&stage.running) },
            text::short_digest(wanted),
            config.join(" "),
        ]);
        if !stage.next.is_empty() {
            let nodes: Vec<_> = stage.next_nodes.iter().map(ToString::to_string).collect();
            notes += &format!("{place} is on trial on node {}\n", nodes.join(", "));
        }
        if !stage.next_failure.is_empty() {
            notes += &format!("{place} judges by its old code: {}\n", text::one_line(&stage.next_failure));
        }
    }
    let table = table.render(style, "no interceptors: every message passes");
    match chain.state() {
        ChainState::Holds => format!("{table}{notes}"),
        ChainState::Readying => format!("{table}{notes}they are being made ready on this node\n"),
        _ => format!("{table}no message passes this node: {}\n", text::one_line(&chain.reason)),
    }
}
