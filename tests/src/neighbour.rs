//! How long a well-behaved neighbour takes to answer while something else goes on.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::MissedTickBehavior;

use crate::node::TestNode;

/// How often it is asked. Who waited for each answer before asking again would hardly ever ask while the
/// neighbour is held up.
const EVERY: Duration = Duration::from_millis(1);
/// How long it is asked to learn how quick it is when nothing else goes on.
const QUIET: Duration = Duration::from_millis(200);
/// By how much it may take longer beside a hostile guest.
const TIMES_MAX: u32 = 5;
/// What is no harm in any case: a debug build on a machine with other work answers late by itself. A guest
/// that kept others from a thread would do so until its deadline: half a second at least where many do.
const NO_HARM: Duration = Duration::from_millis(50);

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
    /// Does `work`, and checks that the neighbour hardly notices: that the p99 of its answers stays within
    /// five times what it is when nothing else goes on.
    ///
    /// # Panics
    /// Where it notices.
    pub async fn undisturbed<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let quiet = async { self.pings_during(tokio::time::sleep(QUIET)).await.1 };
        let quiet = self.quiet.get_or_init(|| quiet).await.within(99);
        let (done, beside) = self.pings_during(work).await;
        println!("{what}: the neighbour's p99 was {quiet:.1?}; beside it, {beside}");
        let most = (quiet * TIMES_MAX).max(NO_HARM);
        assert!(beside.within(99) <= most, "{what}: the neighbour took {beside}, and {quiet:?} when quiet");
        done
    }

    /// Asks the neighbour every [`EVERY`], whether or not the answers before have come, until `work` is done;
    /// then waits for all answers.
    pub async fn pings_during<T>(&self, work: impl Future<Output = T>) -> (T, Latencies) {
        self.during(work, || self.assert_lives()).await
    }

    /// The same with a question to another Soul.
    ///
    /// # Panics
    /// Where it does not answer.
    pub async fn answers_during<T>(
        &self,
        soul: &str,
        question: &str,
        work: impl Future<Output = T>,
    ) -> (T, Latencies) {
        let ask = || async { drop(self.ask(soul, question).await.expect("it answers")) };
        self.during(work, ask).await
    }

    async fn during<T, A: Future<Output = ()>>(
        &self,
        work: impl Future<Output = T>,
        ask: impl Fn() -> A,
    ) -> (T, Latencies) {
        let timed = || async {
            let asked = Instant::now();
            ask().await;
            asked.elapsed()
        };
        let (mut work, mut asked, mut taken) = (pin!(work), FuturesUnordered::new(), Vec::new());
        let mut clock = tokio::time::interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = clock.tick() => asked.push(timed()),
                Some(took) = asked.next() => taken.push(took),
            }
        };
        asked.push(timed());
        taken.extend(asked.collect::<Vec<_>>().await);
        taken.sort_unstable();
        (done, Latencies(taken))
    }
}
