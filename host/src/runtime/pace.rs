//! Which thread a call into a guest runs on.
//!
//! Most calls take microseconds, and are made where they are asked for. A call that goes on keeps its thread
//! from everybody else. So it gives the thread's other tasks away, and its component is remembered for a while:
//! its next calls are made on threads for long ones, of which there are fewer than processors. However many
//! guests never return, a processor is left for all others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::component::Component;
use super::engine::EPOCH;
use super::guest::Crash;
use super::inspect::Kind;
use super::memory::GuestMemory;
use crate::ids::Digest;
use crate::tasks::Tasks;
use crate::telemetry::metrics::{Total, TotalBy};

/// A call is long once it has used as much of its thread: some batches of messages, two epochs.
pub(crate) const LONG: Duration = Duration::from_millis(4);
/// What a component's long calls may use beyond that in one window. A machine that stands still for a moment
/// makes a call look long; it must not cost a quick component its place.
const ALLOWED: Duration = Duration::from_millis(20);
/// The window, in milliseconds.
const WINDOW_MS: u64 = 1_000;
/// How long a component's calls are made on the slow threads after they used more.
const REMEMBERED: Duration = Duration::from_secs(10);

/// An instance passes on what it used after so many entries, or so much time.
const SHARE_ENTRIES_MAX: u32 = 256;
const SHARE_CPU_MAX: Duration = Duration::from_millis(50);

/// What all guests of a node have in common.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Where long calls run.
    pub slow: Tasks,
    /// Counts the calls that are made there.
    pub slow_calls: Total,
    /// The linear memory of all guests together.
    pub memory: GuestMemory,
    /// Counts the processor time of all guests, in microseconds, and their fuel, by what they are.
    pub used: [TotalBy; 2],
}

/// What an instance has yet to add to the totals of all: plain numbers, because totals are shared.
#[derive(Debug)]
pub(crate) struct Share {
    totals: [TotalBy; 2],
    kind: &'static str,
    entries: u32,
    cpu: Duration,
    fuel: u64,
}

impl Share {
    /// Of a new instance.
    pub(crate) fn of(component: &Component) -> Self {
        let kind = match component.info().kind {
            Kind::Soul => "soul",
            Kind::Rules => "rules",
            Kind::Transport => "interceptor",
        };
        let totals = component.pace().ground.used.clone();
        Self { totals, kind, entries: 0, cpu: Duration::ZERO, fuel: 0 }
    }

    /// An entry used so much.
    pub(crate) fn add(&mut self, cpu: Duration, fuel: u64) {
        self.entries += 1;
        self.cpu += cpu;
        self.fuel += fuel;
        if self.entries >= SHARE_ENTRIES_MAX || self.cpu >= SHARE_CPU_MAX {
            self.pass_on();
        }
    }

    fn pass_on(&mut self) {
        let micros = u64::try_from(self.cpu.as_micros()).unwrap_or(u64::MAX);
        let [cpu, fuel] = &self.totals;
        cpu.add(self.kind, micros);
        fuel.add(self.kind, std::mem::take(&mut self.fuel));
        // What is less than a microsecond is added to what comes.
        self.cpu -= Duration::from_micros(micros);
        self.entries = 0;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pass_on();
    }
}

/// How a guest is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// On the caller's stack: for guests that import nothing that waits.
    Direct,
    /// On a stack of its own, which may be left and entered again.
    Fiber,
}

/// Where one call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Here, on the caller's stack: nobody else runs on this thread until it returns.
    Direct,
    /// Here, on a stack of its own: others get their turn while it waits.
    Fiber,
    /// On a slow thread, on a stack of its own: others who are slow get their turn at each epoch.
    Slow,
}

/// How quick one component's calls are.
#[derive(Debug)]
pub(crate) struct Pace {
    digest: Digest,
    mode: Mode,
    ground: Ground,
    made: Instant,
    /// Epochs in which a call was long, in the window that began so many milliseconds after `made`.
    long: Mutex<(u64, u32)>,
    /// Until when its calls are taken to be long, in milliseconds after `made`.
    slow_until: AtomicU64,
}

impl Pace {
    /// Of a component that has not been called yet.
    pub(crate) fn new(digest: Digest, mode: Mode, ground: Ground) -> Self {
        Self {
            digest,
            mode,
            ground,
            made: Instant::now(),
            long: Mutex::default(),
            slow_until: AtomicU64::new(0),
        }
    }

    /// What it shares with all others.
    pub(crate) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Where its next call is made.
    pub(crate) fn lane(&self) -> Lane {
        let until = self.slow_until.load(Ordering::Relaxed);
        // The clock is read only for components that were slow at all.
        if until > 0 && self.now_ms() < until {
            return Lane::Slow;
        }
        match self.mode {
            Mode::Direct => Lane::Direct,
            Mode::Fiber => Lane::Fiber,
        }
    }

    /// A call is long, and another epoch has passed.
    pub(crate) fn note_long(&self) {
        let now = self.now_ms();
        let mut long = self.long.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(long.0) >= WINDOW_MS {
            *long = (now, 0);
        }
        long.1 = long.1.saturating_add(1);
        if EPOCH * long.1 <= ALLOWED {
            return;
        }
        drop(long);
        let remembered = u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX);
        let before = self.slow_until.swap(now.saturating_add(remembered), Ordering::Relaxed);
        if before <= now {
            tracing::info!(component = %self.digest, "a call takes long: the component's calls give way to others");
        }
    }

    /// Runs a call on a slow thread. Where the future is dropped, the call ends at the next epoch.
    pub(crate) async fn slowly<F>(&self, call: F) -> Result<F::Output, Crash>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.ground.slow_calls.add(1);
        let abandoned = CancellationToken::new();
        let _held = abandoned.clone().drop_guard();
        let call = async move { abandoned.run_until_cancelled(call).await };
        let ended = self.ground.slow.spawn("slow call", call.in_current_span()).await;
        ended.ok().flatten().ok_or_else(|| Crash::Trap("the node stopped before it returned".into()))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::telemetry::{Telemetry, TelemetryConfig};

    fn pace(mode: Mode) -> Pace {
        let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
        let metrics = telemetry.metrics();
        let memory = GuestMemory::new(u64::MAX, &metrics.refusals);
        let ground = Ground {
            slow: Tasks::new(),
            slow_calls: metrics.runtime.slow_calls.clone(),
            memory,
            used: metrics.runtime.guests.clone(),
        };
        Pace::new(Digest::of(b"component"), mode, ground)
    }

    #[test]
    fn who_was_slow_is_so_for_a_while() {
        for (mode, lane) in [(Mode::Direct, Lane::Direct), (Mode::Fiber, Lane::Fiber)] {
            let mut pace = pace(mode);
            let epochs = |pace: &Pace, count: u128| (0..count).for_each(|_| pace.note_long());
            let allowed = ALLOWED.as_millis() / EPOCH.as_millis();
            epochs(&pace, allowed);
            assert_eq!(pace.lane(), lane, "so much is let pass");
            epochs(&pace, 1);
            assert_eq!(pace.lane(), Lane::Slow);
            pace.made -= REMEMBERED + Duration::from_millis(1);
            assert_eq!(pace.lane(), lane);
            epochs(&pace, allowed);
            assert_eq!(pace.lane(), lane, "the window is another");
            epochs(&pace, 1);
            assert_eq!(pace.lane(), Lane::Slow, "it is remembered anew");
        }
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_ends() {
        let pace = pace(Mode::Direct);
        assert_eq!(pace.slowly(async { 42 }).await, Ok(42));
        let mut call = Box::pin(pace.slowly(std::future::pending::<()>()));
        assert!((&mut call).now_or_never().is_none());
        drop(call);
        assert!(pace.ground.slow.stop(Duration::from_secs(5)).await, "it goes on");
    }
}
