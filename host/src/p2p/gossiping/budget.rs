//! How much a member may publish: a bucket of bytes that fills again with time.

use std::time::Duration;

use tokio::time::Instant;

/// What a message costs beside its bytes: signing and checking it takes as long as it takes to carry so many.
const MESSAGE_BYTES: f64 = 1024.0;

/// Allows so many bytes a second, and as many at once.
#[derive(Debug)]
pub(super) struct Budget {
    per_second: f64,
    /// Below zero while the last message, which may be longer than what was left, is paid for.
    left: f64,
    filled: Instant,
}

impl Budget {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, left: per_second, filled: now }
    }

    /// When there is something left.
    pub(super) fn ready(&self) -> Instant {
        if self.left > 0.0 {
            return self.filled;
        }
        self.filled + Duration::from_secs_f64((1.0 - self.left) / self.per_second)
    }

    /// Takes a message of so many bytes, if anything is left.
    pub(super) fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.left = (self.left + elapsed * self.per_second).min(self.per_second);
        self.filled = self.filled.max(now);
        let granted = self.left > 0.0;
        if granted {
            self.left -= bytes as f64 + MESSAGE_BYTES;
        }
        granted
    }

    /// Whether it would be full by now, as a new one is.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.left + elapsed * self.per_second >= self.per_second
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_when_empty_and_fills_with_time() {
        let start = Instant::now();
        let mut budget = Budget::new(4_096, start);
        assert!((0..4).all(|_| budget.take(0, start)));
        assert!(!budget.take(0, start) && !budget.is_full(start));
        let ready = budget.ready();
        assert!(ready > start && budget.take(4_096, ready), "a long one is paid for later");
        assert!(!budget.take(0, ready + Duration::from_secs(1)));
        assert!(budget.is_full(ready + Duration::from_secs(3)));
    }

    proptest! {
        #[test]
        fn never_gives_more_than_time_brings(
            messages in proptest::collection::vec((0usize..100_000, 0u64..500), 1..200),
        ) {
            let (start, mut waited, mut taken) = (Instant::now(), 0, 0.0);
            let mut budget = Budget::new(65_536, start);
            for (bytes, more) in messages {
                waited += more;
                let now = start + Duration::from_millis(waited);
                if budget.take(bytes, now) {
                    taken += bytes as f64 + MESSAGE_BYTES;
                }
                let most = 65_536.0 * (1.0 + waited as f64 / 1000.0) + 100_000.0 + 2.0 * MESSAGE_BYTES;
                prop_assert!(taken <= most, "{taken} of {most}");
                prop_assert!(budget.take(0, budget.ready().max(now)), "it is ready when it says so");
                taken += MESSAGE_BYTES;
                waited = waited.max((budget.filled - start).as_millis() as u64);
            }
        }
    }
}
