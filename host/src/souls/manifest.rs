//! What a Soul is, as its author wrote it: checked once, when it is spawned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::training::Training;
use crate::capabilities::grants::{GRANTS_MAX, Grants};
use crate::ids::{Digest, SoulName};
use crate::memory::Weights;
use crate::runtime::limits::{LimitError, Limits, LimitsConfig};

/// The most bytes in a persona's description.
pub const DESCRIPTION_BYTES_MAX: usize = 4096;
/// The most traits, and the most values, of a persona.
pub const TRAITS_MAX: usize = 64;
/// The most settings of a Soul.
pub const SETTINGS_MAX: usize = 256;
/// The most bytes in all settings of a Soul together.
pub const SETTINGS_BYTES_MAX: usize = 64 * 1024;
/// The most labels that a Soul's node must have.
pub const LABELS_MAX: usize = 32;
/// The most bytes in the name of a label, in its value, and in the name of a group.
pub const LABEL_BYTES_MAX: usize = 128;
/// Seeds are below this, so that every guest language holds them exactly.
pub const SEED_MAX: u64 = 1 << 53;

/// Who a Soul is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Persona {
    /// In a sentence or two.
    pub description: String,
    /// Words that describe it.
    pub traits: Vec<String>,
    /// What it seeks and shuns: a name, and a weight from -1 to 1.
    pub values: Vec<(String, f32)>,
}

/// What outlives a crash of the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The last checkpoint.
    #[default]
    Checkpoint,
    /// Every turn that anybody can know of.
    Turn,
}

/// When a Soul's state is saved: whichever comes first. 0 means the node's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Durability {
    /// What outlives a crash. Left out where it is the default, so that nodes of an earlier version read the record.
    #[serde(skip_serializing_if = "Mode::is_default")]
    pub mode: Mode,
    /// After this many turns.
    pub every_turns: u32,
    /// After this many seconds.
    pub every_seconds: u32,
}

impl Mode {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a Soul may live.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Placement {
    /// Labels that its node must have.
    pub labels: BTreeMap<String, String>,
    /// A group whose Souls share no node, as long as there are nodes enough; empty: none.
    pub apart: String,
}

/// What a Soul is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Unique in the realm.
    pub name: SoulName,
    /// The code.
    pub component: Digest,
    /// Who it is.
    pub persona: Persona,
    /// Its own settings.
    pub config: BTreeMap<String, String>,
    /// What it may reach.
    pub grants: Grants,
    /// What it may use; 0 means the node's default.
    pub limits: Limits,
    /// When its state is saved.
    pub durability: Durability,
    /// Its source of chance, below 2^53.
    pub seed: u64,
    /// Where it may live.
    #[serde(default)]
    pub placement: Placement,
    /// How it learns. Left out where it says nothing, so that nodes of an earlier version read the record.
    #[serde(default, skip_serializing_if = "Training::is_default")]
    pub learning: Training,
    /// What counts how much when it recalls. Left out where it is the default, so that nodes of an earlier version read
    /// the record.
    #[serde(default, skip_serializing_if = "Weights::are_default")]
    pub memory: Weights,
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ManifestError {
    /// A limit is above the node's.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A field is longer than it may be, or out of its range.
    #[error("`{field}` {problem}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

impl Manifest {
    /// Checks every bound; returns the limits that hold.
    pub fn check(&self, limits: &LimitsConfig) -> Result<Limits, ManifestError> {
        let persona = &self.persona;
        at_most("persona.description", persona.description.len(), DESCRIPTION_BYTES_MAX, "bytes")?;
        at_most("persona.traits", persona.traits.len(), TRAITS_MAX, "traits")?;
        at_most("persona.values", persona.values.len(), TRAITS_MAX, "values")?;
        let words = persona.traits.iter().chain(persona.values.iter().map(|(name, _)| name));
        at_most("persona", words.map(String::len).sum(), SETTINGS_BYTES_MAX, "bytes")?;
        if persona.values.iter().any(|(_, weight)| !(-1.0..=1.0).contains(weight)) {
            return Err(field("persona.values", "has a weight that is not from -1 to 1"));
        }
        at_most("config", self.config.len(), SETTINGS_MAX, "settings")?;
        let bytes = self.config.iter().map(|(key, value)| key.len() + value.len()).sum();
        at_most("config", bytes, SETTINGS_BYTES_MAX, "bytes")?;
        at_most("grants.send", self.grants.send.len(), GRANTS_MAX, "grants")?;
        at_most("grants.ask", self.grants.ask.len(), GRANTS_MAX, "grants")?;
        at_most("grants.subscribe", self.grants.subscribe.len(), GRANTS_MAX, "grants")?;
        at_most("grants.buckets", self.grants.buckets.len(), GRANTS_MAX, "grants")?;
        at_most("grants.grpc", self.grants.grpc.len(), GRANTS_MAX, "grants")?;
        at_most("grants.http", self.grants.http.len(), GRANTS_MAX, "grants")?;
        if self.grants.buckets.iter().any(|grant| grant.bucket.starts_with("sys/")) {
            return Err(field("grants.buckets", "names a bucket under `sys/`, which is the node's own"));
        }
        let labels = &self.placement.labels;
        at_most("placement.labels", labels.len(), LABELS_MAX, "labels")?;
        let texts = labels.iter().flat_map(|(name, value)| [name, value]).chain([&self.placement.apart]);
        at_most(
            "placement",
            texts.map(String::len).max().unwrap_or(0),
            LABEL_BYTES_MAX,
            "bytes in one text",
        )?;
        self.learning.check()?;
        self.memory.check().map_err(|(name, problem)| field(name, problem))?;
        if self.seed >= SEED_MAX {
            return Err(field("seed", "must be below 2^53"));
        }
        Ok(limits.resolve(&self.limits)?)
    }

    /// The same Soul with the code and the persona of another.
    pub(super) fn with_code_and_persona_of(&self, other: &Self) -> Self {
        Self { component: other.component, persona: other.persona.clone(), ..self.clone() }
    }

    /// A seed for a Soul whose author gave none: the same for the same name.
    pub fn seed_of(name: &SoulName) -> u64 {
        let digest = Digest::of(name.as_str().as_bytes());
        let word = digest.as_bytes().iter().take(8).fold(0, |sum: u64, &byte| sum << 8 | u64::from(byte));
        word % SEED_MAX
    }
}

fn at_most(name: &'static str, actual: usize, max: usize, unit: &str) -> Result<(), ManifestError> {
    if actual <= max {
        return Ok(());
    }
    Err(field(name, &format!("has {actual} {unit}, and {max} are allowed")))
}

fn field(field: &'static str, problem: &str) -> ManifestError {
    ManifestError::Field { field, problem: problem.to_owned() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn manifest(name: &str) -> Manifest {
        let name: SoulName = name.parse().expect("a name");
        Manifest {
            component: Digest::of(b""),
            persona: Persona::default(),
            config: BTreeMap::new(),
            grants: Grants::default(),
            limits: LimitsConfig::ASK_NOTHING,
            durability: Durability::default(),
            seed: Manifest::seed_of(&name),
            placement: Placement::default(),
            learning: Training::default(),
            memory: Weights::default(),
            name,
        }
    }

    #[test]
    fn a_plain_manifest_gets_the_defaults() {
        let limits = LimitsConfig::default();
        assert_eq!(manifest("neo").check(&limits), Ok(limits.default));
    }

    #[test]
    fn each_bound_is_refused_by_name() {
        let limits = LimitsConfig::default();
        let refuse = |change: fn(&mut Manifest)| {
            let mut manifest = manifest("neo");
            change(&mut manifest);
            manifest.check(&limits).expect_err("out of bounds").to_string()
        };
        let text = refuse(|m| m.persona.description = "x".repeat(4097));
        assert_eq!(text, "`persona.description` has 4097 bytes, and 4096 are allowed");
        assert!(refuse(|m| m.persona.traits = vec![String::new(); 65]).contains("persona.traits"));
        assert!(refuse(|m| m.persona.values = vec![("x".into(), f32::NAN)]).contains("persona.values"));
        assert!(refuse(|m| m.config = [("k".into(), "v".repeat(65_536))].into()).contains("`config`"));
        assert!(refuse(|m| m.seed = SEED_MAX).contains("`seed`"));
        assert!(refuse(|m| m.memory.decay = f32::NAN).contains("`memory.decay`"));
        assert!(refuse(|m| m.memory.alike = 1.5).contains("`memory.alike`"));
        assert!(refuse(|m| m.memory.recency = -1.0).contains("`memory.recency`"));
        assert!(refuse(|m| m.limits.call_ms = 60_001).contains("limits.call_ms"));
        let text = refuse(|m| m.grants.buckets = vec!["sys/souls:r".parse().expect("a grant")]);
        assert!(text.contains("sys/"));
    }
}
