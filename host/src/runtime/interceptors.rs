//! Which stages judge messages: one record for the whole realm in the KV, which every node follows.
//!
//! The stages before judge until the new ones are ready. A node that cannot make them ready lets no message pass, says
//! why, and goes on trying.
//!
//! [`record`] is what is kept; [`swap`] puts new code into the place of one stage's, and [`trial`] tells what that would
//! change.

mod error;
mod record;
mod swap;
mod trial;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::watch;

pub use self::error::InterceptorError;
use self::record::parse;
pub use self::record::{Cause, Change, Next, Stage, VERSIONS_MAX, Version};
pub use self::trial::{Difference, Trial};
use super::catalog::Catalog;
use super::chain::{Chain, Ground, Part, Recorded, STAGES_MAX};
pub use super::chain::{Here, InterceptorsConfig};
use super::component::Component;
use super::guest::Crash;
use super::inspect::Kind;
use super::limits::Limits;
use super::usage::Usages;
use crate::ids::Digest;
use crate::kv::{Consistency, Following, Kv, Made};
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
const HOLDING: Duration = Duration::from_secs(25);

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
    /// This node: code that is on trial judges on some only.
    pub node: u64,
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
    node: u64,
    judging: Mutex<Judging>,
}

/// What judges here.
#[derive(Debug, Default)]
struct Judging {
    /// What the record says to this node.
    said: Vec<Said>,
    /// None: nothing does.
    chain: Option<Arc<Chain>>,
}

/// What the record says to one node about one stage: where that is the same, nothing changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    chain: u64,
    name: String,
    component: Digest,
    config: BTreeMap<String, String>,
    next: Option<Digest>,
}

/// Components that are on trial, or why they cannot be had.
type Heirs = BTreeMap<Digest, Result<Arc<Component>, String>>;

impl Interceptors {
    /// Closes the passage until it is known which chain holds, and follows it from then on. Returns once it holds, or
    /// a first try has failed.
    pub async fn start(host: InterceptorsHost, tasks: &Tasks) -> Self {
        let InterceptorsHost { kv, catalog, bus, logs, metrics, config, body_bytes_max, passage, node } =
            host;
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
        let recorded_max = config.recorded_messages as usize;
        let (usages, recorded) = (Usages::default(), Arc::default());
        let ground = Ground { bus, logs, metrics, limits, usages, recorded, recorded_max };
        let (standing, judging) = (watch::Sender::new(unknown), Mutex::default());
        let interceptors = Self(Arc::new(Inner { kv, catalog, ground, passage, standing, node, judging }));
        let (kv, key) = (interceptors.0.kv.clone(), KEY.as_bytes());
        let following = Following::begin(kv, BUCKET, key, interceptors.clone()).await;
        let stop = tasks.stopping();
        tasks.spawn("interceptors.follow", async move { stop.run_until_cancelled(following.go_on()).await });
        interceptors
    }

    /// The chain, as this node knows it.
    pub fn standing(&self) -> Standing {
        self.0.standing.borrow().clone()
    }

    /// How each stage judges here, in the order of the chain; where nothing passes, none.
    pub fn here(&self) -> Vec<Here> {
        self.judging().chain.as_ref().map(|chain| chain.here()).unwrap_or_default()
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
        // A chain that cannot be read can be set anew.
        let before = self.load().await.map(|(stages, _)| stages).unwrap_or_default();
        let mut stages = Vec::new();
        for Wanted { component: reference, config } in wanted {
            let bytes: usize = config.iter().map(|(key, value)| key.len() + value.len()).sum();
            if config.len() > SETTINGS_MAX || bytes > SETTINGS_BYTES_MAX {
                return Err(InterceptorError::Settings(reference));
            }
            let component = self.0.catalog.resolve(&reference).await?;
            let name = self.0.catalog.record(component).await?.and_then(|record| record.name);
            let name = name.map_or(reference, |name| name.to_string());
            stages.push(Stage::new(name, component, config, &before));
        }
        // Tried out before anybody follows it.
        self.ready(&self.said(&stages), BTreeMap::new()).await?;
        let value =
            serde_json::to_vec(&stages).map_err(|error| InterceptorError::Damaged(error.to_string()))?;
        let set = self.0.kv.put(BUCKET, KEY.as_bytes(), Bytes::from(value), None, None).await?;
        Ok(self.held(set.revision).await)
    }

    /// What the interceptors use, by their places and names.
    pub fn usages(&self) -> &Usages {
        &self.0.ground.usages
    }

    /// Whether a component is part of the chain, or could be gone back to, read linearizably.
    pub async fn uses(&self, component: Digest) -> Result<bool, InterceptorError> {
        Ok(self.load().await?.0.iter().any(|stage| stage.needs(component)))
    }

    /// Lets nothing pass; it is to be tried again.
    fn close(&self, revision: u64, stages: Vec<Stage>, why: String) -> bool {
        let now = Standing { revision, stages, hold: Hold::Closed(why.clone()) };
        if self.standing() != now {
            tracing::error!(revision, why, "the realm's interceptors are not ready here: no message passes");
            let detail = json!({ "revision": revision, "reason": why });
            self.0.ground.bus.report("interceptors.closed", Source::Node, &detail);
        }
        let before = std::mem::take(&mut *self.judging());
        drop(before);
        self.0.passage.close(format!("this node's interceptors are not ready: {why}"));
        self.0.standing.send_replace(now);
        false
    }

    /// What a record says to this node.
    fn said(&self, stages: &[Stage]) -> Vec<Said> {
        let said = |stage: &Stage| Said {
            chain: stage.chain,
            name: stage.name.clone(),
            component: stage.component,
            config: stage.config.clone(),
            next: stage.next_on(self.0.node),
        };
        stages.iter().map(said).collect()
    }

    /// The code that is on trial here. It keeps nothing from passing: where it cannot be had in time, that is its failure.
    async fn next(&self, said: &[Said]) -> Heirs {
        let mut heirs = Heirs::new();
        for (name, code) in said.iter().filter_map(|stage| Some((&stage.name, stage.next?))) {
            let found = tokio::time::timeout(READYING, self.component(name, code)).await;
            let found = found.map_err(|_| "it could not be made ready in time".to_owned());
            heirs.insert(code, found.and_then(|found| found.map_err(|error| error.to_string())));
        }
        heirs
    }

    /// A chain of these stages; none for an empty one.
    async fn ready(&self, said: &[Said], next: Heirs) -> Result<Option<Chain>, InterceptorError> {
        if said.is_empty() {
            return Ok(None);
        }
        if said.len() > STAGES_MAX {
            return Err(InterceptorError::TooMany(said.len()));
        }
        let mut parts = Vec::new();
        for stage in said {
            let Said { name, config, .. } = stage;
            let component = self.component(name, stage.component).await?;
            let next = stage.next.and_then(|code| next.get(&code).cloned());
            parts.push(Part { name: name.clone(), component, settings: config.clone(), next });
        }
        let chain = Chain::new(parts, &self.0.ground);
        let named = |(at, crash): (usize, Crash)| {
            let component = said.get(at).map(|stage| stage.name.clone()).unwrap_or_default();
            InterceptorError::Start { component, crash }
        };
        chain.map(Some).map_err(named)
    }

    /// A component that can judge; `called` is what it is called in errors.
    async fn component(&self, called: &str, digest: Digest) -> Result<Arc<Component>, InterceptorError> {
        let component = self.0.catalog.get(digest).await?;
        let info = component.info();
        if info.kind != Kind::Transport {
            let (component, found) = (called.to_owned(), info.kind.singular());
            return Err(InterceptorError::WrongWorld { component, found });
        }
        if info.can_block {
            return Err(InterceptorError::Waits(called.to_owned()));
        }
        Ok(component)
    }

    /// Nothing can panic while this lock is held, so a poisoned one still holds the truth.
    fn judging(&self) -> std::sync::MutexGuard<'_, Judging> {
        self.0.judging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made for Interceptors {
    /// Reads the chain, and brings what judges in line with it.
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
        let said = self.said(&stages);
        if before.hold == Hold::Holds {
            if self.judging().said == said {
                self.0.standing.send_replace(Standing { revision, stages, hold: Hold::Holds });
                return true;
            }
            let (hold, stages) = (Hold::Readying, stages.clone());
            self.0.standing.send_replace(Standing { revision, stages, hold });
        }
        let next = self.next(&said).await;
        let made = tokio::time::timeout(READYING, self.ready(&said, next)).await;
        let chain = match made {
            Ok(Ok(chain)) => chain,
            Ok(Err(error)) => return self.close(revision, stages, error.to_string()),
            Err(_) => return self.close(revision, stages, "they could not be made ready in time".to_owned()),
        };
        let chain = chain.map(Arc::new);
        match &chain {
            Some(chain) => self.0.passage.guard(chain.clone()),
            None => {
                self.0.passage.open();
                self.0.ground.recorded.iter().for_each(Recorded::forget);
            }
        }
        let before = std::mem::replace(&mut *self.judging(), Judging { said, chain });
        // Outside the lock: instances may end with it.
        drop(before);
        if revision != 0 {
            let names: Vec<_> = stages.iter().map(|stage| &stage.name).collect();
            tracing::info!(revision, chain = ?names, "the interceptors of the realm hold here");
            let detail = json!({ "revision": revision, "chain": names });
            self.0.ground.bus.report("interceptors.hold", Source::Node, &detail);
        }
        self.0.standing.send_replace(Standing { revision, stages, hold: Hold::Holds });
        true
    }
}
