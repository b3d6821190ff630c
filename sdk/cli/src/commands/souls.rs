//! `matrix souls`.

mod carry;
mod dead;
mod diff;
mod experience;
mod fork;
mod learning;
mod persona;
mod spawn;
mod swap;

use matrix_proto::v1::{
    CheckpointRequest, CheckpointResponse, DeleteSoulRequest, Durability, DurabilityMode, GetSoulRequest,
    Lesson, ListSoulsRequest, MoveSoulRequest, ProgressRequest, Soul, SoulState, SpawnRequest,
    StopSoulRequest, Training,
};
use serde_json::{Value, json};

use super::{all_pages, show_deleted};
use crate::connection::Node;
use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::table::{self, Table};
use crate::{request, text};

/// What to do with Souls.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Spawns a Soul, or changes one
    Spawn(Box<spawn::Args>),
    /// Lists Souls
    #[command(visible_alias = "ls")]
    List {
        /// Only names that start with this
        #[arg(default_value = "")]
        prefix: String,
    },
    /// Shows one Soul
    Show {
        /// Its name
        #[arg(value_parser = parse_name)]
        name: String,
    },
    /// Stops a Soul; its state is kept
    Stop {
        /// Its name
        #[arg(value_parser = parse_name)]
        name: String,
    },
    /// Stops a Soul and forgets it, state and all
    Rm {
        /// Its name
        #[arg(value_parser = parse_name)]
        name: String,
    },
    /// Moves a Soul to another node
    Move {
        /// Its name
        #[arg(value_parser = parse_name)]
        name: String,
        /// The node's number
        to: u64,
    },
    /// Shows who a Soul is, or makes it somebody else while it lives
    Persona(persona::Args),
    /// Puts new code into the place of a Soul's own while it lives
    Swap(swap::SwapArgs),
    /// Goes back to the code before the present one
    Rollback(swap::RollbackArgs),
    /// Shows which code a Soul has had, and what it has learnt
    History {
        /// Its name
        #[arg(value_parser = parse_name)]
        name: String,
    },
    /// Lets a new Soul begin as another is, or as a lesson left it
    Fork(fork::Args),
    /// Writes a Soul into a file, from which another realm lets it live
    Export(carry::ExportArgs),
    /// Lets the Soul of a file live
    Import(carry::ImportArgs),
    /// Compares the states that a Soul came to by two lessons, by what is held out of its experience
    Diff(diff::Args),
    /// Gives a Soul back the state that it came to by a lesson
    Restore {
        /// Its name
        #[arg(value_parser = parse_name)]
        name: String,
        /// The number of the lesson
        lesson: u64,
    },
    /// Saves the state of a Soul now
    Checkpoint {
        /// Its name
        #[arg(value_parser = parse_name)]
        name: String,
    },
    /// Shows the messages that a Soul did not survive, sends them again, or drops them
    #[command(subcommand)]
    Dead(dead::Command),
    /// Prints what a Soul learns from, a line of JSON each
    Experience(experience::Args),
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    if let Command::Dead(command) = command {
        return dead::run(command, session).await;
    }
    let node = session.node().await?;
    let show = |soul: &Soul| session.output.show(&json(soul), |style| human(style, soul, None));
    match command {
        Command::Dead(_) => Ok(()),
        Command::Experience(args) => experience::run(&node, args, session).await,
        Command::Spawn(args) => show(&spawn(&node, SpawnRequest::try_from(*args)?).await?),
        Command::List { prefix } => list(&node, prefix, session).await,
        Command::Show { name } => {
            let (soul, last) = (get(&node, &name).await?, last_lesson(&node, &name).await);
            let mut shown = json(&soul);
            shown["learning"] = learning::json(&training(&soul), last.as_ref());
            session.output.show(&shown, |style| human(style, &soul, last.as_ref()))
        }
        Command::Diff(args) => diff::run(&node, args, session).await,
        Command::Stop { name } => {
            let message = StopSoulRequest { name: name.clone(), request_id: request::id()? };
            let stop = async |request| node.souls().stop(request).await;
            show(&node.call(format!("soul {name}"), message, stop).await?)
        }
        Command::Rm { name } => {
            let message = DeleteSoulRequest { name: name.clone(), request_id: request::id()? };
            let delete = async |request| node.souls().delete(request).await;
            node.call(format!("soul {name}"), message, delete).await?;
            show_deleted(session, "soul", &name)
        }
        Command::Move { name, to } => {
            let message = MoveSoulRequest { name: name.clone(), node: to, request_id: request::id()? };
            let move_to = async |request| node.souls().r#move(request).await;
            show(&node.call(format!("soul {name}"), message, move_to).await?)
        }
        Command::Persona(args) => persona::run(args, session).await,
        Command::Export(args) => carry::export(&node, args, session).await,
        Command::Import(args) => show(&carry::import(&node, args).await?),
        Command::Fork(args) => show(&fork::run(&node, args).await?),
        Command::Swap(args) => swap::swap(args, session).await,
        Command::Rollback(args) => swap::rollback(args, session).await,
        Command::Restore { name, lesson } => super::train::restore(name, lesson, session).await,
        Command::History { name } => swap::history(name, session).await,
        Command::Checkpoint { name } => {
            let message = CheckpointRequest { name: name.clone(), request_id: request::id()? };
            let checkpoint = async |request| node.souls().checkpoint(request).await;
            let saved = node.call(format!("soul {name}"), message, checkpoint).await?;
            session.output.show(&saved_json(&saved), |style| saved_human(style, &saved))
        }
    }
}

/// Asks for a Soul.
pub(crate) async fn get(node: &Node, name: &str) -> Result<Soul, Error> {
    let message = GetSoulRequest { name: name.to_owned() };
    node.call(format!("soul {name}"), message, async |request| node.souls().get(request).await).await
}

/// What a Soul learnt last. A node of an earlier version knows of no lessons.
async fn last_lesson(node: &Node, name: &str) -> Option<Lesson> {
    let message = ProgressRequest { name: name.to_owned(), after: 0 };
    let progress = async |request| node.learning().progress(request).await;
    node.call(format!("soul {name}"), message, progress).await.ok()?.lessons.pop()
}

/// Spawns a Soul, or changes one.
pub(crate) async fn spawn(node: &Node, message: SpawnRequest) -> Result<Soul, Error> {
    let name = message.manifest.as_ref().map(|manifest| manifest.name.as_str()).unwrap_or_default();
    node.call(format!("soul {name}"), message, async |request| node.souls().spawn(request).await).await
}

async fn list(node: &Node, name_prefix: String, session: &Session<'_>) -> Result<(), Error> {
    let souls = all_pages(async |page| {
        let message = ListSoulsRequest { page: Some(page), name_prefix: name_prefix.clone() };
        let page = node.call("souls", message, async |request| node.souls().list(request).await).await?;
        Ok((page.souls, page.next_page_token))
    })
    .await?;
    session.output.show(&json!({ "souls": souls.iter().map(json).collect::<Vec<_>>() }), |style| {
        let mut table = Table::new([
            "NAME",
            "NODE",
            "STATE",
            "HANDLED",
            "WAITING",
            "CRASHES",
            "MEMORY",
            "COMPONENT",
            "REASON",
        ]);
        for soul in &souls {
            table.row([
                name(soul).to_owned(),
                soul.node.to_string(),
                state_name(soul.state()).to_owned(),
                soul.handled.to_string(),
                soul.mailbox_depth.to_string(),
                soul.crashes.to_string(),
                text::bytes(soul.memory_bytes),
                text::short_digest(&soul.digest),
                soul.reason.clone(),
            ]);
        }
        table.render(style, "no Souls: `matrix souls spawn` or `matrix apply` makes one")
    })
}

/// A Soul's name, with or without `soul:` before it.
pub(super) fn parse_name(text: &str) -> Result<String, String> {
    match text.strip_prefix("soul:").unwrap_or(text) {
        "" => Err("give the name of a Soul".to_owned()),
        name => Ok(name.to_owned()),
    }
}

fn name(soul: &Soul) -> &str {
    soul.manifest.as_ref().map(|manifest| manifest.name.as_str()).unwrap_or_default()
}

fn durability(soul: &Soul) -> &'static str {
    let durability = soul.manifest.as_ref().and_then(|manifest| manifest.durability.as_ref());
    match durability.map(Durability::mode) {
        Some(DurabilityMode::Turn) => "turn",
        _ => "checkpoint",
    }
}

fn training(soul: &Soul) -> Training {
    soul.manifest.as_ref().and_then(|manifest| manifest.learning.clone()).unwrap_or_default()
}

fn json(soul: &Soul) -> Value {
    let manifest = soul.manifest.clone().unwrap_or_default();
    let persona = manifest.persona.unwrap_or_default();
    let (grants, placement) = (manifest.grants.unwrap_or_default(), manifest.placement.unwrap_or_default());
    let values: Vec<_> =
        persona.values.iter().map(|value| json!({ "name": value.name, "weight": value.weight })).collect();
    json!({
        "name": manifest.name,
        "component": manifest.component,
        "persona": { "description": persona.description, "traits": persona.traits, "values": values },
        "config": manifest.config,
        "grants": {
            "send": grants.send,
            "ask": grants.ask,
            "subscribe": grants.subscribe,
            "buckets": grants.buckets,
            "events": grants.events,
            "memory": grants.memory,
            "grpc": grants.grpc,
            "http": grants.http,
        },
        "seed": manifest.seed,
        "durability": durability(soul),
        "learning": learning::json(&training(soul), None),
        "placement": { "labels": placement.labels, "apart": placement.apart },
        "node": soul.node,
        "generation": soul.generation,
        "state": state_name(soul.state()),
        "reason": soul.reason,
        "digest": soul.digest,
        "mailbox_depth": soul.mailbox_depth,
        "handled": soul.handled,
        "crashes": soul.crashes,
        "memory_bytes": soul.memory_bytes,
        "fuel_used": soul.fuel_used,
        "checkpoint_at_ms": soul.checkpoint_at_ms,
        "schema": soul.schema,
        "again_at_ms": soul.again_at_ms,
        "crashes_recent": soul.crashes_recent,
    })
}

fn human(style: &Style, soul: &Soul, last: Option<&Lesson>) -> String {
    let manifest = soul.manifest.clone().unwrap_or_default();
    let persona = manifest.persona.unwrap_or_default();
    let grants = manifest.grants.unwrap_or_default();
    let mut config: Vec<_> = manifest.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
    config.sort();
    let values: Vec<_> =
        persona.values.iter().map(|value| format!("{} {}", value.name, value.weight)).collect();
    let [how, judged, lesson] = learning::human(&training(soul), last);
    table::fields(
        style,
        [
            ("name", manifest.name),
            ("node", soul.node.to_string()),
            ("state", state_name(soul.state()).to_owned()),
            ("reason", soul.reason.clone()),
            ("component", soul.digest.clone()),
            ("persona", persona.description),
            ("traits", persona.traits.join(", ")),
            ("values", values.join(", ")),
            ("config", config.join(" ")),
            ("may send", grants.send.join(", ")),
            ("may ask", grants.ask.join(", ")),
            ("may subscribe", grants.subscribe.join(", ")),
            ("buckets", grants.buckets.join(", ")),
            ("remembers", if grants.memory { "granted" } else { "" }.to_owned()),
            ("may call", grants.grpc.join(", ")),
            ("may visit", grants.http.join(", ")),
            ("seed", manifest.seed.to_string()),
            ("durability", durability(soul).to_owned()),
            how,
            judged,
            lesson,
            ("handled", soul.handled.to_string()),
            ("waiting", soul.mailbox_depth.to_string()),
            ("crashes", crashes(soul)),
            (
                "tried again",
                if soul.again_at_ms == 0 { String::new() } else { text::moment(soul.again_at_ms) },
            ),
            ("memory", text::bytes(soul.memory_bytes)),
            ("fuel", soul.fuel_used.to_string()),
            ("saved", text::moment(soul.checkpoint_at_ms)),
            ("schema", soul.schema.clone()),
        ],
    )
}

/// All crashes, and how many of them count now.
fn crashes(soul: &Soul) -> String {
    match soul.crashes_recent {
        0 => soul.crashes.to_string(),
        recent => format!("{}, {recent} of them lately", soul.crashes),
    }
}

fn saved_json(saved: &CheckpointResponse) -> Value {
    json!({ "schema": saved.schema, "size": saved.size, "digest": saved.digest })
}

fn saved_human(style: &Style, saved: &CheckpointResponse) -> String {
    let (schema, digest) = (text::one_line(&saved.schema), text::one_line(&saved.digest));
    format!("{} {schema}, {}, {digest}\n", style.green("saved"), text::bytes(saved.size))
}

const fn state_name(state: SoulState) -> &'static str {
    match state {
        SoulState::Unspecified => "-",
        SoulState::Starting => "starting",
        SoulState::Running => "running",
        SoulState::Passive => "passive",
        SoulState::BackingOff => "backing-off",
        SoulState::Stopped => "stopped",
        SoulState::Failed => "failed",
    }
}
