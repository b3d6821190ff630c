//! All Souls, counted: for metrics and for whoever asks how the node is.

use std::sync::{Arc, PoisonError, Weak};

use super::registry::{Inner, Souls};
use super::status::{State, read};
use crate::telemetry::instruments::{RuntimeFigures, SoulStates, TransportFigures};

/// All Souls, counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Census {
    /// By what they are doing.
    pub states: SoulStates,
    /// Linear memory of those in memory, in bytes.
    pub memory_bytes: u64,
    /// Messages that wait in all mailboxes.
    pub waiting: u64,
}

impl Souls {
    /// How many Souls are in each state, and what those in memory take.
    pub fn census(&self) -> Census {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut census = Census::default();
        for handle in table.values() {
            let count = match handle.status.get().0 {
                State::Starting | State::Running => &mut census.states.running,
                State::Passive => &mut census.states.passive,
                State::BackingOff => &mut census.states.backing_off,
                State::Stopped => &mut census.states.stopped,
                State::Failed => &mut census.states.failed,
            };
            *count += 1;
            census.memory_bytes += read(&handle.status.memory_bytes);
            census.waiting += handle.mailbox.as_ref().map_or(0, |mailbox| mailbox.len() as u64);
        }
        census
    }

    /// Lets the metrics look the Souls up, for as long as there are any.
    pub(super) fn observe(&self) {
        let metrics = &self.0.host.metrics;
        let census =
            |inner: &Weak<Inner>| inner.upgrade().map(|inner| Self(inner).census()).unwrap_or_default();
        let weak = Arc::downgrade(&self.0);
        metrics.souls.observe(move || census(&weak).states);
        let weak = Arc::downgrade(&self.0);
        metrics.runtime.observe(move || {
            let components = weak.upgrade().map_or(0, |inner| inner.host.components.loaded() as u64);
            let census = census(&weak);
            RuntimeFigures { instances: census.states.running, memory_bytes: census.memory_bytes, components }
        });
        let weak = Arc::downgrade(&self.0);
        metrics.transport.observe(move || {
            let bus = weak.upgrade().map(|inner| inner.host.bus.clone());
            let (events, subscribers) =
                bus.map_or((0, 0), |bus| (bus.fill().latest, bus.subscribers() as u64));
            TransportFigures { waiting: census(&weak).waiting, events, subscribers }
        });
    }
}
