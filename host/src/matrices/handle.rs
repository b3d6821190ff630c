//! What the registry holds of one Matrix: how it stands, and the lines to the task that owns it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::copies::Copies;
use super::deed::Deed;
use super::error::MatrixError;
use super::lines::{Command, Kept, Reply};
use super::manifest::MatrixManifest;
use super::status::{Home, MatrixState, MatrixView, Progress};

/// A Matrix that the registry knows.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    pub(crate) manifest: Arc<MatrixManifest>,
    pub(crate) run: Arc<str>,
    /// This node.
    pub(crate) node: u64,
    pub(crate) progress: Arc<watch::Sender<Progress>>,
    /// Its record.
    pub(crate) deed: Arc<Deed>,
    pub(crate) copies: Copies,
    /// Ends the task that keeps its copies.
    pub(crate) keeping: CancellationToken,
    /// Its mailbox, between two tasks.
    pub(crate) kept: Kept,
    /// The task that owns it, if there was one since the node started.
    pub(crate) live: Option<Live>,
}

/// The lines to a task; it may have ended.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) stop: CancellationToken,
    pub(crate) moved: CancellationToken,
    pub(crate) ended: CancellationToken,
}

impl Handle {
    /// What it is doing.
    pub(crate) fn state(&self) -> MatrixState {
        self.progress.borrow().state
    }

    /// How it stands.
    pub(crate) fn view(&self) -> MatrixView {
        let (node, generation) = (self.node, self.deed.generation());
        let home = Home { node, generation, copies: self.copies.in_sync() };
        self.progress.borrow().view(self.manifest.clone(), home)
    }

    /// The error that it is in a state in which something cannot be done.
    pub(crate) fn over(&self, advice: &'static str) -> MatrixError {
        MatrixError::State { matrix: self.manifest.name.clone(), state: self.state(), advice }
    }

    /// Tells the task something, and waits for its answer. None: it has ended.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Option<Result<T, MatrixError>> {
        let live = self.live.as_ref()?;
        let (reply, answer) = oneshot::channel();
        let answer = match live.commands.send(command(reply)).await {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        if answer.is_none() {
            live.ended.cancelled().await;
        }
        answer
    }

    /// Tells the task something; that it ends over it, or has ended, shows in the Matrix's state.
    pub(crate) async fn command(
        &self,
        command: impl FnOnce(Reply<()>) -> Command,
    ) -> Result<(), MatrixError> {
        match self.ask(command).await {
            Some(answer) => answer,
            None if self.state().is_over() => Ok(()),
            None => Err(MatrixError::Stopping),
        }
    }

    /// Ends the task because another node goes on with the Matrix, and waits until everything is kept.
    pub(crate) async fn let_go(&self) {
        if let Some(live) = &self.live {
            live.moved.cancel();
            live.ended.cancelled().await;
        }
    }

    /// Ends the task, and waits until everything is kept.
    pub(crate) async fn end(&self) {
        if let Some(live) = &self.live {
            live.stop.cancel();
            live.ended.cancelled().await;
        }
    }
}
