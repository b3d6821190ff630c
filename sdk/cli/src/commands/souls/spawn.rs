//! The arguments of `matrix souls spawn`.

use matrix_proto::v1::{
    Durability, DurabilityMode, Grants, Limits, Persona, Placement, SoulManifest, SpawnRequest, Value,
};

use crate::errors::Error;
use crate::request;
use crate::text::parse_pair;

/// What of a Soul outlives a crash of its node.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Mode {
    /// Its last checkpoint
    #[default]
    Checkpoint,
    /// Every turn
    Turn,
}

/// What the Soul is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Its name: 1 to 63 of a-z, 0-9 and -
    #[arg(value_parser = super::parse_name)]
    name: String,
    /// Its component: a digest or a name that the node knows
    #[arg(long, value_name = "COMPONENT")]
    component: String,
    /// A setting of its own; may be given again
    #[arg(long = "config", value_name = "KEY=VALUE", value_parser = parse_pair)]
    config: Vec<(String, String)>,
    /// Its source of chance, below 2^53 [default: made from its name]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    seed: u64,
    /// Who it is, in a sentence or two
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Persona"
    )]
    description: String,
    /// A word that describes it; may be given again
    #[arg(long = "trait", value_name = "WORD", help_heading = "Persona")]
    traits: Vec<String>,
    /// What it seeks (up to 1) or shuns (down to -1); may be given again
    #[arg(long = "value", value_name = "NAME=WEIGHT", value_parser = parse_value, help_heading = "Persona")]
    values: Vec<Value>,
    /// Whom it may send to, such as soul:shop-* or topic:news; may be given again
    #[arg(long = "send", value_name = "ADDRESS", help_heading = "Grants")]
    send: Vec<String>,
    /// Whom it may ask; may be given again
    #[arg(long = "ask", value_name = "ADDRESS", help_heading = "Grants")]
    ask: Vec<String>,
    /// A topic that it may subscribe to; may be given again
    #[arg(long = "subscribe", value_name = "TOPIC", help_heading = "Grants")]
    subscribe: Vec<String>,
    /// A bucket of the KV that it may read (r) or write too (rw); may be given again
    #[arg(long = "bucket", value_name = "NAME:r|rw", help_heading = "Grants")]
    buckets: Vec<String>,
    /// It may publish events
    #[arg(long, help_heading = "Grants")]
    events: bool,
    /// It has a memory
    #[arg(long, help_heading = "Grants")]
    memory: bool,
    /// A gRPC service of the node's configuration that it may call; may be given again
    #[arg(long = "grpc", value_name = "ENDPOINT", help_heading = "Grants")]
    grpc: Vec<String>,
    /// A host that it may send requests to, of those that the node allows; may be given again
    #[arg(long = "http", value_name = "HOST", help_heading = "Grants")]
    http: Vec<String>,
    /// Episodes that it remembers [default: the node's]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    episodes: Option<u32>,
    /// Its linear memory, in bytes [default: the node's]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    memory_bytes: Option<u64>,
    /// How long one call into it may take, in milliseconds [default: the node's]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    call_ms: Option<u32>,
    /// Messages that its mailbox holds [default: the node's]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    mailbox_messages: Option<u32>,
    /// What of it outlives a crash of its node: its last checkpoint, or every turn
    #[arg(long, value_name = "MODE", value_enum, default_value_t, help_heading = "Durability")]
    durability: Mode,
    /// Save its state after so many turns [default: the node's]
    #[arg(long, value_name = "N", help_heading = "Durability")]
    every_turns: Option<u32>,
    /// Save its state after so many seconds [default: the node's]
    #[arg(long, value_name = "N", help_heading = "Durability")]
    every_seconds: Option<u32>,
    #[command(flatten)]
    learning: super::learning::LearningArgs,
    /// A label that its node must have; can be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair, help_heading = "Placement")]
    on: Vec<(String, String)>,
    /// A group whose Souls share no node, as long as there are nodes enough
    #[arg(long, value_name = "GROUP", help_heading = "Placement")]
    apart: Option<String>,
}

impl TryFrom<Args> for SpawnRequest {
    type Error = Error;

    fn try_from(args: Args) -> Result<Self, Error> {
        let manifest = SoulManifest {
            name: args.name,
            component: args.component,
            persona: Some(Persona {
                description: args.description,
                traits: args.traits,
                values: args.values,
            }),
            config: args.config.into_iter().collect(),
            grants: Some(Grants {
                send: args.send,
                ask: args.ask,
                subscribe: args.subscribe,
                buckets: args.buckets,
                events: args.events,
                memory: args.memory,
                grpc: args.grpc,
                http: args.http,
            }),
            limits: Some(Limits {
                memory_bytes: args.memory_bytes.unwrap_or(0),
                call_ms: args.call_ms.unwrap_or(0),
                mailbox_messages: args.mailbox_messages.unwrap_or(0),
                episodes: args.episodes.unwrap_or(0),
                ..Limits::default()
            }),
            durability: Some(Durability {
                every_turns: args.every_turns.unwrap_or(0),
                every_seconds: args.every_seconds.unwrap_or(0),
                mode: match args.durability {
                    Mode::Checkpoint => DurabilityMode::Checkpoint,
                    Mode::Turn => DurabilityMode::Turn,
                }
                .into(),
            }),
            seed: args.seed,
            placement: Some(Placement {
                labels: args.on.into_iter().collect(),
                apart: args.apart.unwrap_or_default(),
            }),
            learning: Some(args.learning.into()),
            memory: None,
        };
        Ok(Self { manifest: Some(manifest), request_id: request::id()? })
    }
}

pub(super) fn parse_value(text: &str) -> Result<Value, String> {
    let (name, weight) = parse_pair(text)?;
    let weight = weight.parse().ok().filter(|weight| (-1.0..=1.0).contains(weight));
    Ok(Value { name, weight: weight.ok_or("a weight is from -1 to 1")? })
}
