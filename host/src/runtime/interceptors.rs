//! Which stages judge messages: one record for the whole realm in the KV, which every node follows.
//!
//! The stages before judge until the new ones are ready. A node that cannot make them ready lets no message pass, says
//! why, and goes on trying.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use super::catalog::{Catalog, ComponentError};
pub use super::chain::InterceptorsConfig;
use super::chain::{Chain, Ground, Part, STAGES_MAX, report};
use super::guest::Crash;
use super::inspect::Kind;
use super::limits::Limits;
use super::usage::Usages;
use crate::ids::Digest;
use crate::kv::{Consistency, Entry, Kv, KvError, Watch};
use crate::tasks::Tasks;
use crate::telemetry::instruments::Metrics;
use crate::telemetry::logs::LogRing;
use crate::transport::bus::{Bus, Source};
use crate::transport::stages::Passage;

/// The bucket of the KV that holds the chain.
pub const BUCKET: &str = "sys/interceptors";
/// The key of the chain.
const KEY: &str = "chain";

/// The most settings of one stage.
const SETTINGS_MAX: usize = 64;
/// The most bytes in the settings of one stage.
const SETTINGS_BYTES_MAX: usize = 16 * 1024;
/// How long the stages before go on judging while new ones are made ready; after that nothing passes.
const READYING: Duration = Duration::from_secs(10);
/// How long whoever sets a chain waits until it holds on the node that was asked.
const HOLDING: Duration = Duration::from_secs(12);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// One stage, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// What errors call it: its component's name when the chain was set, or its digest.
    pub name: String,
    /// Its component.
    pub component: Digest,
    /// Its settings.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

/// One stage, as it is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its component: a digest or a name.
    pub component: String,
    /// Its settings.
    pub config: BTreeMap<String, String>,
}

/// How the chain stands on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// It judges; an empty one lets everything pass.
    Holds,
    /// It is being made ready, and the one before judges.
    Readying,
    /// Nothing passes: why.
    Closed(String),
}

/// The chain, as a node knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The KV's revision at which it was set; 0: never.
    pub revision: u64,
    /// In the order in which they judge.
    pub stages: Vec<Stage>,
    /// How it stands.
    pub hold: Hold,
}

/// Why a chain was not set.
#[derive(Debug, thiserror::Error)]
pub enum InterceptorError {
    /// It is too long.
    #[error("a chain has at most {STAGES_MAX} interceptors, not {0}: leave some out, or make one of several")]
    TooMany(usize),
    /// The settings of a stage are too much.
    #[error(
        "the settings of `{0}` are too many or too long: at most {SETTINGS_MAX}, of {SETTINGS_BYTES_MAX} bytes together"
    )]
    Settings(String),
    /// A component is of another world.
    #[error("`{component}` is {found}, and no interceptor: build it for the world `transport`")]
    WrongWorld {
        /// As it was asked for.
        component: String,
        /// What it is instead.
        found: &'static str,
    },
    /// A component imports something that waits.
    #[error(
        "`{0}` imports the KV, for which a call may wait: every message waits for its interceptors, so leave it out"
    )]
    Waits(String),
    /// A component does not come to life.
    #[error("the interceptor `{component}` {crash}")]
    Start {
        /// As it was asked for.
        component: String,
        /// Why.
        crash: Crash,
    },
    /// A component cannot be had.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// What is kept of the chain is none.
    #[error("the record of the chain cannot be read: {0}; set it anew")]
    Damaged(String),
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// What interceptors need of the node.
#[derive(Debug, Clone)]
pub struct InterceptorsHost {
    /// Where the chain is kept.
    pub kv: Kv,
    /// Where components come from.
    pub catalog: Catalog,
    /// Where what happens is told.
    pub bus: Bus,
    /// Where interceptors log.
    pub logs: LogRing,
    /// What is counted.
    pub metrics: Metrics,
    /// What one entry may use.
    pub config: InterceptorsConfig,
    /// The longest body of a message, in bytes.
    pub body_bytes_max: usize,
    /// What they guard.
    pub passage: Arc<Passage>,
}

/// The interceptors of the realm, on this node. Clones are the same.
#[derive(Debug, Clone)]
pub struct Interceptors(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kv: Kv,
    catalog: Catalog,
    ground: Ground,
    passage: Arc<Passage>,
    standing: watch::Sender<Standing>,
}

impl Interceptors {
    /// Closes the passage until it is known which chain holds, and follows it from then on. Returns once it holds, or
    /// a first try has failed.
    pub async fn start(host: InterceptorsHost, tasks: &Tasks) -> Self {
        let InterceptorsHost { kv, catalog, bus, logs, metrics, config, body_bytes_max, passage } = host;
        let limits = Limits {
            memory_bytes: config.memory_bytes,
            call_ms: config.call_ms,
            call_fuel: config.call_fuel,
            body_bytes: u32::try_from(body_bytes_max).unwrap_or(u32::MAX),
            ..Limits::default()
        };
        let why = "this node does not know yet which interceptors the realm has";
        passage.close(why.to_owned());
        let unknown = Standing { revision: 0, stages: Vec::new(), hold: Hold::Closed(why.to_owned()) };
        let (ground, standing) =
            (Ground { bus, logs, metrics, limits, usages: Usages::default() }, watch::Sender::new(unknown));
        let interceptors = Self(Arc::new(Inner { kv, catalog, ground, passage, standing }));
        // Watched before it is read: nothing is missed in between.
        let watch = interceptors.watch();
        let known = interceptors.renew(Consistency::Linearizable).await;
        let (following, stop) = (interceptors.clone(), tasks.stopping());
        tasks.spawn("interceptors.follow", async move {
            stop.run_until_cancelled(following.follow(watch, known)).await
        });
        interceptors
    }

    /// The chain, as this node knows it.
    pub fn standing(&self) -> Standing {
        self.0.standing.borrow().clone()
    }

    /// Sets the chain of the realm; an empty one lets everything pass. Returns how it stands here once it holds, or
    /// has been waited for long enough.
    ///
    /// # Errors
    /// Whatever [`InterceptorError`] names; nothing has changed then, unless the KV leaves that open.
    pub async fn set(&self, wanted: Vec<Wanted>) -> Result<Standing, InterceptorError> {
        if wanted.len() > STAGES_MAX {
            return Err(InterceptorError::TooMany(wanted.len()));
        }
        let mut stages = Vec::new();
        for Wanted { component: reference, config } in wanted {
            let bytes: usize = config.iter().map(|(key, value)| key.len() + value.len()).sum();
            if config.len() > SETTINGS_MAX || bytes > SETTINGS_BYTES_MAX {
                return Err(InterceptorError::Settings(reference));
            }
            let component = self.0.catalog.resolve(&reference).await?;
            let name = self.0.catalog.record(component).await?.and_then(|record| record.name);
            let name = name.map_or(reference, |name| name.to_string());
            stages.push(Stage { name, component, config });
        }
        // Tried out before anybody follows it.
        self.ready(&stages).await?;
        let value =
            serde_json::to_vec(&stages).map_err(|error| InterceptorError::Damaged(error.to_string()))?;
        let set = self.0.kv.put(BUCKET, KEY.as_bytes(), Bytes::from(value), None, None).await?;
        let mut standing = self.0.standing.subscribe();
        let holds = standing.wait_for(|now| now.revision >= set.revision && now.hold != Hold::Readying);
        // Where it takes longer, the answer says so.
        let _ = tokio::time::timeout(HOLDING, holds).await;
        Ok(self.standing())
    }

    /// What the interceptors use, by their places and names.
    pub fn usages(&self) -> &Usages {
        &self.0.ground.usages
    }

    /// Whether a component is part of the chain, read linearizably.
    pub async fn uses(&self, component: Digest) -> Result<bool, InterceptorError> {
        let entry = self.0.kv.get(BUCKET, KEY.as_bytes(), Consistency::Linearizable).await?;
        let stages = entry.as_ref().map_or_else(|| Ok(Vec::new()), parse)?;
        Ok(stages.iter().any(|stage| stage.component == component))
    }

    async fn follow(self, mut watch: Option<Watch>, mut known: bool) {
        loop {
            let again = !known || watch.is_none();
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.next().await.is_some(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The KV is closed, and with it the node.
                open = changed => if !open { return },
                () = tokio::time::sleep(RETRY), if again => {}
            }
            if watch.is_none() {
                watch = self.watch();
            }
            // What the watch has told of is here already.
            let consistency = if known { Consistency::Local } else { Consistency::Linearizable };
            known = self.renew(consistency).await;
        }
    }

    fn watch(&self) -> Option<Watch> {
        self.0.kv.watch(BUCKET, KEY.as_bytes(), None).ok()
    }

    /// Reads the chain, and brings what judges in line with it. False: it is to be tried again.
    async fn renew(&self, consistency: Consistency) -> bool {
        let entry = match self.0.kv.get(BUCKET, KEY.as_bytes(), consistency).await {
            Ok(entry) => entry,
            Err(error) => {
                tracing::info!(%error, "which interceptors the realm has is not known at the moment");
                return false;
            }
        };
        let before = self.standing();
        let revision = entry.as_ref().map_or(0, |entry| entry.revision);
        if before.hold == Hold::Holds && before.revision == revision {
            return true;
        }
        let stages = match entry.as_ref().map_or_else(|| Ok(Vec::new()), parse) {
            Ok(stages) => stages,
            Err(error) => {
                self.close(revision, Vec::new(), error.to_string());
                return false;
            }
        };
        if before.hold == Hold::Holds {
            let (hold, stages) = (Hold::Readying, stages.clone());
            self.0.standing.send_replace(Standing { revision, stages, hold });
        }
        let made = tokio::time::timeout(READYING, self.ready(&stages)).await;
        let chain = match made {
            Ok(Ok(chain)) => chain,
            Ok(Err(error)) => return self.close(revision, stages, error.to_string()),
            Err(_) => return self.close(revision, stages, "they could not be made ready in time".to_owned()),
        };
        match chain {
            Some(chain) => self.0.passage.guard(Arc::new(chain)),
            None => self.0.passage.open(),
        }
        if revision != 0 {
            let names: Vec<_> = stages.iter().map(|stage| &stage.name).collect();
            tracing::info!(revision, chain = ?names, "the interceptors of the realm hold here");
            let detail = json!({ "revision": revision, "chain": names });
            report(&self.0.ground.bus, "interceptors.hold", Source::Node, &detail);
        }
        self.0.standing.send_replace(Standing { revision, stages, hold: Hold::Holds });
        true
    }

    /// Lets nothing pass; it is to be tried again.
    fn close(&self, revision: u64, stages: Vec<Stage>, why: String) -> bool {
        let now = Standing { revision, stages, hold: Hold::Closed(why.clone()) };
        if self.standing() != now {
            tracing::error!(revision, why, "the realm's interceptors are not ready here: no message passes");
            let detail = json!({ "revision": revision, "reason": why });
            report(&self.0.ground.bus, "interceptors.closed", Source::Node, &detail);
        }
        self.0.passage.close(format!("this node's interceptors are not ready: {why}"));
        self.0.standing.send_replace(now);
        false
    }

    /// A chain of these stages; none for an empty one.
    async fn ready(&self, stages: &[Stage]) -> Result<Option<Chain>, InterceptorError> {
        if stages.is_empty() {
            return Ok(None);
        }
        if stages.len() > STAGES_MAX {
            return Err(InterceptorError::TooMany(stages.len()));
        }
        let mut parts = Vec::new();
        for Stage { name, component, config } in stages {
            let component = self.0.catalog.get(*component).await?;
            let info = component.info();
            if info.kind != Kind::Transport {
                let found = info.kind.singular();
                return Err(InterceptorError::WrongWorld { component: name.clone(), found });
            }
            if info.can_block {
                return Err(InterceptorError::Waits(name.clone()));
            }
            parts.push(Part { name: name.clone(), component, settings: config.clone() });
        }
        let chain = Chain::new(parts, &self.0.ground);
        let named = |(at, crash): (usize, Crash)| {
            let component = stages.get(at).map(|stage| stage.name.clone()).unwrap_or_default();
            InterceptorError::Start { component, crash }
        };
        chain.map(Some).map_err(named)
    }
}

fn parse(entry: &Entry) -> Result<Vec<Stage>, InterceptorError> {
    serde_json::from_slice(&entry.value).map_err(|error| InterceptorError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Entry {
            value: Bytes::copy_from_slice(text.as_bytes()),
            revision: 1,
            created_revision: 1,
            version: 1,
            lease: None,
        }
    }

    #[test]
    fn a_chain_is_read_as_it_was_written() {
        let config = BTreeMap::from([("mask".to_owned(), "email".to_owned())]);
        let stage = Stage { name: "redact".into(), component: Digest::of(b"redact"), config };
        let text = serde_json::to_string(&[&stage]).expect("plain data");
        assert_eq!(parse(&entry(&text)).ok(), Some(vec![stage]));
        assert_eq!(parse(&entry("[]")).ok(), Some(Vec::new()));
        for damaged in ["", "{}", r#"[{"name":"redact"}]"#] {
            assert!(matches!(parse(&entry(damaged)), Err(InterceptorError::Damaged(_))), "{damaged}");
        }
    }
}
