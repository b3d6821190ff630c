//! How often a guest may do something: a bucket of tokens that fills again with time.

use std::time::Instant;

use crate::telemetry::metrics::TotalBy;

/// Allows so many operations a second, and as many at once.
#[derive(Debug)]
pub(crate) struct Quota {
    limit: &'static str,
    refused: TotalBy,
    per_second: u32,
    left: u32,
    filled: Instant,
}

impl Quota {
    /// A quota whose refusals are counted in `refused`, under the name of the limit.
    pub(crate) fn new(limit: &'static str, per_second: u32, refused: &TotalBy) -> Self {
        Self { limit, refused: refused.clone(), per_second, left: per_second, filled: Instant::now() }
    }

    /// Takes one token, if there is one. The clock is read only when the bucket is empty.
    pub(crate) fn take(&mut self) -> bool {
        if self.left == 0 {
            let now = Instant::now();
            self.fill(now);
        }
        let granted = self.left > 0;
        self.left -= u32::from(granted);
        // Where nothing may be done at all, as when a run is gone through again, nothing is exceeded either.
        let exceeded = !granted && self.per_second > 0;
        self.refused.add(self.limit, exceeded.into());
        granted
    }

    /// Allows so many operations a second from now on, and as many at once.
    pub(crate) fn allow(&mut self, per_second: u32) {
        self.per_second = per_second;
        self.left = per_second;
        self.filled = Instant::now();
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        let gained = (elapsed * f64::from(self.per_second)).min(f64::from(self.per_second));
        if gained >= 1.0 {
            // A float that was bounded by a u32 converts without loss of range.
            self.left = gained as u32;
            self.filled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::{Telemetry, TelemetryConfig};

    fn quota(per_second: u32) -> Quota {
        let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
        Quota::new("messages_per_second", per_second, &telemetry.metrics().refusals)
    }

    #[test]
    fn refuses_when_empty_and_fills_with_time() {
        let mut quota = quota(10);
        let start = quota.filled;
        assert!((0..10).all(|_| quota.take()));
        quota.fill(start + Duration::from_millis(50));
        assert_eq!(quota.left, 0, "half a token is none");
        quota.fill(start + Duration::from_millis(250));
        assert_eq!(quota.left, 2);
        quota.fill(start + Duration::from_secs(3600));
        assert_eq!(quota.left, 10, "never more than one second's worth");
    }

    #[test]
    fn a_quota_of_nothing_grants_nothing() {
        let mut quota = quota(0);
        quota.filled -= Duration::from_secs(5);
        assert!(!quota.take());
        quota.allow(2);
        assert!(quota.take() && quota.take() && !quota.take());
    }
}
