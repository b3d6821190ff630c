//! How a Soul is doing: written by its actor, read by whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
