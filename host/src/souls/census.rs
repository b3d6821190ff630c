//! All Souls, counted: for metrics and for whoever asks how the node is.

use std::sync::{Arc, PoisonError, Weak};

use super::handle::SoulUsage;
use super::registry::{Inner, Souls};
use super::status::State;
use crate::telemetry::instruments::{RuntimeFigures, SoulStates, TransportFigures};

/// All Souls, counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Census {
    /// By what they are doing.
    pub states: SoulStates,
    /// Messages that wait in all mailboxes.
    pub waiting: u64,
}

impl Souls {
    /// How many Souls are in each state, and how many messages wait for them.
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
            census.waiting += handle.mailbox.as_ref().map_or(0, |mailbox| mailbox.len() as u64);
        }
        census
    }

    /// What each Soul of this node uses, in the order of their names.
    pub fn usages(&self) -> Vec<SoulUsage> {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        table.values().map(|handle| handle.usage()).collect()
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
            let Some(inner) = weak.upgrade() else { return RuntimeFigures::default() };
            let catalog = inner.host.components.clone();
            RuntimeFigures {
                instances: Self(inner).census().states.running,
                memory_bytes: catalog.memory().used(),
                memory_bytes_max: catalog.memory().max(),
                components: catalog.loaded() as u64,
                code_bytes: catalog.components().code().used(),
            }
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
