//! The only place where tasks are spawned: each is named, tracked, and told to stop.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// A group of tasks that stop together. Clones are the same group.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    runtime: Option<Handle>,
}

impl Tasks {
    /// An empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty group whose tasks run on `runtime`, whoever spawns them.
    pub fn on(runtime: Handle) -> Self {
        Self { runtime: Some(runtime), ..Self::default() }
    }

    /// Runs `future` on the group's runtime, or else the current one, under `name` in traces. It must end soon after
    /// [`Tasks::stopping`] is cancelled.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let future = self.tracker.track_future(future.instrument(tracing::debug_span!("task", name)));
        #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
        match &self.runtime {
            Some(runtime) => runtime.spawn(future),
            None => tokio::spawn(future),
        }
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
