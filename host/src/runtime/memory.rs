//! The linear memory of all guests together: bounded, so that the system never has to kill the node for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::metrics::TotalBy;

/// The budget that all instances of a node draw on. Clones are the same budget.
#[derive(Debug, Clone)]
pub struct GuestMemory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: u64,
    used: AtomicU64,
    refused: TotalBy,
}

impl GuestMemory {
    /// A budget of `max` bytes. `refused` counts what does not fit.
    pub fn new(max: u64, refused: &TotalBy) -> Self {
        Self(Arc::new(Shared { max, used: AtomicU64::new(0), refused: refused.clone() }))
    }

    /// Bytes of linear memory that live instances have.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes that they may have together.
    pub fn max(&self) -> u64 {
        self.0.max
    }

    /// Takes so many bytes, if they are left.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|total| *total <= self.0.max);
        let taken = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        self.0.refused.add("guest_memory_bytes_max", (!taken).into());
        taken
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
