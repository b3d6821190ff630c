//! The machine code of all components that are in memory: bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The budget of a node. Clones are the same.
#[derive(Debug, Clone)]
pub struct CodeMemory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: u64,
    used: AtomicU64,
}

/// What one component takes of it; it goes back when nobody holds the component any more.
#[derive(Debug)]
pub struct Code {
    bytes: u64,
    memory: CodeMemory,
}

impl CodeMemory {
    /// A budget of `max` bytes.
    pub(super) fn new(max: u64) -> Self {
        Self(Arc::new(Shared { max, used: AtomicU64::new(0) }))
    }

    /// Bytes of code that are in memory.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes that there may be.
    pub fn max(&self) -> u64 {
        self.0.max
    }

    /// Takes so many bytes, if they are left.
    pub(super) fn take(&self, bytes: u64) -> Option<Code> {
        let fits = |used: u64| used.checked_add(bytes).filter(|total| *total <= self.0.max);
        let taken = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.is_ok().then(|| Code { bytes, memory: self.clone() })
    }
}

#[cfg(test)]
impl Code {
    /// How much it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.memory.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_go_makes_room() {
        let memory = CodeMemory::new(10);
        let one = memory.take(6).expect("there is room");
        assert!(memory.take(5).is_none());
        let other = memory.take(4).expect("it fits exactly");
        drop(one);
        assert_eq!(memory.used(), 4);
        assert!(memory.take(u64::MAX).is_none(), "sums do not wrap");
        drop(other);
        assert_eq!((memory.used(), memory.max()), (0, 10));
    }
}
