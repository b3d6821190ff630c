//! How long a guest waits for answers: what ends it from outside.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Ends a guest's waiting. Clones end the same.
#[derive(Debug, Clone, Default)]
pub struct Waits {
    stopping: CancellationToken,
    cut: Arc<Notify>,
}

impl Waits {
    /// A guest waits no more once `stopping` is cancelled.
    pub fn new(stopping: CancellationToken) -> Self {
        Self { stopping, cut: Arc::default() }
    }

    /// From now on it waits for nothing.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Whether it waits no more.
    pub fn are_over(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// What it waits for now is given up; it may ask again.
    pub fn cut(&self) {
        self.cut.notify_waiters();
    }

    /// Returns once it is to wait no longer, and why.
    pub(crate) async fn ended(&self) -> &'static str {
        tokio::select! {
            () = self.stopping.cancelled() => "the Soul that asks is told to stop",
            () = self.cut.notified() => "the Soul that asks is to be swapped, and its turn took too long",
        }
    }
}
