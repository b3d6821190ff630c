//! How a Soul is doing: written by its actor, read by whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::restart::Next;
use crate::clock;
use crate::runtime::usage::Usage;

/// What a Soul is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waiting for its component to be instantiated.
    Starting,
    /// In memory.
    Running,
    /// Out of memory until the next message.
    Passive,
    /// Crashed; to be restarted after a pause.
    BackingOff,
    /// Stopped by an operator.
    Stopped,
    /// Crashed too often.
    Failed,
}

/// Shared between an actor and its registry. One writer, so that nothing is contended.
#[derive(Debug)]
pub(crate) struct Status {
    condition: Mutex<Condition>,
    pub(crate) handled: AtomicU64,
    pub(crate) crashes: AtomicU64,
    pub(crate) memory_bytes: AtomicU64,
    pub(crate) fuel_used: AtomicU64,
    pub(crate) checkpoint_at_ms: AtomicU64,
    /// When it is tried again, in milliseconds since the Unix epoch.
    pub(crate) again_at_ms: AtomicU64,
    /// Crashes within the window, as of the last one, and when that window is over.
    recent: AtomicU64,
    recent_until_ms: AtomicU64,
    pub(crate) schema: Mutex<String>,
    pub(crate) usage: Arc<Usage>,
}

#[derive(Debug)]
struct Condition {
    state: State,
    reason: String,
}

impl Status {
    pub(crate) fn new(state: State, reason: String) -> Self {
        Self {
            condition: Mutex::new(Condition { state, reason }),
            handled: AtomicU64::new(0),
            crashes: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            fuel_used: AtomicU64::new(0),
            checkpoint_at_ms: AtomicU64::new(0),
            again_at_ms: AtomicU64::new(0),
            recent: AtomicU64::new(0),
            recent_until_ms: AtomicU64::new(0),
            schema: Mutex::default(),
            usage: Arc::default(),
        }
    }

    /// Changes the state; an empty reason keeps the last one.
    pub(crate) fn set(&self, state: State, reason: &str) {
        let mut condition = self.condition.lock().unwrap_or_else(PoisonError::into_inner);
        condition.state = state;
        if !reason.is_empty() {
            reason.clone_into(&mut condition.reason);
        }
    }

    /// It crashed, for so many times in a window of so many seconds.
    pub(crate) fn note_crash(&self, next: Next, recent: usize, window_seconds: u64) {
        let window_ms = window_seconds.saturating_mul(1_000);
        self.crashes.fetch_add(1, Ordering::Relaxed);
        self.recent.store(recent as u64, Ordering::Relaxed);
        self.recent_until_ms.store(clock::now_ms().saturating_add(window_ms), Ordering::Relaxed);
        if let Next::Restart(pause) = next {
            self.note_pause(pause);
        }
    }

    /// It is tried again after so long.
    pub(crate) fn note_pause(&self, pause: Duration) {
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.again_at_ms.store(clock::now_ms().saturating_add(pause_ms), Ordering::Relaxed);
    }

    /// Crashes that count now.
    pub(crate) fn crashes_recent(&self) -> u64 {
        if read(&self.recent_until_ms) > clock::now_ms() { read(&self.recent) } else { 0 }
    }

    /// A state with this layout was saved.
    pub(crate) fn saved(&self, schema: &str, at_ms: u64) {
        self.checkpoint_at_ms.store(at_ms, Ordering::Relaxed);
        schema.clone_into(&mut self.schema.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The state, and the last reason that was given.
    pub(crate) fn get(&self) -> (State, String) {
        let condition = self.condition.lock().unwrap_or_else(PoisonError::into_inner);
        (condition.state, condition.reason.clone())
    }
}

/// A counter's value.
pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
