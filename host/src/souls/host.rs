//! What every Soul of this node shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;

use super::capture::Captures;
use super::crashing::next_step;
use super::manifest::Manifest;
use super::records;
use super::restart::{Next, RestartConfig};
use crate::capabilities::logging::GuestLog;
use crate::capabilities::messaging::Waits;
use crate::capabilities::{
    Capabilities, cli, config, events, grpc, http, keyvalue, logging, memory, messaging, random,
};
use crate::clock;
use crate::ids::SoulName;
use crate::kv::{Condition, Kv};
use crate::memory::Memory;
use crate::runtime::catalog::Catalog;
use crate::runtime::limits::{Limits, LimitsConfig, SNAPSHOT_BYTES_MAX};
use crate::tasks::Tasks;
use crate::telemetry::instruments::Metrics;
use crate::telemetry::logs::LogRing;
use crate::transport::bus::{Bus, Source};
use crate::transport::envelope::Content;
use crate::transport::router::Router;

/// What the operator may set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoulsConfig {
    /// How many Souls this node takes.
    pub souls_max: usize,
    /// After how many seconds without a message a Soul leaves memory.
    pub idle_seconds: u64,
    /// After how many turns a state is saved, where the manifest says nothing.
    pub checkpoint_turns: u32,
    /// After how many seconds a changed state is saved, where the manifest says nothing.
    pub checkpoint_seconds: u32,
    /// How many small inputs of each Soul are kept, to try new code with; 0: none.
    pub recorded_inputs: usize,
    /// The most bytes of a state that is saved, at most 16 MiB.
    pub state_bytes_max: usize,
    /// When a crashed Soul comes back.
    pub restart: RestartConfig,
}

impl Default for SoulsConfig {
    fn default() -> Self {
        Self {
            souls_max: 100_000,
            idle_seconds: 300,
            checkpoint_turns: 1_024,
            checkpoint_seconds: 5,
            recorded_inputs: 16,
            state_bytes_max: SNAPSHOT_BYTES_MAX,
            restart: RestartConfig::default(),
        }
    }
}

impl SoulsConfig {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// What is out of bounds, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        if (1..=SNAPSHOT_BYTES_MAX).contains(&self.state_bytes_max) {
            return Ok(());
        }
        Err(format!("souls.state_bytes_max is {}: use 1 to {SNAPSHOT_BYTES_MAX}", self.state_bytes_max))
    }

    pub(crate) fn idle_after(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }
}

/// Whether Souls may work: not while this node does not hold its lease, because others may have taken them up.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<GateState>);

#[derive(Debug, Default)]
struct GateState {
    closed: AtomicBool,
    opened: Notify,
}

impl Gate {
    /// Lets no turn begin, or lets all.
    pub fn set_open(&self, open: bool) {
        self.0.closed.store(!open, Ordering::Release);
        if open {
            self.0.opened.notify_waiters();
        }
    }

    /// Whether turns may begin.
    pub(crate) fn is_open(&self) -> bool {
        !self.0.closed.load(Ordering::Acquire)
    }

    /// Returns once turns may begin.
    pub(crate) async fn passed(&self) {
        while self.0.closed.load(Ordering::Acquire) {
            let opened = self.0.opened.notified();
            // It may have opened between the look and the wait.
            if self.0.closed.load(Ordering::Acquire) {
                opened.await;
            }
        }
    }
}

/// The rooms below that a Soul needs.
#[derive(Debug)]
pub struct Host {
    /// This node's number.
    pub node: u64,
    /// Whether Souls may work.
    pub gate: Gate,
    /// Sends messages.
    pub router: Router,
    /// Tells what happens.
    pub bus: Bus,
    /// Keeps log lines.
    pub logs: LogRing,
    /// Counts.
    pub metrics: Metrics,
    /// Calls services outside the realm.
    pub grpc: grpc::Endpoints,
    /// Sends requests to hosts outside the realm.
    pub http: http::Hosts,
    /// Keeps states.
    pub kv: Kv,
    /// Knows components.
    pub components: Catalog,
    /// Where what Souls do goes, for them to learn from.
    pub captures: Captures,
    /// What manifests may ask for.
    pub limits: LimitsConfig,
    /// What the operator set.
    pub config: SoulsConfig,
    /// Where actors run.
    pub tasks: Tasks,
}

impl Host {
    /// What one Soul may do, what it remembers, how long it waits for answers, and write as long as `fence` holds.
    pub(crate) fn capabilities(
        &self,
        manifest: &Manifest,
        limits: &Limits,
        (fence, memory): (Condition, Memory),
        random: random::Ctx,
        waits: Waits,
    ) -> Capabilities {
        let soul = &manifest.name;
        let grants = Arc::new(manifest.grants.clone());
        let source = Source::Soul(soul.clone());
        let refused = &self.metrics.refusals;
        let lines = limits.log_lines_per_second;
        let log = Arc::new(GuestLog::new(self.logs.clone(), &source.to_string(), lines, refused));
        let router = self.router.clone();
        let events = grants.events.then_some(limits.events_per_second);
        let memory = memory::Ctx::new(
            memory,
            grants.memory,
            limits.memory_per_second,
            (self.bus.clone(), source.clone()),
            refused,
            &self.metrics.souls.memory,
        );
        let called = grpc::Ctx::new(self.grpc.clone(), grants.clone(), limits, refused, waits.clone());
        Capabilities {
            memory: Some(Box::new(memory)),
            grpc: Some(Box::new(called)),
            http: Some(Box::new(http::Ctx::new(
                self.http.clone(),
                grants.clone(),
                limits,
                refused,
                (waits.clone(), log.clone()),
            ))),
            messaging: Some(messaging::Ctx::new(
                soul.clone(),
                router,
                grants.clone(),
                limits,
                refused,
                waits,
            )),
            events: events::Ctx::new(self.bus.clone(), source, events, log.clone(), refused),
            keyvalue: Some(keyvalue::Ctx::new(
                self.kv.clone(),
                soul.as_str(),
                fence,
                grants,
                limits,
                refused,
            )),
            logging: logging::Ctx::new(log.clone()),
            config: config::Ctx::new(Arc::new(manifest.config.clone())),
            cli: cli::Ctx::new(log),
            random,
        }
    }

    pub(crate) fn every_turns(&self, manifest: &Manifest) -> u32 {
        match manifest.durability.every_turns {
            0 => self.config.checkpoint_turns.max(1),
            turns => turns,
        }
    }

    pub(crate) fn every_seconds(&self, manifest: &Manifest) -> Duration {
        let seconds = match manifest.durability.every_seconds {
            0 => self.config.checkpoint_seconds.max(1),
            seconds => seconds,
        };
        Duration::from_secs(seconds.into())
    }

    /// Publishes an event of a Soul's own.
    pub(crate) fn say(&self, soul: &SoulName, kind: &str, content: Content) {
        self.bus.publish(format!("guest.{kind}"), Source::Soul(soul.clone()), content, clock::now_ms());
    }

    /// Tells the world something about a Soul.
    pub(crate) fn report(&self, kind: &'static str, soul: &SoulName, detail: &serde_json::Value) {
        self.bus.report(kind, Source::Soul(soul.clone()), detail);
    }

    pub(crate) fn report_crash(&self, soul: &SoulName, kind: &'static str, reason: &str, next: Next) {
        self.metrics.souls.failures.add(kind, 1);
        tracing::warn!(%soul, kind, reason, next = next_step(next), "a Soul crashed");
        let next = next_step(next);
        self.report("soul.crashed", soul, &json!({ "kind": kind, "reason": reason, "next": next }));
    }

    pub(crate) fn report_failed(&self, manifest: &Manifest, reason: &str) {
        let soul = &manifest.name;
        tracing::error!(%soul, reason, "a Soul has failed: spawn it again, or swap its code, to try once more");
        self.report("soul.failed", soul, &json!({ "reason": reason }));
    }

    pub(crate) async fn save_failed(&self, manifest: &Manifest, reason: &str) {
        let soul = &manifest.name;
        let wanted = records::Wanted::Failed { reason: reason.to_owned() };
        if let Err(error) = records::save(&self.kv, manifest, &wanted, None).await {
            tracing::error!(%soul, %error, "that a Soul has failed could not be saved");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_that_no_node_could_save_are_refused_in_the_settings() {
        assert_eq!(SoulsConfig::default().check(), Ok(()));
        for state_bytes_max in [0, SNAPSHOT_BYTES_MAX + 1] {
            let refused = SoulsConfig { state_bytes_max, ..SoulsConfig::default() }.check();
            assert!(refused.is_err_and(|why| why.contains("souls.state_bytes_max") && why.contains("1 to")));
        }
    }
}
