//! The wall clock: the only place that reads it. What must not jump uses `Instant` instead.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch; 0 on a clock that is set before it.
pub fn now_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
