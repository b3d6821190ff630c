//! How the task that runs a Matrix is told things, and tells how it goes.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::error::MatrixError;
use super::status::Progress;
use crate::ids::Digest;
use crate::transport::bus::Bus;
use crate::transport::envelope::Content;
use crate::transport::mailbox::Inbox;
use crate::transport::router::Router;

/// Where the answer to a command goes. Dropped without one: the Matrix is over.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, MatrixError>>;

/// What a Matrix can be told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Go on until told otherwise.
    Start(Reply<()>),
    /// Halt before the next tick.
    Pause(Reply<()>),
    /// Advance by so many ticks, and answer then.
    Step(u64, Reply<()>),
    /// Let the rules of this component take over before the next tick.
    Swap(Digest, Reply<()>),
    /// Show the present tick and state.
    View(Reply<(u64, Content)>),
}

/// Why a Matrix runs no more.
#[derive(Debug)]
pub(crate) enum End {
    /// The rules said so.
    Finished,
    /// It cannot go on.
    Failed(MatrixError),
    /// An operator said so.
    Stopped,
    /// The node is stopping; the Matrix goes on with the next one.
    Stopping,
    /// Another node goes on with it.
    Moved,
}

impl End {
    /// Why an error ends a run.
    pub(crate) fn of(error: MatrixError) -> Self {
        match error {
            MatrixError::Moved(_) => Self::Moved,
            MatrixError::Stopping => Self::Stopping,
            error => Self::Failed(error),
        }
    }
}

/// How a runner is told things, and tells how it goes.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) inbox: Inbox,
    pub(crate) progress: Arc<watch::Sender<Progress>>,
    pub(crate) router: Router,
    pub(crate) bus: Bus,
    /// The operator stops this Matrix.
    pub(crate) stop: CancellationToken,
    /// Another node is to go on with this Matrix, or does.
    pub(crate) moved: CancellationToken,
    /// The node stops.
    pub(crate) stopping: CancellationToken,
    /// Where the mailbox goes where the Matrix does.
    pub(crate) kept: Kept,
}

impl Lines {
    /// The task is over. A Matrix that moves keeps its mailbox; that of any other is closed.
    pub(crate) fn close(self, end: &End) {
        if matches!(end, End::Moved) {
            self.kept.put(self.inbox);
        }
    }
}

/// The mailbox of a Matrix that moves: it goes on taking messages until others learn where these go now. Clones are the
/// same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Option<Inbox>>>);

impl Kept {
    fn put(&self, inbox: Inbox) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(inbox);
    }

    /// The mailbox, if one was kept that nobody has taken yet.
    pub(crate) fn take(&self) -> Option<Inbox> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
