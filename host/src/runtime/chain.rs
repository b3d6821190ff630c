//! The chain of stages that judges messages: each stage in instances of its own, entered on the thread of whoever
//! sends or delivers.

mod recorded;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;

pub(super) use self::recorded::{Recorded, Said};
use super::component::Component;
use super::guest::Crash;
use super::limits::Limits;
use super::stage::{StageInstance, Verdict};
use super::state::GuestState;
use super::usage::{Usage, Usages};
use crate::capabilities::logging::GuestLog;
use crate::capabilities::quota::Quota;
use crate::capabilities::{Capabilities, config};
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
    /// How many of the last messages are remembered at each place of the chain, so that new code can be tried with
    /// them: at most 256, and none that is longer than 4 KiB. 0: none.
    pub recorded_messages: u32,
}

impl Default for InterceptorsConfig {
    fn default() -> Self {
        Self { call_ms: 20, call_fuel: 500_000_000, memory_bytes: 16 << 20, recorded_messages: 16 }
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
    /// What came to each place last.
    pub(super) recorded: Arc<[Recorded; STAGES_MAX]>,
    /// How much of that is kept at a place.
    pub(super) recorded_max: usize,
}

/// One stage before it is made: its name in errors, its component, its settings.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) component: Arc<Component>,
    pub(super) settings: BTreeMap<String, String>,
    /// New code on trial, or why it cannot be had.
    pub(super) next: Option<Result<Arc<Component>, String>>,
}

/// How a stage judges on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// The code that judges.
    pub running: Digest,
    /// Why new code that is on trial does not judge; empty: it does, or there is none.
    pub failure: String,
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
            let Part { name, component, settings, next } = part;
            let settings = Arc::new(settings);
            let stage =
                |component| Stage::new(&name, component, settings.clone(), (index, place), ground, &told);
            let mut now = stage(component);
            now.try_out().map_err(|crash| (index, crash))?;
            now.trial = next.map(|next| Trial::new(next.map(stage)));
            Ok(now)
        });
        stages.collect::<Result<_, _>>().map(Self)
    }

    /// How each stage judges.
    pub(super) fn here(&self) -> Vec<Here> {
        self.0.iter().map(Stage::here).collect()
    }
}

impl Stages for Chain {
    fn judge(&self, way: Way, message: &Passing<'_>, content: &mut Content) -> Result<(), SendError> {
        self.0.iter().try_for_each(|stage| stage.judge(way, message, content))
    }
}

/// New code in the place of a stage's own, which stands behind it: from its first failure on, that judges again.
struct Trial {
    /// None: it never came to life.
    stage: Option<Box<Stage>>,
    failed: OnceLock<String>,
}

impl Trial {
    fn new(stage: Result<Stage, String>) -> Self {
        let tried = stage.and_then(|stage| {
            stage.try_out().map(|()| Box::new(stage)).map_err(|crash| format!("it {crash}"))
        });
        match tried {
            Ok(stage) => Self { stage: Some(stage), failed: OnceLock::new() },
            Err(why) => Self { stage: None, failed: OnceLock::from(why) },
        }
    }

    /// The new code, as long as it has not failed.
    fn stage(&self) -> Option<&Stage> {
        self.stage.as_deref().filter(|_| self.failed.get().is_none())
    }
}

/// A message that a stage could not judge.
struct Failure {
    kind: &'static str,
    why: String,
}

impl From<Crash> for Failure {
    fn from(crash: Crash) -> Self {
        Self { kind: crash.kind(), why: crash.to_string() }
    }
}

/// One stage of a chain.
struct Stage {
    name: String,
    place: &'static str,
    /// The place, from 0.
    index: usize,
    component: Arc<Component>,
    settings: Arc<BTreeMap<String, String>>,
    log: Arc<GuestLog>,
    told: Arc<Mutex<Quota>>,
    usage: Arc<Usage>,
    ground: Ground,
    idle: Mutex<Vec<Ready>>,
    trial: Option<Trial>,
}

/// An instance, and how long its calls took.
struct Ready {
    instance: StageInstance,
    watch: Stopwatch,
}

impl Stage {
    fn new(
        name: &str,
        component: Arc<Component>,
        settings: Arc<BTreeMap<String, String>>,
        (index, place): (usize, &'static str),
        ground: &Ground,
        told: &Arc<Mutex<Quota>>,
    ) -> Self {
        let (source, lines) = (format!("interceptor:{name}"), ground.limits.log_lines_per_second);
        let log = GuestLog::new(ground.logs.clone(), &source, lines, &ground.metrics.refusals);
        Self {
            name: name.to_owned(),
            place,
            index,
            component,
            settings,
            log: Arc::new(log),
            told: told.clone(),
            usage: ground.usages.of(&format!("{place} {name}")),
            ground: ground.clone(),
            idle: Mutex::default(),
            trial: None,
        }
    }

    /// Sees whether it comes to life.
    fn try_out(&self) -> Result<(), Crash> {
        self.instance().map(|tried| self.put_back(tried))
    }

    fn here(&self) -> Here {
        let judges = self.trial.as_ref().and_then(Trial::stage).unwrap_or(self);
        let failure = self.trial.as_ref().and_then(|trial| trial.failed.get());
        Here { running: judges.digest(), failure: failure.cloned().unwrap_or_default() }
    }

    fn judge(&self, way: Way, message: &Passing<'_>, content: &mut Content) -> Result<(), SendError> {
        self.ground.recorded[self.index].push(way, message, content, self.ground.recorded_max);
        if let Some(trial) = &self.trial
            && let Some(new) = trial.stage()
        {
            match new.verdict(way, message, content) {
                Ok(verdict) => return new.carry_out(verdict, content),
                Err(failure) => {
                    new.tell(way, message, &failure);
                    let why = format!("it {} (from {}, {})", failure.why, message.sender, way.name());
                    // Several threads may see it fail; the first one says why.
                    let _ = trial.failed.set(why);
                }
            }
        }
        let verdict = self.verdict(way, message, content).map_err(|failure| {
            self.tell(way, message, &failure);
            self.denied(&format!("{}: nothing passes it unjudged", failure.why))
        })?;
        self.carry_out(verdict, content)
    }

    fn verdict(&self, way: Way, message: &Passing<'_>, content: &Content) -> Result<Verdict, Failure> {
        let mut ready = self.instance()?;
        let entered = Instant::now();
        let verdict = ready.instance.judge(way, message, content);
        ready.watch.record(entered.elapsed());
        ready.instance.pass_on(&self.usage);
        // An instance that crashed ends here; the next message gets a new one.
        let verdict = verdict?;
        self.put_back(ready);
        match out_of_bounds(&verdict, &self.ground.limits) {
            Some(why) => Err(Failure { kind: "bounds", why }),
            None => Ok(verdict),
        }
    }

    fn carry_out(&self, verdict: Verdict, content: &mut Content) -> Result<(), SendError> {
        match verdict {
            Verdict::Pass => self.count("pass"),
            Verdict::Rewrite(rewritten) => {
                self.count("rewrite");
                *content = rewritten;
            }
            Verdict::Reject(why) => {
                self.count("reject");
                return Err(self.denied(&format!("rejects this: {why}")));
            }
        }
        Ok(())
    }

    fn denied(&self, why: &str) -> SendError {
        SendError::Denied(format!("the interceptor `{}` {why}", self.name))
    }

    /// Tells of a message that it could not judge: what nobody judges does not pass.
    fn tell(&self, way: Way, message: &Passing<'_>, Failure { kind, why }: &Failure) {
        self.count("fail");
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let (name, way) = (&self.name, way.name());
            tracing::warn!(interceptor = %name, way, kind, why, "an interceptor could not judge a message");
            let detail = json!({
                "interceptor": name, "place": self.place, "way": way, "kind": kind, "reason": why,
                "message": message.id.to_string(), "sender": message.sender.to_string(),
            });
            self.ground.bus.report("interceptor.failed", Source::Component(self.digest()), &detail);
        }
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
        let asks = capabilities(&self.ground, self.digest(), &self.settings, &self.log);
        let mut state = GuestState::new(&self.ground.limits, asks);
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
}

/// What the code of a stage may ask for.
pub(super) fn capabilities(
    ground: &Ground,
    component: Digest,
    settings: &Arc<BTreeMap<String, String>>,
    log: &Arc<GuestLog>,
) -> Capabilities {
    let Ground { bus, metrics, limits, .. } = ground;
    let (source, told) = (Source::Component(component), Some(limits.events_per_second));
    Capabilities {
        config: config::Ctx::new(settings.clone()),
        ..Capabilities::alone(bus.clone(), source, told, log.clone(), &metrics.refusals)
    }
}

/// Why a message that was rewritten may not go on.
pub(super) fn out_of_bounds(verdict: &Verdict, limits: &Limits) -> Option<String> {
    let Verdict::Rewrite(content) = verdict else { return None };
    let (body_max, type_max) = (limits.body_bytes as usize, CONTENT_TYPE_BYTES_MAX);
    let over = |what: &str, given: usize, max: usize| {
        (given > max).then(|| format!("made the {what} {given} bytes long, and {max} are allowed"))
    };
    let body = over("body", content.body.len(), body_max);
    body.or_else(|| over("content-type", content.content_type.len(), type_max))
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|stage| &stage.name)).finish()
    }
}
