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
    /// How often a message is tried over which the Soul crashes, before it is a dead letter: 1 or more.
    pub attempts: u32,
}

impl Default for RestartConfig {
    fn default() -> Self {
        Self { pause_ms: 50, pause_ms_max: 30_000, crashes_max: 5, window_seconds: 60, attempts: 2 }
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
    /// From which its jitter follows: Souls that crashed together do not come back together.
    seed: u64,
    /// Pauses so far.
    pauses: u64,
    crashes: VecDeque<Instant>,
    until: Option<Instant>,
    gave_up: bool,
}

impl Restarts {
    /// No crash yet.
    pub fn new(config: RestartConfig, seed: u64) -> Self {
        Self { config, seed, pauses: 0, crashes: VecDeque::new(), until: None, gave_up: false }
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
        self.pause_from(now)
    }

    /// A message was tried again, and the Soul crashed over it again: that counts once, and pauses each time.
    pub fn after_retry(&mut self, now: Instant) -> Next {
        self.pause_from(now)
    }

    fn pause_from(&mut self, now: Instant) -> Next {
        let doublings = u32::try_from(self.crashes.len().saturating_sub(1)).unwrap_or(u32::MAX).min(20);
        let pause = self.config.pause_ms.saturating_mul(1 << doublings).min(self.config.pause_ms_max);
        self.pauses += 1;
        // From three quarters of it to all.
        let quarter = pause / 4;
        let pause = Duration::from_millis(pause - mixed(self.seed, self.pauses) % (quarter + 1));
        self.until = Some(now + pause);
        Next::Restart(pause)
    }

    /// Crashes within the window, as of the last one.
    pub fn recent(&self) -> usize {
        self.crashes.len()
    }

    /// Pauses for what is not the Soul's fault: no crash is counted. Returns for how long.
    pub fn postpone(&mut self, now: Instant) -> Duration {
        let pause = Duration::from_millis(self.config.pause_ms_max.min(1_000));
        self.until = Some(now + pause);
        pause
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

/// A number that looks like chance, and follows from both (the finalizer of SplitMix64).
fn mixed(seed: u64, count: u64) -> u64 {
    let mixed = seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_about(next: Next, ms: u64) -> bool {
        let range = Duration::from_millis(ms - ms / 4)..=Duration::from_millis(ms);
        matches!(next, Next::Restart(pause) if range.contains(&pause))
    }

    #[test]
    fn pauses_double_then_it_gives_up() {
        let config =
            RestartConfig { pause_ms: 50, pause_ms_max: 300, crashes_max: 4, ..RestartConfig::default() };
        let mut restarts = Restarts::new(config, 1);
        let now = Instant::now();
        let pauses: Vec<_> = (0..5).map(|n| restarts.after_crash(now + Duration::from_secs(n))).collect();
        let about = [50, 100, 200, 300];
        assert!(pauses.iter().zip(about).all(|(next, ms)| is_about(*next, ms)), "{pauses:?}");
        assert_eq!(pauses[4], Next::GiveUp);
        assert!(restarts.gave_up());
    }

    #[test]
    fn old_crashes_are_forgiven() {
        let mut restarts = Restarts::new(RestartConfig { crashes_max: 1, ..RestartConfig::default() }, 1);
        let now = Instant::now();
        for n in 0..10 {
            let next = restarts.after_crash(now + Duration::from_secs(61 * n));
            assert!(is_about(next, 50), "{next:?}");
        }
        assert!(restarts.pause().is_some());
        restarts.resume();
        assert!(restarts.pause().is_none() && !restarts.gave_up());
    }

    #[test]
    fn what_is_not_its_fault_never_makes_it_fail() {
        let mut restarts = Restarts::new(RestartConfig { crashes_max: 1, ..RestartConfig::default() }, 1);
        let now = Instant::now();
        for _ in 0..10 {
            assert_eq!(restarts.postpone(now), Duration::from_secs(1));
            assert_eq!(restarts.pause(), Some(now + Duration::from_secs(1)));
        }
        assert!(!restarts.gave_up());
    }
    #[test]
    fn souls_that_crash_together_come_back_apart_and_each_as_its_seed_says() {
        let config = RestartConfig { pause_ms: 1_000, ..RestartConfig::default() };
        let pause = |seed| Restarts::new(config, seed).after_crash(Instant::now());
        let pauses: Vec<_> = (0..100).map(pause).collect();
        let apart: std::collections::BTreeSet<_> = pauses.iter().map(|next| format!("{next:?}")).collect();
        assert!(apart.len() > 50 && pauses.iter().all(|next| is_about(*next, 1_000)), "{apart:?}");
        assert_eq!(pause(7), pause(7));
    }

    #[test]
    fn a_message_that_is_tried_again_counts_once() {
        let mut restarts = Restarts::new(RestartConfig { crashes_max: 1, ..RestartConfig::default() }, 1);
        let now = Instant::now();
        assert!(is_about(restarts.after_crash(now), 50));
        assert!((0..9).all(|_| is_about(restarts.after_retry(now), 50)));
        assert_eq!((restarts.recent(), restarts.after_crash(now)), (1, Next::GiveUp));
    }
}
