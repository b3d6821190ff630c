//! A bench: components one at a time, outside any realm, in the engine of a node and with its capabilities and limits.
//!
//! What a guest does is written down and not done, as where new code is tried; or it is done where nobody else is; or it
//! fails as it would on a node in trouble ([`Circumstances`]). The KV is a node's own, on a folder of the bench.

mod rules;
mod soul;
mod stage;
#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind::NotFound};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::OnceCell;

pub use self::rules::{Heard, RulesOnBench};
pub use self::soul::{Circumstances, Crowd, Outside, Said, SoulOnBench, State};
pub use self::stage::{Judged, StageOnBench};
use crate::capabilities::logging::GuestLog;
use crate::capabilities::{Capabilities, config, random};
use crate::ids::Digest;
use crate::kv::{Condition, Expect, Kv, KvConfig, KvError, Roster};
use crate::runtime::cache::KEY_FILE;
use crate::runtime::catalog::{Catalog, ComponentError};
use crate::runtime::compile::CompilerConfig;
use crate::runtime::component::Component;
use crate::runtime::components::{AdmitError, COMPILED_DIR, Components, ComponentsConfig};
use crate::runtime::engine::{self, EngineConfig};
use crate::runtime::inspect::{InspectLimits, Outline};
use crate::runtime::limits::{Limits, LimitsConfig};
use crate::runtime::memory::GuestMemory;
use crate::runtime::pace::Ground;
use crate::tasks::Tasks;
use crate::telemetry::instruments::Metrics;
use crate::telemetry::logs::LogRing;
use crate::telemetry::{Telemetry, TelemetryConfig, TelemetryError};
use crate::transport::bus::{Bus, BusConfig, Source};
use crate::transport::router::{Router, TransportConfig};

/// How many instances a bench holds at once.
const LIVE_INSTANCES_MAX: u32 = 32;
/// The folder of the KV, in the bench's.
const KV_DIR: &str = "kv";
/// The folder of the KV that fails, in the bench's.
const LOST_KV_DIR: &str = "lost-kv";

/// How a bench is set up.
#[derive(Debug, Clone)]
pub struct BenchConfig {
    /// Where everything is kept: an empty folder, or one that an earlier bench left. One bench a folder.
    pub folder: PathBuf,
    /// What compiles components: a program that has the node's hidden command.
    pub compiler: CompilerConfig,
    /// What guests may use.
    pub limits: LimitsConfig,
}

/// Why there is no bench, or why a component does not come to it.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The engine cannot be set up.
    #[error("the engine cannot be set up: {0}")]
    Engine(String),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] AdmitError),
    /// The KV cannot be opened.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// The figures cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The component is refused, as a node would.
    #[error(transparent)]
    Component(#[from] ComponentError),
}

/// A bench; end it with [`Bench::close`].
#[derive(Debug)]
pub struct Bench {
    folder: PathBuf,
    limits: LimitsConfig,
    catalog: Catalog,
    kv: Kv,
    /// One that fails whatever it is asked, opened when it is needed.
    lost_kv: OnceCell<Kv>,
    bus: Bus,
    router: Router,
    telemetry: Telemetry,
    tasks: Tasks,
    /// Counts the guests: each has a bucket of its own.
    guests: AtomicU64,
}

impl Bench {
    /// Sets a bench up. Blocks on the disk for a moment.
    ///
    /// # Errors
    /// All but `Component`.
    pub async fn open(config: BenchConfig) -> Result<Self, BenchError> {
        let BenchConfig { folder, compiler, limits } = config;
        let telemetry = Telemetry::new(TelemetryConfig::default(), "bench")?;
        let (tasks, metrics) = (Tasks::new(), telemetry.metrics().clone());
        let kv = open_kv(folder.join(KV_DIR), &tasks).await?;
        let bus = Bus::new(BusConfig::default());
        let router =
            Router::new(&TransportConfig::default(), 1, Roster::default(), metrics.transport.clone());
        let engine_config =
            EngineConfig { live_instances_max: LIVE_INSTANCES_MAX, ..EngineConfig::default() };
        let refused = |error: &dyn std::fmt::Display| BenchError::Engine(format!("{error:#}"));
        let engine = engine::engine(&engine_config).map_err(|error| refused(&error))?;
        engine::start_ticker(&engine).map_err(|error| refused(&error))?;
        let components = ComponentsConfig { compiler, ..ComponentsConfig::default() };
        let components = Components::open(&folder, components, engine.clone(), &engine_config)?;
        let ground = Ground {
            slow: tasks.clone(),
            slow_calls: metrics.runtime.slow_calls.clone(),
            memory: GuestMemory::new(engine_config.guest_memory_bytes(), &metrics.refusals),
            used: metrics.runtime.guests.clone(),
        };
        let (told, logs, counted) = (bus.clone(), telemetry.logs().clone(), metrics.clone());
        let nothing = move || nothing(&told, &logs, &counted);
        // A node takes a component up before anybody says what it may use.
        let (tried, refusals) = (Limits::default(), metrics.runtime.refused.clone());
        let catalog = Catalog::new(components, &engine, kv.clone(), ground, tried, refusals, nothing)?;
        let (lost_kv, guests) = (OnceCell::new(), AtomicU64::new(0));
        Ok(Self { folder, limits, catalog, kv, lost_kv, bus, router, telemetry, tasks, guests })
    }

    /// Puts what a bench or a node has compiled in its folder `from` into the folder `to` of a bench that is not open:
    /// it is not compiled again there. `only`: what has the same code as this component.
    ///
    /// # Errors
    /// Where files cannot be read or written, or are not this user's: they are machine code, and whoever wrote them decides what
    /// it does; or where `only` is no component.
    pub fn take_compiled(from: &Path, to: &Path, only: Option<&[u8]>) -> io::Result<()> {
        let (from, to) = (from.join(COMPILED_DIR), to.join(COMPILED_DIR));
        DirBuilder::new().recursive(true).mode(0o700).create(&to)?;
        let code = |bytes| Outline::of(bytes, &InspectLimits::default()).map(|outline| outline.code.hex());
        let only = only.map(code).transpose().map_err(io::Error::other)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_other = only.as_ref().is_some_and(|only| !name.to_string_lossy().contains(only));
            if is_other && name != KEY_FILE {
                continue;
            }
            if entry.metadata()?.uid() != rustix::process::geteuid().as_raw() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is somebody else's"));
            }
            let (from, to) = (entry.path(), to.join(name));
            // What was taken before may be the very file that it was taken from: to copy that onto itself would empty both.
            fs::remove_file(&to)
                .or_else(|error| if error.kind() == NotFound { Ok(()) } else { Err(error) })?;
            // A file is never written to after it has its name: one that can be had under two is not copied.
            fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))?;
        }
        Ok(())
    }

    /// Takes a component up as a node does that it is uploaded to: read, compiled, joined to the host and instantiated
    /// once with no way to anything.
    ///
    /// # Errors
    /// `Component`: why a node would refuse it.
    pub async fn load(&self, bytes: Bytes) -> Result<Arc<Component>, BenchError> {
        let components = self.catalog.components();
        let stored = |error| BenchError::Folder(AdmitError::Store(error));
        let mut upload = components.store().begin_upload(None, None).await.map_err(stored)?;
        upload.write(bytes).await.map_err(stored)?;
        let (digest, _): (Digest, _) = upload.finish().await.map_err(stored)?;
        self.catalog.admit(digest, None, None).await?;
        Ok(self.catalog.get(digest).await?)
    }

    /// What guests may use where nobody says otherwise, and at most.
    pub fn limits(&self) -> &LimitsConfig {
        &self.limits
    }

    /// Ends the bench; its folder stays.
    pub async fn close(self) {
        let Self { kv, lost_kv, .. } = self;
        kv.close().await;
        drop(lost_kv);
    }

    /// A name that no guest of this bench had before.
    fn fresh_name(&self) -> String {
        format!("guest-{}", self.guests.fetch_add(1, Ordering::Relaxed))
    }

    /// The KV, or one that fails whatever it is asked.
    async fn kv(&self, lost: bool) -> Result<Kv, KvError> {
        if !lost {
            return Ok(self.kv.clone());
        }
        let opened = self.lost_kv.get_or_try_init(|| async {
            let kv = open_kv(self.folder.join(LOST_KV_DIR), &self.tasks).await?;
            kv.close().await;
            Ok(kv)
        });
        opened.await.cloned()
    }

    /// What anybody may do who is heard by nobody.
    fn plain(&self, source: Source, limits: &Limits, config: config::Ctx, seed: u64) -> Capabilities {
        let metrics = self.telemetry.metrics();
        plain(&self.bus, self.telemetry.logs(), metrics, source, limits, config, seed)
    }
}

async fn open_kv(dir: PathBuf, tasks: &Tasks) -> Result<Kv, KvError> {
    let config = KvConfig { dir, disk_reserve_bytes: 0, log_segment_bytes: 1 << 20, ..KvConfig::default() };
    Kv::open(config, tasks).await
}

/// Holds always: nobody else takes the guests of a bench up.
fn fence(kv: &Kv) -> Result<Condition, KvError> {
    Ok(Condition { path: kv.path("bench", b"fence")?, expect: Expect::Absent })
}

fn nothing(bus: &Bus, logs: &LogRing, metrics: &Metrics) -> Capabilities {
    plain(bus, logs, metrics, Source::Node, &Limits::default(), config::Ctx::default(), 0)
}

fn plain(
    bus: &Bus,
    logs: &LogRing,
    metrics: &Metrics,
    source: Source,
    limits: &Limits,
    config: config::Ctx,
    seed: u64,
) -> Capabilities {
    let refused = &metrics.refusals;
    let log =
        Arc::new(GuestLog::new(logs.clone(), &source.to_string(), limits.log_lines_per_second, refused));
    let told = Some(limits.events_per_second);
    Capabilities {
        config,
        random: random::Ctx::new(seed),
        ..Capabilities::alone(bus.clone(), source, told, log, refused)
    }
}
