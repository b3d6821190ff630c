//! How much time an entry into a guest has used: that of the thread which runs it. So a guest is not charged
//! for being kept from running by others, nor for what the host makes it wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::engine::EPOCH;

/// Stands for the beginning of a stretch that was not looked up.
const UNKNOWN: u64 = 0;

/// The time of one entry: stretches in which the guest runs, between others in which it does not.
#[derive(Debug)]
pub(crate) struct Budget {
    call: Duration,
    used: Duration,
    /// When the entry began, and with it the first stretch, on the wall.
    entry: Instant,
    /// When the stretch began, on the clock of the thread. Asking that clock is a system call, which would double the
    /// cost of an entry; so the first stretch counts by the wall, and for an epoch at most.
    began: Arc<AtomicU64>,
}

impl Budget {
    /// A budget of `call` for each entry.
    pub(crate) fn new(call: Duration) -> Self {
        Self { call, used: Duration::ZERO, entry: Instant::now(), began: Arc::default() }
    }

    /// What an entry may use.
    pub(crate) fn call(&self) -> Duration {
        self.call
    }

    /// An entry begins.
    pub(crate) fn enter(&mut self) {
        self.used = Duration::ZERO;
        self.entry = Instant::now();
        self.began.store(UNKNOWN, Ordering::Relaxed);
    }

    /// When the entry began.
    pub(crate) fn entry(&self) -> Instant {
        self.entry
    }

    /// Charges what the guest used up to now, and returns what the entry has used. On the guest's thread.
    pub(crate) fn charge(&mut self) -> Duration {
        let now = thread_time();
        self.used += self.stretch(now);
        self.began.store(now, Ordering::Relaxed);
        self.used
    }

    /// Whether the entry has used all that it may.
    pub(crate) fn is_spent(&self) -> bool {
        self.used >= self.call
    }

    /// What the entry has used, up to when the guest was left or last waited.
    pub(crate) fn used(&self) -> Duration {
        self.used
    }

    /// The guest is left, or about to wait. On its thread.
    pub(crate) fn pause(&mut self) {
        let known = self.began.load(Ordering::Relaxed) != UNKNOWN;
        self.used += self.stretch(if known { thread_time() } else { UNKNOWN });
    }

    /// The guest has waited, perhaps on another thread. On its thread, whose clock is asked: of a guest that waits a thousand
    /// times in an entry each stretch might be counted too long.
    pub(crate) fn resume(&mut self) {
        self.began.store(thread_time(), Ordering::Relaxed);
    }

    /// Lets the thread's other tasks go first; the guest's time stands still meanwhile.
    pub(crate) fn give_way(&self) -> impl Future<Output = ()> + Send + use<> {
        let began = self.began.clone();
        async move {
            tokio::task::yield_now().await;
            // Perhaps on another thread, whose clock is another.
            began.store(thread_time(), Ordering::Relaxed);
        }
    }

    fn stretch(&self, now: u64) -> Duration {
        match self.began.load(Ordering::Relaxed) {
            UNKNOWN => self.entry.elapsed().min(EPOCH),
            began => Duration::from_nanos(now.saturating_sub(began)),
        }
    }
}

/// How long this thread has run, in nanoseconds; never 0.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the thread busy for so much of its own time.
    fn work(time: Duration) {
        let began = thread_time();
        while Duration::from_nanos(thread_time() - began) < time {}
    }

    fn budget() -> Budget {
        let mut budget = Budget::new(Duration::from_millis(20));
        budget.enter();
        budget
    }

    #[test]
    fn only_running_counts() {
        let mut budget = budget();
        work(EPOCH);
        assert_eq!(budget.charge(), EPOCH);
        #[expect(
            clippy::disallowed_methods,
            reason = "that a thread which does not run is free is what is tested"
        )]
        std::thread::sleep(Duration::from_millis(50));
        let used = budget.charge();
        assert!(used < Duration::from_millis(10), "{used:?}");
        work(Duration::from_millis(20));
        assert!(budget.charge() >= Duration::from_millis(20) && budget.is_spent());
        budget.enter();
        assert!(!budget.is_spent(), "each entry has the whole of it");
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "that a thread which does not run is free is what is tested"
    )]
    fn a_guest_that_waits_often_is_charged_for_what_it_runs_in_between() {
        let mut budget = budget();
        for _ in 0..50 {
            budget.pause();
            budget.resume();
            std::thread::sleep(EPOCH);
        }
        budget.pause();
        assert!(budget.used() < Duration::from_millis(20), "{:?}", budget.used());
        budget.resume();
        work(Duration::from_millis(20));
        budget.pause();
        assert!(budget.is_spent());
    }

    #[tokio::test]
    async fn what_the_host_makes_it_wait_for_is_free() {
        let mut budget = budget();
        for _ in 0..2 {
            budget.pause();
            work(Duration::from_millis(30));
            budget.resume();
        }
        assert!(budget.charge() <= 3 * EPOCH);
        let way = budget.give_way();
        work(Duration::from_millis(30));
        way.await;
        assert!(!budget.is_spent() && budget.charge() < Duration::from_millis(20));
    }
}
