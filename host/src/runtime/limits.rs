//! What one component may use: declared in manifests, bounded by the node, enforced here. [`every_limit`](crate::every_limit)
//! lists all limits.

mod list;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

use super::guest::Crash;
use super::memory::GuestMemory;
use super::usage::Usage;

/// Core instances in one component instance. Rust and C components need about 5, Python's about 30.
pub const CORE_INSTANCES_MAX: usize = 40;
/// Linear memories in one component instance.
pub const MEMORIES_MAX: usize = 4;
/// Tables in one component instance.
pub const TABLES_MAX: usize = 20;
/// Elements in one table: CPython's function table, the largest known, has 7,700.
pub const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Bytes that one call may make the host copy out of a guest, counted by wasmtime as it lifts: for a
/// handful of the largest messages, or a large outcome of rules.
pub const LIFTED_BYTES_MAX: usize = 2 << 20;
/// The same, for a snapshot: the state of a Matrix with a million agents, or the weights of a model.
pub const SNAPSHOT_BYTES_MAX: usize = 16 << 20;
/// Resource handles that one guest may hold.
pub const HANDLES_MAX: usize = 1_000;

/// A limit as it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: &'static str,
    /// What it limits.
    pub what: &'static str,
    /// The setting that says how much; `fixed`: none does.
    pub setting: &'static str,
    /// In what it is counted.
    pub unit: &'static str,
    /// What happens where it is reached, and who sees to it.
    pub by: &'static str,
}

/// A limit as it holds on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// As it is listed.
    pub listed: Listed,
    /// What holds where nobody says otherwise: for what manifests declare, the node's default; for others the
    /// program's.
    pub default: u64,
    /// For what manifests declare, the most that one may ask for; for others what this node is set to.
    pub max: u64,
}

/// Makes of the list the fields of manifests, and the names of all other limits.
macro_rules! declare {
    (
        declared {
            $($(#[doc = $about:literal])+ $field:ident: $type:ty = $default:expr, max $max:expr, $unit:literal, $by:literal;)*
        }
        node {
            $($(#[doc = $what:literal])+ $name:ident: $setting:literal, $unit_of:literal, $by_whom:literal;)*
        }
    ) => {
        /// What one component may use. In a manifest, 0 means the node's default.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits {
            $($(#[doc = $about])+ pub $field: $type,)*
        }

        impl Default for Limits {
            /// Fit for a laptop that runs a few hundred Souls.
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }

        impl Default for LimitsConfig {
            fn default() -> Self {
                Self { default: Limits::default(), max: Limits { $($field: $max),* } }
            }
        }

        impl LimitsConfig {
            /// The limits that hold for a manifest: its own, the defaults where it says 0.
            pub fn resolve(&self, asked: &Limits) -> Result<Limits, LimitError> {
                Ok(Limits { $($field: {
                    let value = if asked.$field == 0 { self.default.$field } else { asked.$field };
                    if value > self.max.$field {
                        return Err(LimitError {
                            field: stringify!($field),
                            asked: value.into(),
                            max: self.max.$field.into(),
                        });
                    }
                    value
                }),* })
            }

            /// A request in which every limit is the node's default.
            pub const ASK_NOTHING: Limits = Limits { $($field: 0),* };

            /// What manifests may declare.
            pub fn declared(&self) -> impl Iterator<Item = Limit> {
                [$(Limit {
                    listed: Listed {
                        name: stringify!($field),
                        what: concat!($($about),+).trim_ascii(),
                        setting: concat!("limits.", stringify!($field)),
                        unit: $unit,
                        by: $by,
                    },
                    default: u64::from(self.default.$field),
                    max: u64::from(self.max.$field),
                }),*].into_iter()
            }
        }

        /// A limit that no manifest changes.
        #[expect(non_camel_case_types, reason = "they go by one name everywhere")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum NodeLimit {
            $($(#[doc = $what])+ $name,)*
        }

        impl NodeLimit {
            /// All of them, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As it is listed.
            pub const fn listed(self) -> Listed {
                match self {
                    $(Self::$name => Listed {
                        name: stringify!($name),
                        what: concat!($($what),+).trim_ascii(),
                        setting: $setting,
                        unit: $unit_of,
                        by: $by_whom,
                    },)*
                }
            }
        }
    };
}

crate::every_limit!(declare);

/// The node's defaults, and what no manifest may exceed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Where a manifest says nothing.
    pub default: Limits,
    /// The most that a manifest may ask for.
    pub max: Limits,
}

/// A manifest asks for more than the node gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`limits.{field}` is {asked}, and this node allows {max} at most")]
pub struct LimitError {
    /// Which limit.
    pub field: &'static str,
    /// What the manifest says.
    pub asked: u64,
    /// What the node allows.
    pub max: u64,
}

/// Enforces memory and tables on one store, and remembers what it denied: a guest sees a denied
/// growth as a failed allocation and traps with a reason of its own.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes_max: usize,
    memory_bytes: usize,
    /// What is taken here goes back when the store does.
    node: Option<GuestMemory>,
    usage: Arc<Usage>,
    denied: Option<Crash>,
}

impl Limiter {
    pub(crate) fn new(memory_bytes_max: u64) -> Self {
        let memory_bytes_max = usize::try_from(memory_bytes_max).unwrap_or(usize::MAX);
        Self { memory_bytes_max, memory_bytes: 0, node: None, usage: Arc::default(), denied: None }
    }

    /// Draws on the node's budget as well, from now on. Before the store has any memory.
    pub(crate) fn draw_on(&mut self, node: &GuestMemory) {
        self.node = Some(node.clone());
    }

    /// Counts what there is by `usage` from now on.
    pub(crate) fn count_by(&mut self, usage: Arc<Usage>) {
        usage.grew(self.memory_bytes());
        std::mem::replace(&mut self.usage, usage).shrank(self.memory_bytes());
    }

    /// Linear memory in use, all memories of the store together, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes as u64
    }

    /// What was denied since the last call, if anything.
    pub(crate) fn take_denied(&mut self) -> Option<Crash> {
        self.denied.take()
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.usage.shrank(self.memory_bytes());
        if let Some(node) = &self.node {
            node.give_back(self.memory_bytes());
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let total = self.memory_bytes.saturating_add(more);
        if total > self.memory_bytes_max {
            let max = self.memory_bytes_max;
            let reason = format!("memory of {total} bytes: `limits.memory_bytes` is {max}");
            self.denied = Some(Crash::Denied(reason));
            return Ok(false);
        }
        if let Some(node) = self.node.as_ref().filter(|node| !node.take(more as u64)) {
            let max = node.max();
            let reason = format!("all guests together may have {max} bytes: `engine.guest_memory_bytes_max`");
            self.denied = Some(Crash::NoRoom(reason));
            // A trap, no failed allocation: what the node has left must not decide what a guest answers.
            return Err(wasmtime::Error::msg("the node has no memory left for guests"));
        }
        // Where the growth fails after all it stays counted: nothing tells that failure from one that was
        // never asked for here, and a guest must not be able to shrink its account.
        self.memory_bytes = total;
        self.usage.grew(more as u64);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            let reason = format!("a table of {desired} elements: the most is {TABLE_ELEMENTS_MAX}");
            self.denied = Some(Crash::Denied(reason));
            return Ok(false);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Telemetry, TelemetryConfig};

    #[test]
    fn zero_means_default_and_too_much_is_refused_by_name() {
        let config = LimitsConfig::default();
        let asked = Limits { memory_bytes: 1 << 20, ..LimitsConfig::ASK_NOTHING };
        let limits = config.resolve(&asked).expect("within the bounds");
        assert_eq!((limits.memory_bytes, limits.call_ms), (1 << 20, config.default.call_ms));
        let asked = Limits { memory_bytes: 65 << 20, ..LimitsConfig::ASK_NOTHING };
        let error = config.resolve(&asked).expect_err("more than the node allows");
        assert_eq!(
            error.to_string(),
            "`limits.memory_bytes` is 68157440, and this node allows 67108864 at most"
        );
    }

    #[test]
    fn limiter_counts_all_memories_and_says_what_it_denied() {
        let mut limiter = Limiter::new(3 << 16);
        assert!(limiter.memory_growing(0, 2 << 16, None).expect("no error"));
        assert!(!limiter.memory_growing(0, 2 << 16, None).expect("no error"));
        assert_eq!(limiter.memory_bytes(), 2 << 16);
        let denied = limiter.take_denied().expect("a reason").to_string();
        assert_eq!(denied, "was denied memory of 262144 bytes: `limits.memory_bytes` is 196608");
        assert!(!limiter.table_growing(0, TABLE_ELEMENTS_MAX + 1, None).expect("no error"));
    }

    #[test]
    fn all_guests_together_have_a_budget_which_gets_back_what_they_had() {
        let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
        let node = GuestMemory::new(5 << 16, &telemetry.metrics().refusals);
        let guest = || {
            let mut limiter = Limiter::new(1 << 30);
            limiter.draw_on(&node);
            limiter
        };
        let (mut one, mut other) = (guest(), guest());
        assert!(one.memory_growing(0, 3 << 16, None).expect("no error"));
        other.memory_growing(0, 3 << 16, None).expect_err("a trap");
        let denied = other.take_denied();
        assert!(
            matches!(&denied, Some(Crash::NoRoom(why)) if why.contains("guest_memory_bytes_max")),
            "{denied:?}"
        );
        assert!(other.memory_growing(0, 2 << 16, None).expect("no error"));
        assert_eq!((node.used(), node.max()), (5 << 16, 5 << 16));
        drop(one);
        assert_eq!(node.used(), 2 << 16);
        drop(other);
        assert_eq!(node.used(), 0);
    }
}
