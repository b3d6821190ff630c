//! The only place where tasks are spawned: each is named, tracked, and told to stop.

pub mod alert;
pub mod post;
pub mod workers;

use std::future::Future;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::runtime::Handle;
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
    threads: Threads,
}

/// Where tasks run.
#[derive(Debug, Clone, Default)]
enum Threads {
    /// On the runtime of whoever spawns them.
    #[default]
    Callers,
    Runtime(Handle),
    Workers(Spawner),
}

impl Tasks {
    /// An empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty group whose tasks run on these threads, whoever spawns them.
    pub fn on(workers: Spawner) -> Self {
        Self { threads: Threads::Workers(workers), ..Self::default() }
    }

    /// The same group, of which what is spawned here runs on the current runtime, whoever spawns it. Within a runtime.
    pub fn here(&self) -> Self {
        Self { threads: Threads::Runtime(Handle::current()), ..self.clone() }
    }

    /// Runs `future` on the group's threads or runtime, or else on the current runtime, under `name` in traces. It must end
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
        match &self.threads {
            Threads::Callers => drop(tokio::spawn(future)),
            Threads::Runtime(runtime) => drop(runtime.spawn(future)),
            Threads::Workers(workers) => workers.spawn(future),
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
    async fn what_is_spawned_here_runs_here_whoever_spawns_it() {
        let tasks = Tasks::new().here();
        let spawn = move || tasks.spawn("here", async { std::thread::current().id() });
        let ran = std::thread::spawn(spawn).join().expect("it does not panic, as no runtime is needed there");
        assert_eq!(ran.await, Ok(std::thread::current().id()));
    }

    #[tokio::test]
    async fn stop_gives_up_at_its_deadline() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending::<()>());
        assert!(!tasks.stop(Duration::from_millis(20)).await);
    }
}
