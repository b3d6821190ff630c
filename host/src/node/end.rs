//! When the process is asked to end.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What asks the process to end: SIGINT and SIGTERM.
#[derive(Debug)]
pub struct End {
    interrupt: Signal,
    terminate: Signal,
}

impl End {
    /// Listens from now on: before a node starts, so that none of them ends it out of order.
    pub fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits until someone asks.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
