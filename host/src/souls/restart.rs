//! When a crashed Soul comes back, and when it does not. Pure: time is passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What the operator may set.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestartConfig {
    /// The pause after a first crash, in milliseconds; it doubles with each further one.
    pub pause_ms: u64,
    /// The longest pause, in milliseconds.
    pub pause_ms_max: u64,
    /// A Soul that crashes more often than this within the window has failed.
    pub crashes_max: usize,
    /// The window, in seconds.
    pub window_seconds: u64,
}

impl Default for RestartConfig {
    fn default() -> Self {
        Self { pause_ms: 50, pause_ms_max: 30_000, crashes_max: 5, window_seconds: 60 }
    }
}

/// What comes after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The Soul comes back after a pause.
    Restart(Duration),
    /// It has failed.
    GiveUp,
}

/// The crashes of one Soul.
#[derive(Debug)]
pub struct Restarts {
    config: RestartConfig,
    crashes: VecDeque<Instant>,
    until: Option<Instant>,
    gave_up: bool,
}

impl Restarts {
    /// No crash yet.
    pub fn new(config: RestartConfig) -> Self {
        Self { config, crashes: VecDeque::new(), until: None, gave_up: false }
    }

    /// Records a crash, and tells what comes next.
    pub fn after_crash(&mut self, now: Instant) -> Next {
        let window = Duration::from_secs(self.config.window_seconds);
        self.crashes.retain(|&crash| now.saturating_duration_since(crash) < window);
        self.crashes.push_back(now);
        if self.crashes.len() > self.config.crashes_max {
            self.gave_up = true;
            return Next::GiveUp;
        }
        let doublings = u32::try_from(self.crashes.len() - 1).unwrap_or(u32::MAX).min(20);
        let pause = self.config.pause_ms.saturating_mul(1 << doublings).min(self.config.pause_ms_max);
        let pause = Duration::from_millis(pause);
        self.until = Some(now + pause);
        Next::Restart(pause)
    }

    /// Pauses for what is not the Soul's fault: no crash is counted.
    pub fn postpone(&mut self, now: Instant) {
        self.until = Some(now + Duration::from_millis(self.config.pause_ms_max.min(1_000)));
    }

    /// When the present pause ends, if there is one.
    pub fn pause(&self) -> Option<Instant> {
        self.until
    }

    /// Ends the pause.
    pub fn resume(&mut self) {
        self.until = None;
    }

    /// Whether the Soul has failed.
    pub fn gave_up(&self) -> bool {
        self.gave_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_then_it_gives_up() {
        let config = RestartConfig { pause_ms: 50, pause_ms_max: 300, crashes_max: 4, window_seconds: 60 };
        let mut restarts = Restarts::new(config);
        let now = Instant::now();
        let pauses: Vec<_> = (0..5).map(|n| restarts.after_crash(now + Duration::from_secs(n))).collect();
        let restart = |ms| Next::Restart(Duration::from_millis(ms));
        assert_eq!(pauses, [restart(50), restart(100), restart(200), restart(300), Next::GiveUp]);
        assert!(restarts.gave_up());
    }

    #[test]
    fn old_crashes_are_forgiven() {
        let mut restarts = Restarts::new(RestartConfig { crashes_max: 1, ..RestartConfig::default() });
        let now = Instant::now();
        for n in 0..10 {
            let next = restarts.after_crash(now + Duration::from_secs(61 * n));
            assert_eq!(next, Next::Restart(Duration::from_millis(50)));
        }
        assert!(restarts.pause().is_some());
        restarts.resume();
        assert!(restarts.pause().is_none() && !restarts.gave_up());
    }

    #[test]
    fn what_is_not_its_fault_never_makes_it_fail() {
        let mut restarts = Restarts::new(RestartConfig { crashes_max: 1, ..RestartConfig::default() });
        let now = Instant::now();
        for _ in 0..10 {
            restarts.postpone(now);
            assert_eq!(restarts.pause(), Some(now + Duration::from_secs(1)));
        }
        assert!(!restarts.gave_up());
    }
}
