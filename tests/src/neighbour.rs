//! How long a well-behaved neighbour takes to answer while something else goes on.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::MissedTickBehavior;

use crate::node::TestNode;

/// How often it is asked. Who waited for each answer before asking again would hardly ever ask while the
/// neighbour is held up.
const EVERY: Duration = Duration::from_millis(1);

/// How long the neighbour took for each of its answers, the quickest first.
#[derive(Debug, Clone)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// The time within which `percent` of the answers came; of few answers, the slowest.
    ///
    /// # Panics
    /// Where there was no answer.
    pub fn within(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0[rank.saturating_sub(1)]
    }

    /// How many answers there were.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [half, most, all] = [50, 99, 100].map(|percent| self.within(percent));
        write!(f, "{} answers: p50 {half:.1?}, p99 {most:.1?}, slowest {all:.1?}", self.count())
    }
}

impl TestNode {
    /// Asks the neighbour every [`EVERY`], whether or not the answers before have come, until `work` is done;
    /// then waits for all answers.
    pub async fn pings_during<T>(&self, work: impl Future<Output = T>) -> (T, Latencies) {
        let (mut work, mut asked, mut taken) = (pin!(work), FuturesUnordered::new(), Vec::new());
        let mut clock = tokio::time::interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = clock.tick() => asked.push(self.ping()),
                Some(took) = asked.next() => taken.push(took),
            }
        };
        asked.push(self.ping());
        taken.extend(asked.collect::<Vec<_>>().await);
        taken.sort_unstable();
        (done, Latencies(taken))
    }

    async fn ping(&self) -> Duration {
        let asked = Instant::now();
        self.assert_lives().await;
        asked.elapsed()
    }
}
