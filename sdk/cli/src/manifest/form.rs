//! The form of a manifest, as TOML has it. Keys that are not here are errors.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use matrix_proto::v1::{self, MatrixManifest, SoulManifest};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use toml::Spanned;

use super::MatrixEntry;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    #[serde(default)]
    pub(crate) components: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    pub(crate) soul: Vec<Soul>,
    #[serde(default)]
    pub(crate) matrix: Vec<Matrix>,
}

/// A `[[soul]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Soul {
    pub(super) name: Spanned<String>,
    component: String,
    #[serde(default)]
    config: HashMap<String, Setting>,
    persona: Option<Persona>,
    grants: Option<Grants>,
    limits: Option<Limits>,
    durability: Option<Durability>,
    placement: Option<Placement>,
    learning: Option<Learning>,
    memory: Option<Weights>,
    pub(super) seed: Option<Spanned<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Placement {
    labels: BTreeMap<String, String>,
    apart: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Learning {
    manual: bool,
    every_experiences: u32,
    every_seconds: u32,
    batch: u32,
    mode: Training,
    held_out_percent: Option<u32>,
    metric: String,
    more_is_better: bool,
    tolerance: Option<f64>,
    capture: Vec<Capture>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Capture {
    Conversation,
    Matrix,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
enum Training {
    #[default]
    Beside,
    InPlace,
}

impl From<Learning> for v1::Training {
    fn from(learning: Learning) -> Self {
        let mode = match learning.mode {
            Training::Beside => v1::TrainingMode::Beside,
            Training::InPlace => v1::TrainingMode::InPlace,
        };
        let capture = learning.capture.iter().map(|capture| match capture {
            Capture::Conversation => v1::Capture::Conversation.into(),
            Capture::Matrix => v1::Capture::Matrix.into(),
        });
        Self {
            capture: capture.collect(),
            manual: learning.manual,
            every_experiences: learning.every_experiences,
            every_seconds: learning.every_seconds,
            batch: learning.batch,
            mode: mode.into(),
            held_out_percent: learning.held_out_percent,
            metric: learning.metric,
            more_is_better: learning.more_is_better,
            tolerance: learning.tolerance,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Weights {
    relevance: Option<f32>,
    recency: Option<f32>,
    importance: Option<f32>,
    decay: Option<f32>,
    alike: Option<f32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Persona {
    description: String,
    traits: Vec<String>,
    values: Vec<Weighed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weighed {
    name: String,
    weight: f32,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Grants {
    send: Vec<String>,
    ask: Vec<String>,
    subscribe: Vec<String>,
    buckets: Vec<String>,
    events: bool,
    memory: bool,
    grpc: Vec<String>,
    http: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    memory_bytes: u64,
    call_ms: u32,
    call_fuel: u64,
    mailbox_messages: u32,
    body_bytes: u32,
    messages_per_second: u32,
    kv_per_second: u32,
    log_lines_per_second: u32,
    events_per_second: u32,
    episodes: u32,
    episodes_bytes: u64,
    memory_per_second: u32,
    grpc_per_second: u32,
    http_per_second: u32,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Durability {
    mode: Mode,
    every_turns: u32,
    every_seconds: u32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Checkpoint,
    Turn,
}

impl From<Durability> for v1::Durability {
    fn from(durability: Durability) -> Self {
        let mode = match durability.mode {
            Mode::Checkpoint => v1::DurabilityMode::Checkpoint,
            Mode::Turn => v1::DurabilityMode::Turn,
        };
        let Durability { every_turns, every_seconds, .. } = durability;
        Self { every_turns, every_seconds, mode: mode.into() }
    }
}

/// A `[[matrix]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Matrix {
    pub(super) name: Spanned<String>,
    rules: String,
    #[serde(default)]
    players: Vec<String>,
    #[serde(default, deserialize_with = "json")]
    config: Option<String>,
    pub(super) seed: Option<Spanned<u64>>,
    #[serde(default)]
    tick_deadline_ms: u32,
    #[serde(default)]
    tick_interval_ms: u32,
    #[serde(default)]
    call_fuel: u64,
    #[serde(default)]
    memory_bytes: u64,
    #[serde(default)]
    start: bool,
}

/// A setting of a Soul: text, or what is written as text.
struct Setting(String);

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingVisitor)
    }
}

struct SettingVisitor;

impl Visitor<'_> for SettingVisitor {
    type Value = Setting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number or a boolean")
    }

    fn visit_str<E>(self, text: &str) -> Result<Setting, E> {
        Ok(Setting(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Setting, E> {
        Ok(Setting(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Setting, E> {
        Ok(Setting(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Setting, E> {
        Ok(Setting(value.to_string()))
    }
}

/// A TOML table as JSON text, keys in order.
fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    let value = to_json(toml::Value::Table(table)).map_err(D::Error::custom)?;
    Ok(Some(value.to_string()))
}

/// TOML as JSON; an error where JSON has no such value.
pub(crate) fn to_json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::Number(
            serde_json::Number::from_f64(number)
                .ok_or_else(|| format!("JSON has no number `{number}`").to_lowercase())?,
        ),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(moment) => Value::String(moment.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(to_json).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => {
            let pairs = table.into_iter().map(|(key, value)| Ok((key, to_json(value)?)));
            Value::Object(pairs.collect::<Result<Map<_, _>, String>>()?)
        }
    })
}

impl From<Soul> for SoulManifest {
    fn from(soul: Soul) -> Self {
        Self {
            name: soul.name.into_inner(),
            component: soul.component,
            persona: soul.persona.map(Into::into),
            config: soul.config.into_iter().map(|(key, setting)| (key, setting.0)).collect(),
            grants: soul.grants.map(Into::into),
            limits: soul.limits.map(Into::into),
            durability: soul.durability.map(Into::into),
            seed: soul.seed.map_or(0, Spanned::into_inner),
            placement: soul
                .placement
                .map(|p| v1::Placement { labels: p.labels.into_iter().collect(), apart: p.apart }),
            learning: soul.learning.map(Into::into),
            memory: soul.memory.map(|Weights { relevance, recency, importance, decay, alike }| {
                v1::MemoryWeights { relevance, recency, importance, decay, alike }
            }),
        }
    }
}

impl From<Persona> for v1::Persona {
    fn from(persona: Persona) -> Self {
        let values = persona.values.into_iter();
        Self {
            description: persona.description,
            traits: persona.traits,
            values: values.map(|value| v1::Value { name: value.name, weight: value.weight }).collect(),
        }
    }
}

impl From<Grants> for v1::Grants {
    fn from(grants: Grants) -> Self {
        Self {
            send: grants.send,
            ask: grants.ask,
            subscribe: grants.subscribe,
            buckets: grants.buckets,
            events: grants.events,
            memory: grants.memory,
            grpc: grants.grpc,
            http: grants.http,
        }
    }
}

impl From<Limits> for v1::Limits {
    fn from(limits: Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            call_ms: limits.call_ms,
            call_fuel: limits.call_fuel,
            mailbox_messages: limits.mailbox_messages,
            body_bytes: limits.body_bytes,
            messages_per_second: limits.messages_per_second,
            kv_per_second: limits.kv_per_second,
            log_lines_per_second: limits.log_lines_per_second,
            events_per_second: limits.events_per_second,
            episodes: limits.episodes,
            episodes_bytes: limits.episodes_bytes,
            memory_per_second: limits.memory_per_second,
            grpc_per_second: limits.grpc_per_second,
            http_per_second: limits.http_per_second,
        }
    }
}

impl From<Matrix> for MatrixEntry {
    fn from(matrix: Matrix) -> Self {
        let manifest = MatrixManifest {
            name: matrix.name.into_inner(),
            rules: matrix.rules,
            players: matrix.players,
            config: matrix.config.unwrap_or_default(),
            seed: matrix.seed.map_or(0, Spanned::into_inner),
            tick_deadline_ms: matrix.tick_deadline_ms,
            call_fuel: matrix.call_fuel,
            memory_bytes: matrix.memory_bytes,
            tick_interval_ms: matrix.tick_interval_ms,
        };
        Self { manifest, start: matrix.start }
    }
}
