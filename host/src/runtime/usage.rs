//! What guests use, counted where it happens.
//!
//! A Soul's figures have one writer at a time, who runs it: what it adds it loads and stores, which costs no more than
//! a plain number. Only what is seldom changed, or has several writers, is changed at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::transport::envelope::SendError;

/// The figures of one guest, since it was launched on this node. Reading them takes no lock, and they need not be of
/// one moment.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Usage {
    cpu_ns: AtomicU64,
    fuel: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    kv: AtomicU64,
    calls: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    memory_bytes: AtomicU64,
}

/// A look at a [`Usage`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Processor time in the guest, in nanoseconds.
    pub cpu_ns: u64,
    /// Fuel: about one unit an instruction.
    pub fuel: u64,
    /// Messages that it was given to handle, or to judge.
    pub received: u64,
    /// Messages that it sent, questions among them, replies left out.
    pub sent: u64,
    /// Operations on the KV.
    pub kv: u64,
    /// Calls to services outside the realm.
    pub calls: u64,
    /// Log lines that were dropped.
    pub dropped: u64,
    /// What it was refused: for want of a grant, by a quota, by a bound, by whom it wrote to.
    pub refused: u64,
    /// Linear memory, in bytes: what there is, not a sum.
    pub memory_bytes: u64,
}

/// For a figure with one writer.
fn add(figure: &AtomicU64, more: u64) {
    figure.store(figure.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl Usage {
    /// The figures.
    pub fn look(&self) -> Used {
        let look = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Used {
            cpu_ns: look(&self.cpu_ns),
            fuel: look(&self.fuel),
            received: look(&self.received),
            sent: look(&self.sent),
            kv: look(&self.kv),
            calls: look(&self.calls),
            dropped: look(&self.dropped),
            refused: look(&self.refused),
            memory_bytes: look(&self.memory_bytes),
        }
    }

    /// An entry has ended that took so much.
    pub(super) fn ran(&self, cpu: Duration, fuel: u64) {
        add(&self.cpu_ns, u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX));
        add(&self.fuel, fuel);
    }

    /// It was given so many messages.
    pub(super) fn received(&self, messages: u64) {
        add(&self.received, messages);
    }

    /// It tried to send a message, or asked.
    pub(crate) fn said(&self, refusal: Option<&SendError>) {
        match refusal {
            // What was accepted and not answered was sent all the same.
            None | Some(SendError::DeadlineExceeded | SendError::Failed(_)) => add(&self.sent, 1),
            Some(_) => self.refused(),
        }
    }

    /// It used the KV.
    pub(crate) fn used_kv(&self) {
        add(&self.kv, 1);
    }

    /// It called a service outside the realm.
    pub(crate) fn called(&self) {
        add(&self.calls, 1);
    }

    /// A line of its was dropped.
    pub(crate) fn dropped(&self) {
        add(&self.dropped, 1);
    }

    /// It was refused something.
    pub(crate) fn refused(&self) {
        add(&self.refused, 1);
    }

    /// It has so many bytes more; several instances may at once.
    pub(super) fn grew(&self, bytes: u64) {
        self.memory_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// It has so many bytes less.
    pub(super) fn shrank(&self, bytes: u64) {
        self.memory_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes over what one of several instances has counted for itself; memory is counted at once.
    pub(super) fn absorb(&self, of_one: &Self) {
        for (sum, one) in [
            (&self.cpu_ns, &of_one.cpu_ns),
            (&self.fuel, &of_one.fuel),
            (&self.received, &of_one.received),
            (&self.dropped, &of_one.dropped),
            (&self.refused, &of_one.refused),
        ] {
            let more = one.load(Ordering::Relaxed);
            if more > 0 {
                one.store(0, Ordering::Relaxed);
                sum.fetch_add(more, Ordering::Relaxed);
            }
        }
    }
}

impl Used {
    /// What was used since `before`; of memory, what there is.
    pub fn since(&self, before: &Self) -> Self {
        let more = |now: u64, before: u64| now.saturating_sub(before);
        Self {
            cpu_ns: more(self.cpu_ns, before.cpu_ns),
            fuel: more(self.fuel, before.fuel),
            received: more(self.received, before.received),
            sent: more(self.sent, before.sent),
            kv: more(self.kv, before.kv),
            calls: more(self.calls, before.calls),
            dropped: more(self.dropped, before.dropped),
            refused: more(self.refused, before.refused),
            memory_bytes: self.memory_bytes,
        }
    }
}

/// The figures of guests that go by a name, for as long as any of their instances live. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Usages(Arc<Mutex<BTreeMap<String, Weak<Usage>>>>);

impl Usages {
    /// The figures that go by this name.
    pub fn of(&self, name: &str) -> Arc<Usage> {
        let mut usages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = usages.get(name).and_then(Weak::upgrade) {
            return usage;
        }
        // Who has ended is forgotten when the next one comes.
        usages.retain(|_, usage| usage.strong_count() > 0);
        let usage = Arc::new(Usage::default());
        usages.insert(name.to_owned(), Arc::downgrade(&usage));
        usage
    }

    /// Everybody who lives, in the order of their names.
    pub fn all(&self) -> Vec<(String, Arc<Usage>)> {
        let usages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        usages.iter().filter_map(|(name, usage)| Some((name.clone(), usage.upgrade()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_a_difference_and_memory_is_not() {
        let usage = Usage::default();
        usage.ran(Duration::from_micros(3), 7);
        usage.grew(100);
        let before = usage.look();
        usage.ran(Duration::from_micros(2), 5);
        usage.received(4);
        usage.said(None);
        usage.said(Some(&SendError::DeadlineExceeded));
        usage.said(Some(&SendError::MailboxFull));
        usage.grew(50);
        usage.shrank(20);
        let used = usage.look().since(&before);
        let expected = Used {
            cpu_ns: 2_000,
            fuel: 5,
            received: 4,
            sent: 2,
            refused: 1,
            memory_bytes: 130,
            ..Used::default()
        };
        assert_eq!(used, expected);
    }

    #[test]
    fn instances_count_together_and_are_forgotten_with_the_last() {
        let usages = Usages::default();
        let (sum, one) = (usages.of("1 redact"), Usage::default());
        one.ran(Duration::from_nanos(1), 2);
        sum.absorb(&one);
        sum.absorb(&one);
        assert_eq!((sum.look().cpu_ns, sum.look().fuel), (1, 2));
        assert!(Arc::ptr_eq(&sum, &usages.of("1 redact")));
        drop(sum);
        usages.of("2 judge");
        assert!(usages.all().is_empty());
    }
}
