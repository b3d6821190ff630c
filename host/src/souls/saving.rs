//! Saving a Soul's state: its guest is asked for it, and the KV writes it. A Soul that works goes on while the KV
//! writes, so that a slow disk keeps nobody waiting for an answer; one that ends, or is told to save, waits.

use std::time::Instant;

use tokio::sync::oneshot;

use super::Saved;
use super::actor::Actor;
use super::checkpoint::{self, Checkpoint, CheckpointError, Header};
use super::life::SaveError;
use crate::runtime::guest::Crash;

/// A state on its way to the KV.
#[derive(Debug)]
pub(crate) struct Saving {
    written: oneshot::Receiver<Result<(), CheckpointError>>,
    begun: Begun,
}

/// A state that was taken, and since when it has been unsaved.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) saved: Saved,
    pub(crate) header: Header,
    pub(crate) turns: u32,
    pub(crate) since: Option<Instant>,
}

/// What came of a state on its way; it never ends while there is none. Cancelling it loses nothing.
pub(crate) async fn written(saving: &mut Option<Box<Saving>>) -> Result<(), CheckpointError> {
    match saving {
        Some(saving) => match (&mut saving.written).await {
            Ok(written) => written,
            // Its task has ended with the node's.
            Err(_) => Err(CheckpointError::Kv(crate::kv::KvError::Closed)),
        },
        None => std::future::pending().await,
    }
}

impl Actor {
    /// Saves the state while the Soul goes on. While one is on its way no other is begun: the next turns see to it.
    pub(crate) async fn save_behind(&mut self) {
        if self.saving.is_some() {
            return;
        }
        if self.turns.is_some() {
            if let Err(reason) = Box::pin(self.save_turn()).await {
                self.warn(&reason);
            }
            return;
        }
        match self.life.begin_save(&self.host, &self.manifest.name).await {
            Ok((begun, Some(checkpoint))) => {
                let written = self.write(checkpoint);
                self.saving = Some(Box::new(Saving { written, begun }));
            }
            Ok((begun, None)) => drop(self.saved(begun)),
            Err(error) => {
                self.warn(&self.not_saved(&error));
                if let SaveError::Crashed(crash) = &error {
                    self.crashed(crash);
                }
            }
        }
    }

    /// Waits for a state that is on its way: what comes next must not overtake it.
    pub(crate) async fn settle(&mut self) {
        if self.saving.is_some() {
            let before = written(&mut self.saving).await;
            self.was_written(before);
        }
    }

    /// A state that was on its way has come there, or not.
    pub(crate) fn was_written(&mut self, written: Result<(), CheckpointError>) {
        let Some(saving) = self.saving.take() else { return };
        match written {
            Ok(()) => drop(self.saved(saving.begun)),
            Err(error) => {
                self.life.save_failed(&saving.begun);
                self.warn(&self.not_saved(&error.into()));
            }
        }
    }

    /// Saves the state, and waits until it is durable.
    pub(crate) async fn save(&mut self) -> Result<Saved, String> {
        if self.turns.is_some() {
            return Box::pin(self.save_turn()).await;
        }
        self.settle().await;
        match self.life.begin_save(&self.host, &self.manifest.name).await {
            Ok((begun, None)) => Ok(self.saved(begun)),
            Ok((begun, Some(checkpoint))) => {
                let (placed, max) = (self.placed, self.host.config.state_bytes_max);
                match checkpoint::save(&self.host.kv, &self.manifest.name, placed, &checkpoint, max).await {
                    Ok(()) => Ok(self.saved(begun)),
                    Err(error) => {
                        self.life.save_failed(&begun);
                        Err(self.not_saved(&error.into()))
                    }
                }
            }
            Err(error) => {
                let reason = self.not_saved(&error);
                if let SaveError::Crashed(crash) = &error {
                    self.crashed(crash);
                }
                Err(reason)
            }
        }
    }

    fn write(&self, checkpoint: Checkpoint) -> oneshot::Receiver<Result<(), CheckpointError>> {
        let (kv, soul, placed) = (self.host.kv.clone(), self.manifest.name.clone(), self.placed);
        let max = self.host.config.state_bytes_max;
        let writing = async move { checkpoint::save(&kv, &soul, placed, &checkpoint, max).await };
        self.host.tasks.spawn("soul.save", writing)
    }

    pub(crate) fn saved(&mut self, begun: Begun) -> Saved {
        let Begun { saved, header, .. } = begun;
        self.life.save_done(header);
        self.host.metrics.souls.checkpoints.add("saved", 1);
        self.status.saved(&saved.schema, saved.at_ms);
        saved
    }

    fn not_saved(&self, error: &SaveError) -> String {
        self.host.metrics.souls.checkpoints.add("failed", 1);
        match error {
            SaveError::Crashed(Crash::Lifted(_)) => {
                let max = self.host.config.state_bytes_max;
                format!("{error}: a state may have {max} bytes (`souls.state_bytes_max`)")
            }
            error => error.to_string(),
        }
    }

    fn warn(&self, reason: &str) {
        tracing::warn!(soul = %self.manifest.name, reason, "the state could not be saved");
    }
}
