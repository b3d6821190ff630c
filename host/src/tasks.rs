//! The only place where tasks are spawned: each is named, tracked, and told to stop.

pub mod alert;
pub mod workers;

use std::future::Future;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use self::workers::Spawner;

/// A group of tasks that stop together. Clones are the same group.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    workers: Option<Spawner>,
}

impl Tasks {
    /// An empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty group whose tasks run on these threads, whoever spawns them.
    pub fn on(workers: Spawner) -> Self {
        Self { workers: Some(workers), ..Self::default() }
    }

    /// Runs `future` on the group's threads, or else on the current runtime, under `name` in traces. It must end
    /// soon after [`Tasks::stopping`] is cancelled. What it came to can be awaited; an error there says that it
    /// panicked, or that its threads have ended.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> oneshot::Receiver<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (done, ended) = oneshot::channel();
        // Nobody need wait for it.
        let future = future.map(|output| drop(done.send(output)));
        let future = self.tracker.track_future(future.instrument(tracing::debug_span!("task", name)));
        #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
        match &self.workers {
            Some(workers) => workers.spawn(future),
            None => drop(tokio::spawn(future)),
        }
        ended
    }

    /// Cancelled when the group is to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Tells every task to stop, and waits for them for at most `deadline`. True: all have ended.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.stopping.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok()
    }

    /// How many tasks have not ended.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Tells how many have not ended, for as long as one likes: it keeps no thread of theirs.
    pub fn count(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let tracker = self.tracker.clone();
        move || tracker.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stop_tells_and_waits() {
        let tasks = Tasks::new();
        let stopping = tasks.stopping();
        tasks.spawn("obedient", async move { stopping.cancelled().await });
        assert_eq!(tasks.running(), 1);
        assert!(tasks.stop(Duration::from_secs(5)).await);
        assert_eq!(tasks.running(), 0);
    }

    #[tokio::test]
    async fn stop_gives_up_at_its_deadline() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending::<()>());
        assert!(!tasks.stop(Duration::from_millis(20)).await);
    }
}
