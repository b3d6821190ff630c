//! What a Matrix is, as its author wrote it: checked once, when it is created.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::error::MatrixError;
use super::host::MatricesConfig;
use crate::ids::{Digest, MatrixName, SoulName};
use crate::runtime::limits::{LimitError, Limits, LimitsConfig};

/// The most players of a Matrix: their names, the longest ones, still fit into one value of the KV.
pub const PLAYERS_MAX: usize = 10_000;
/// The most bytes in the rules' configuration.
pub const CONFIG_BYTES_MAX: usize = 64 * 1024;
/// Seeds are below this, so that every guest language holds them exactly.
pub const SEED_MAX: u64 = 1 << 53;
/// The longest time that players may be given to answer a tick, in milliseconds: a large model may think for
/// minutes, and whoever needs longer should answer by message.
pub const TICK_DEADLINE_MS_MAX: u32 = 600_000;
/// The longest time between two ticks, in milliseconds: what happens less often needs no tick.
pub const TICK_INTERVAL_MS_MAX: u32 = 3_600_000;

/// What a Matrix is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixManifest {
    /// Unique in the realm.
    pub name: MatrixName,
    /// The rules' component.
    pub rules: Digest,
    /// The Souls that play; a player is its place in this list.
    pub players: Vec<SoulName>,
    /// JSON, as the rules' schema says; empty means every default.
    pub config: String,
    /// Its only source of chance; below 2^53.
    pub seed: u64,
    /// How long players have to answer a tick, in milliseconds; 0 means the node's default.
    pub tick_deadline_ms: u32,
    /// Fuel for each call into the rules; 0 means the node's default.
    pub call_fuel: u64,
    /// Linear memory of the rules, in bytes; 0 means the node's default.
    pub memory_bytes: u64,
    /// The shortest time between the beginnings of two ticks, in milliseconds.
    pub tick_interval_ms: u32,
}

impl MatrixManifest {
    /// Checks every bound that needs neither the rules nor the players; returns the limits that hold for the
    /// rules. Errors are `Field`, which names the field, or `Limit`.
    pub fn check(&self, config: &MatricesConfig, limits: &LimitsConfig) -> Result<Limits, MatrixError> {
        let field = |field, problem: String| Err(MatrixError::Field { field, problem });
        if self.players.len() > PLAYERS_MAX {
            let given = self.players.len();
            return field("players", format!("has {given} names; the most are {PLAYERS_MAX}"));
        }
        let mut seen = HashSet::with_capacity(self.players.len());
        if let Some(twice) = self.players.iter().find(|player| !seen.insert(*player)) {
            return field("players", format!("names {twice} twice; give one Soul more seats instead"));
        }
        if self.config.len() > CONFIG_BYTES_MAX {
            let given = self.config.len();
            return field("config", format!("has {given} bytes; the most are {CONFIG_BYTES_MAX}"));
        }
        if !self.config.is_empty()
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&self.config)
        {
            return field("config", format!("is no JSON: {error}"));
        }
        if self.seed >= SEED_MAX {
            return field("seed", "must be below 2^53".to_owned());
        }
        if self.tick_deadline_ms > TICK_DEADLINE_MS_MAX {
            return field("tick_deadline_ms", format!("must be at most {TICK_DEADLINE_MS_MAX}"));
        }
        if self.tick_interval_ms > TICK_INTERVAL_MS_MAX {
            return field("tick_interval_ms", format!("must be at most {TICK_INTERVAL_MS_MAX}"));
        }
        Ok(resolve(config, limits, self.memory_bytes, self.call_fuel)?)
    }
}

/// The limits of rules with so much memory and fuel, where 0 means the node's default.
pub(crate) fn resolve(
    config: &MatricesConfig,
    limits: &LimitsConfig,
    memory_bytes: u64,
    call_fuel: u64,
) -> Result<Limits, LimitError> {
    let call_fuel = if call_fuel == 0 { config.call_fuel } else { call_fuel };
    limits.resolve(&Limits { memory_bytes, call_fuel, call_ms: config.call_ms, ..LimitsConfig::ASK_NOTHING })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A manifest with these players.
    pub(crate) fn manifest(players: &[&str]) -> MatrixManifest {
        MatrixManifest {
            name: "market".parse().expect("a name"),
            rules: Digest::of(b"rules"),
            players: players.iter().map(|name| name.parse().expect("a name")).collect(),
            config: String::new(),
            seed: 7,
            tick_deadline_ms: 0,
            call_fuel: 0,
            memory_bytes: 0,
            tick_interval_ms: 0,
        }
    }

    fn refusal(manifest: &MatrixManifest) -> String {
        let refused = manifest.check(&MatricesConfig::default(), &LimitsConfig::default());
        refused.expect_err("it is wrong").to_string()
    }

    #[test]
    fn defaults_are_the_rooms_own() {
        let config = MatricesConfig::default();
        let limits = manifest(&["neo"]).check(&config, &LimitsConfig::default()).expect("sound");
        assert_eq!((limits.call_ms, limits.call_fuel), (config.call_ms, config.call_fuel));
        assert_eq!(limits.memory_bytes, Limits::default().memory_bytes);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let sound = manifest(&["neo"]);
        let twice = manifest(&["neo", "trinity", "neo"]);
        assert_eq!(refusal(&twice), "`players` names neo twice; give one Soul more seats instead");
        let cases = [
            (MatrixManifest { config: "{".into(), ..sound.clone() }, "`config` is no JSON"),
            (
                MatrixManifest { config: " ".repeat(CONFIG_BYTES_MAX + 1), ..sound.clone() },
                "`config` has 65537",
            ),
            (MatrixManifest { seed: SEED_MAX, ..sound.clone() }, "`seed` must be below 2^53"),
            (
                MatrixManifest { tick_deadline_ms: u32::MAX, ..sound.clone() },
                "`tick_deadline_ms` must be at most",
            ),
            (
                MatrixManifest { tick_interval_ms: u32::MAX, ..sound.clone() },
                "`tick_interval_ms` must be at most",
            ),
            (MatrixManifest { memory_bytes: u64::MAX, ..sound.clone() }, "`limits.memory_bytes` is"),
            (MatrixManifest { call_fuel: u64::MAX, ..sound }, "`limits.call_fuel` is"),
        ];
        for (wrong, beginning) in cases {
            let refusal = refusal(&wrong);
            assert!(refusal.starts_with(beginning), "{refusal}");
        }
    }

    #[test]
    fn it_is_kept_as_json() {
        let manifest = manifest(&["neo"]);
        let json = serde_json::to_string(&manifest).expect("JSON");
        assert_eq!(serde_json::from_str::<MatrixManifest>(&json).expect("the same"), manifest);
        assert!(serde_json::from_str::<MatrixManifest>(&json.replace("seed", "sead")).is_err());
    }
}
