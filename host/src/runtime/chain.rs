//! The chain of stages that judges messages: each stage in instances of its own, entered on the thread of whoever
//! sends or delivers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::component::Component;
use super::guest::Crash;
use super::limits::Limits;
use super::stage::{StageInstance, Verdict};
use super::state::GuestState;
use super::usage::{Usage, Usages};
use crate::capabilities::logging::GuestLog;
use crate::capabilities::quota::Quota;
use crate::capabilities::{Capabilities, cli, config, events, logging, random};
use crate::clock;
use crate::ids::Digest;
use crate::telemetry::instruments::{InterceptorMetrics, Metrics};
use crate::telemetry::logs::LogRing;
use crate::telemetry::metrics::Stopwatch;
use crate::transport::bus::{Bus, Source};
use crate::transport::envelope::{CONTENT_TYPE_BYTES_MAX, Content, SendError};
use crate::transport::stages::{Passing, Stages, Way};

/// The most stages in a chain.
pub const STAGES_MAX: usize = 8;
/// The places in a chain, as metrics call them: what an operator names must not become a label.
const PLACES: [&str; STAGES_MAX] = ["1", "2", "3", "4", "5", "6", "7", "8"];
/// Instances of one stage that are kept while nobody needs them: as many threads seldom judge at once.
const IDLE_MAX: usize = 16;
/// Failures of one chain that are told in a second; all are counted.
const TOLD_PER_SECOND: u32 = 10;

/// What each entry into an interceptor may use.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InterceptorsConfig {
    /// Processor time of one entry, in milliseconds: every message waits for it.
    pub call_ms: u32,
    /// Fuel of one entry: about one unit an instruction.
    pub call_fuel: u64,
    /// Linear memory of one instance, in bytes.
    pub memory_bytes: u64,
}

impl Default for InterceptorsConfig {
    fn default() -> Self {
        Self { call_ms: 20, call_fuel: 500_000_000, memory_bytes: 16 << 20 }
    }
}

/// What stages need of the node.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Where their events go, and those about them.
    pub bus: Bus,
    /// Where they log.
    pub logs: LogRing,
    /// What is counted.
    pub metrics: Metrics,
    /// What each entry into each instance may use.
    pub limits: Limits,
    /// What each stage uses, by its place and its name.
    pub usages: Usages,
}

/// One stage before it is made: its name in errors, its component, its settings.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) component: Arc<Component>,
    pub(super) settings: BTreeMap<String, String>,
}

/// A chain, ready to judge.
pub(super) struct Chain(Vec<Stage>);

impl Chain {
    /// A chain of these, in their order, each tried out: it comes to life. At most [`STAGES_MAX`].
    ///
    /// # Errors
    /// The place of the first stage that does not come to life, and why.
    pub(super) fn new(parts: Vec<Part>, ground: &Ground) -> Result<Self, (usize, Crash)> {
        let told =
            Arc::new(Mutex::new(Quota::new("interceptor_events", TOLD_PER_SECOND, &ground.metrics.refusals)));
        let stages = parts.into_iter().zip(PLACES).enumerate();
        let stages = stages.map(|(index, (part, place))| {
            let stage = Stage::new(part, place, ground, told.clone());
            let tried = stage.instance().map_err(|crash| (index, crash))?;
            stage.put_back(tried);
            Ok(stage)
        });
        stages.collect::<Result<_, _>>().map(Self)
    }
}

impl Stages for Chain {
    fn judge(&self, way: Way, message: &Passing<'_>, content: &mut Content) -> Result<(), SendError> {
        self.0.iter().try_for_each(|stage| stage.judge(way, message, content))
    }
}

/// One stage of a chain.
struct Stage {
    name: String,
    place: &'static str,
    component: Arc<Component>,
    settings: Arc<BTreeMap<String, String>>,
    log: Arc<GuestLog>,
    told: Arc<Mutex<Quota>>,
    usage: Arc<Usage>,
    ground: Ground,
    idle: Mutex<Vec<Ready>>,
}

/// An instance, and how long its calls took.
struct Ready {
    instance: StageInstance,
    watch: Stopwatch,
}

impl Stage {
    fn new(part: Part, place: &'static str, ground: &Ground, told: Arc<Mutex<Quota>>) -> Self {
        let Part { name, component, settings } = part;
        let (source, lines) = (format!("interceptor:{name}"), ground.limits.log_lines_per_second);
        let log = GuestLog::new(ground.logs.clone(), &source, lines, &ground.metrics.refusals);
        let usage = ground.usages.of(&format!("{place} {name}"));
        Self {
            name,
            place,
            component,
            settings: Arc::new(settings),
            log: Arc::new(log),
            told,
            usage,
            ground: ground.clone(),
            idle: Mutex::default(),
        }
    }

    fn judge(&self, way: Way, message: &Passing<'_>, content: &mut Content) -> Result<(), SendError> {
        let mut ready = self.instance().map_err(|crash| self.failed(way, message, crash.kind(), &crash))?;
        let entered = Instant::now();
        let verdict = ready.instance.judge(way, message, content);
        ready.watch.record(entered.elapsed());
        ready.instance.pass_on(&self.usage);
        // An instance that crashed ends here; the next message gets a new one.
        let verdict = verdict.map_err(|crash| self.failed(way, message, crash.kind(), &crash))?;
        self.put_back(ready);
        let denied = |why: String| SendError::Denied(format!("the interceptor `{}` {why}", self.name));
        match verdict {
            Verdict::Pass => self.count("pass"),
            Verdict::Rewrite(rewritten) => {
                if let Some(why) = self.out_of_bounds(&rewritten) {
                    return Err(self.failed(way, message, "bounds", &why));
                }
                self.count("rewrite");
                *content = rewritten;
            }
            Verdict::Reject(why) => {
                self.count("reject");
                return Err(denied(format!("rejects this: {why}")));
            }
        }
        Ok(())
    }

    /// Why a rewritten message may not go on.
    fn out_of_bounds(&self, content: &Content) -> Option<String> {
        let (body_max, type_max) = (self.ground.limits.body_bytes as usize, CONTENT_TYPE_BYTES_MAX);
        let over = |what: &str, given: usize, max: usize| {
            (given > max).then(|| format!("made the {what} {given} bytes long, and {max} are allowed"))
        };
        let body = over("body", content.body.len(), body_max);
        body.or_else(|| over("content-type", content.content_type.len(), type_max))
    }

    /// Fails closed: what a stage could not judge does not pass.
    fn failed(&self, way: Way, message: &Passing<'_>, kind: &str, why: &dyn std::fmt::Display) -> SendError {
        self.count("fail");
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let (name, way, why) = (&self.name, way.name(), why.to_string());
            tracing::warn!(interceptor = %name, way, kind, why, "an interceptor failed, and its message is refused");
            let detail = json!({
                "interceptor": name, "place": self.place, "way": way, "kind": kind, "reason": why,
                "message": message.id.to_string(), "sender": message.sender.to_string(),
            });
            report(&self.ground.bus, "interceptor.failed", Source::Component(self.digest()), &detail);
        }
        SendError::Denied(format!("the interceptor `{}` {why}: nothing passes it unjudged", self.name))
    }

    fn count(&self, verdict: &'static str) {
        let InterceptorMetrics { verdicts, .. } = &self.ground.metrics.interceptors;
        verdicts.add([self.place, verdict], 1);
    }

    fn digest(&self) -> Digest {
        self.component.digest()
    }

    /// An instance that nobody else enters.
    fn instance(&self) -> Result<Ready, Crash> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(ready) = idle {
            return Ok(ready);
        }
        let mut state = GuestState::new(&self.ground.limits, self.capabilities());
        // What is counted with each message an instance counts for itself, and passes on.
        state.limiter.count_by(self.usage.clone());
        state.capabilities.logging.count_by(&self.usage);
        let instance = StageInstance::new(&self.component, state)?;
        self.ground.metrics.runtime.instantiations.add(1);
        Ok(Ready { instance, watch: self.ground.metrics.interceptors.seconds.stopwatch(self.place) })
    }

    fn put_back(&self, mut ready: Ready) {
        ready.watch.flush();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(ready);
        }
    }

    fn capabilities(&self) -> Capabilities {
        let Ground { bus, metrics, limits, .. } = &self.ground;
        let (log, refused) = (&self.log, &metrics.refusals);
        let (source, told) = (Source::Component(self.digest()), Some(limits.events_per_second));
        Capabilities {
            messaging: None,
            keyvalue: None,
            events: events::Ctx::new(bus.clone(), source, told, log.clone(), refused),
            logging: logging::Ctx::new(log.clone()),
            config: config::Ctx::new(self.settings.clone()),
            cli: cli::Ctx::new(log.clone()),
            random: random::Ctx::new(0),
        }
    }
}

/// Tells that something happened.
pub(super) fn report(bus: &Bus, kind: &'static str, source: Source, detail: &serde_json::Value) {
    let content = Content { content_type: "application/json".into(), body: detail.to_string().into() };
    bus.publish(kind, source, content, clock::now_ms());
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|stage| &stage.name)).finish()
    }
}
