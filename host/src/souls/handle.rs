//! What the registry holds of one Soul.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::jobs::Job;
use super::life::StartError;
use super::manifest::Manifest;
use super::placed::Placed;
use super::status::{State, Status, read};
use crate::capabilities::messaging::Waits;
use crate::ids::SoulName;
use crate::runtime::usage::Usage;
use crate::transport::mailbox::{Inbox, Mailbox};

/// A Soul, as it stands.
#[derive(Debug, Clone)]
pub struct SoulView {
    /// What it is.
    pub manifest: Arc<Manifest>,
    /// What it is doing.
    pub state: State,
    /// Why, where that needs saying.
    pub reason: String,
    /// Messages that wait.
    pub mailbox_depth: usize,
    /// Messages handled since the node started.
    pub handled: u64,
    /// Crashes since the node started.
    pub crashes: u64,
    /// Linear memory in use, in bytes.
    pub memory_bytes: u64,
    /// Fuel used since the node started.
    pub fuel_used: u64,
    /// Milliseconds since the Unix epoch of the last checkpoint that this node made; 0: none.
    pub checkpoint_at_ms: u64,
    /// Layout of that checkpoint's state.
    pub schema: String,
    /// Where it lives.
    pub placed: Placed,
}

/// What a Soul of this node uses.
#[derive(Debug, Clone)]
pub struct SoulUsage {
    /// Its name.
    pub name: SoulName,
    /// What it is doing.
    pub state: State,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that its mailbox has refused.
    pub turned_away: u64,
    /// Its figures.
    pub usage: Arc<Usage>,
}

/// An actor, as others reach it; or what is left of one.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    pub(super) manifest: Arc<Manifest>,
    pub(super) placed: Placed,
    pub(super) status: Arc<Status>,
    pub(super) mailbox: Option<Arc<Mailbox>>,
    pub(super) jobs: Option<mpsc::Sender<Job>>,
    pub(super) waits: Waits,
}

impl Handle {
    pub(super) fn ended(manifest: Arc<Manifest>, placed: Placed, state: State, reason: String) -> Self {
        Self {
            manifest,
            placed,
            status: Arc::new(Status::new(state, reason)),
            mailbox: None,
            jobs: None,
            waits: Waits::default(),
        }
    }

    pub(super) fn view(&self) -> SoulView {
        let (state, reason) = self.status.get();
        SoulView {
            manifest: self.manifest.clone(),
            placed: self.placed,
            state,
            reason,
            mailbox_depth: self.mailbox.as_ref().map_or(0, |mailbox| mailbox.len()),
            handled: read(&self.status.handled),
            crashes: read(&self.status.crashes),
            memory_bytes: read(&self.status.memory_bytes),
            fuel_used: read(&self.status.fuel_used),
            checkpoint_at_ms: read(&self.status.checkpoint_at_ms),
            schema: self.status.schema.lock().map(|schema| schema.clone()).unwrap_or_default(),
        }
    }

    /// What it uses.
    pub(super) fn usage(&self) -> SoulUsage {
        let mailbox = self.mailbox.as_ref();
        SoulUsage {
            name: self.manifest.name.clone(),
            state: self.status.get().0,
            waiting: mailbox.map_or(0, |mailbox| mailbox.len() as u64),
            turned_away: mailbox.map_or(0, |mailbox| mailbox.refused()),
            usage: self.status.usage.clone(),
        }
    }

    pub(super) async fn wake(&self) -> Result<(), StartError> {
        let gone = || StartError::Init("its actor has ended".into());
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        let (reply, answer) = oneshot::channel();
        jobs.send(Job::Wake(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Ends the actor without draining its mailbox, which is given back; `saves` its state first. None: it has ended
    /// already.
    pub(super) async fn leave(&self, saves: bool) -> Option<(Inbox, Result<(), String>)> {
        let jobs = self.jobs.as_ref()?;
        self.waits.stop();
        let (left, answer) = oneshot::channel();
        jobs.send(Job::Leave(saves, left)).await.ok()?;
        answer.await.ok()
    }

    /// Ends the actor, its state saved. One that has ended already is no error; an error says why what came
    /// after the last checkpoint is lost.
    pub(super) async fn stop(&self) -> Result<(), String> {
        let Some(jobs) = &self.jobs else { return Ok(()) };
        // What waits for an answer meanwhile need not wait to the end.
        self.waits.stop();
        let (done, ended) = oneshot::channel();
        match jobs.send(Job::Stop(done)).await {
            Ok(()) => ended.await.unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }
}
