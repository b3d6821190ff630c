//! One Soul: one mailbox, one message at a time, in order. The actor owns the instance; whatever
//! happens to the guest, the actor goes on, and says how it ended.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::capture::Capturing;
use super::host::{Gate, Host};
use super::jobs::{ActError, ActRequest, Job};
use super::life::{Life, StartError};
use super::manifest::Manifest;
use super::placed::Placed;
use super::restart::Restarts;
use super::saving::{Saving, written};
use super::status::{State, Status};
use super::suspects::Suspects;
use super::swap::Recording;
use super::turns::{self, Turns};
use crate::runtime::component::Component;
use crate::runtime::limits::Limits;
use crate::runtime::state::Moment;
use crate::telemetry::metrics::Stopwatch;
use crate::transport::envelope::SendError;
use crate::transport::handled::Handled;
use crate::transport::mailbox::Inbox;

/// How long a Soul that is to end goes on handling what its mailbox holds.
const DRAIN_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Actor {
    pub(crate) host: Arc<Host>,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) placed: Placed,
    pub(crate) limits: Limits,
    pub(crate) component: Option<Arc<Component>>,
    pub(crate) inbox: Inbox,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) status: Arc<Status>,
    pub(crate) life: Life,
    /// A state on its way to the KV.
    pub(crate) saving: Option<Box<Saving>>,
    /// What is kept of every turn; none: nothing is.
    pub(crate) turns: Option<Box<Turns>>,
    /// Messages whose batch crashed.
    pub(crate) suspects: Suspects,
    pub(crate) restarts: Restarts,
    pub(crate) active: Instant,
    /// What it handled last.
    pub(crate) recording: Recording,
    /// What of it is added to its experience; none: nothing.
    pub(crate) capturing: Option<Box<Capturing>>,
    /// How many messages enter at once, by how long the last ones took.
    pub(crate) batch_max: usize,
    pub(crate) stopwatch: Stopwatch,
}

impl Actor {
    /// Works until it is stopped, its registry is gone, or it has failed for good. What a Soul seldom does is
    /// boxed: this future is as large as its largest part, and there is one for every idle Soul.
    pub(crate) async fn run(mut self) {
        // A token of its own: all Souls look at it all the time, and would wait for each other's looks.
        let stopping = self.host.tasks.stopping().child_token();
        let mut stopped = pin!(stopping.cancelled());
        loop {
            let paused = self.restarts.pause();
            tokio::select! {
                biased;
                job = self.jobs.recv() => match job {
                    Some(Job::Stop(done)) => {
                        Box::pin(self.drain()).await;
                        let saved = Box::pin(self.end(State::Stopped)).await;
                        // Whoever asked may be gone.
                        let _ = done.send(saved);
                        return;
                    }
                    Some(Job::Leave(saves, left)) => return Box::pin(self.leave(saves, left)).await,
                    Some(job) => Box::pin(self.work(job)).await,
                    None => return Box::pin(self.fall_asleep()).await,
                },
                () = &mut stopped => return Box::pin(self.fall_asleep()).await,
                () = tokio::time::sleep_until(paused.unwrap_or_else(Instant::now).into()), if paused.is_some() => {
                    self.restarts.resume();
                    let state = if self.life.is_awake() { State::Running } else { State::Passive };
                    self.status.set(state, "");
                }
                written = written(&mut self.saving), if self.saving.is_some() => self.was_written(written),
                event = turns::event(&mut self.turns), if self.turns.is_some() => Box::pin(self.go_on(event)).await,
                () = work(&mut self.inbox, &self.suspects, &self.host.gate), if paused.is_none() => self.turn().await,
            }
            if self.restarts.gave_up() {
                return Box::pin(self.fail()).await;
            }
        }
    }

    async fn work(&mut self, job: Job) {
        // Whoever waits for an answer may be gone: sending to nobody is no error.
        match job {
            Job::Act(request, reply) => {
                let acted = self.act(*request).await;
                let _ = reply.send(acted);
            }
            Job::Forget(run) => {
                self.life.forget(&run);
                if let Some(capturing) = &mut self.capturing {
                    capturing.forget(&run);
                }
            }
            Job::Wake(reply) => {
                let woken = self.wake().await;
                let _ = reply.send(woken);
            }
            Job::Save(reply) => {
                let saved = self.save_now().await;
                let _ = reply.send(saved);
            }
            Job::Swap(order, reply) => {
                if let Some(swapped) = self.swap(*order).await {
                    let _ = reply.send(swapped);
                }
            }
            Job::Recall(reply) => {
                let recalled = self.recall().await;
                let _ = reply.send(recalled);
            }
            Job::Hold(hold) => self.hold(*hold).await,
            Job::TakeUp(adoption, reply) => {
                let learnt = self.take_up(*adoption).await;
                let _ = reply.send(learnt);
            }
            Job::Remember(edit, reply) => {
                let edited = self.edit_memory(*edit).await;
                let _ = reply.send(edited);
            }
            Job::Tend => self.tend().await,
            Job::Stop(_) | Job::Leave(..) => {}
        }
    }

    /// Leaves this node: what waits in the mailbox goes with the Soul.
    async fn leave(mut self, saves: bool, left: oneshot::Sender<(Inbox, Result<(), String>)>) {
        let saved = if saves { self.end(State::Passive).await } else { Ok(()) };
        // Nobody who asked for it is gone before it has its answer; a mailbox that is dropped is closed.
        let _ = left.send((self.inbox, saved));
    }

    /// Handles what has been accepted, and leaves memory until the node runs again.
    async fn fall_asleep(&mut self) {
        self.drain().await;
        self.end_or_warn(State::Passive).await;
    }

    /// Handles what has been accepted before the Soul ends, and accepts no more.
    async fn drain(&mut self) {
        self.inbox.close();
        let start = Instant::now();
        let holds = |actor: &Self| !actor.inbox.is_empty() || actor.suspects.are_waiting();
        while holds(self) && start.elapsed() < DRAIN_MAX {
            if self.restarts.pause().is_some() || self.restarts.gave_up() {
                return;
            }
            let left = DRAIN_MAX.saturating_sub(start.elapsed());
            if tokio::time::timeout(left, self.host.gate.passed()).await.is_err() {
                return;
            }
            self.turn().await;
        }
    }

    /// Takes a batch out of the mailbox and lets the guest handle it.
    async fn turn(&mut self) {
        if self.turns.is_some() && !Box::pin(self.recalls()).await {
            return;
        }
        if !self.life.is_awake()
            && let Err(error) = Box::pin(self.wake()).await
        {
            return self.not_started(&error);
        }
        let envelopes = self.next_batch();
        if self.turns.is_some() {
            return Box::pin(self.keep_turn(envelopes)).await;
        }
        let Some(result) = self.enter(&envelopes).await else { return };
        match result {
            Ok(replies) => {
                self.recording.messages(&envelopes);
                self.ended_well().await;
                let limit = self.limits.body_bytes;
                for (envelope, reply) in envelopes.into_iter().zip(replies) {
                    let reply = match reply {
                        Ok(Some(content)) if content.body.len() > limit as usize => {
                            Err(SendError::TooLarge { limit: limit.into() })
                        }
                        reply => reply.map_err(SendError::Failed),
                    };
                    if let Some(capturing) = &self.capturing {
                        capturing.message(&envelope, &reply);
                    }
                    if envelope.wants(&reply) {
                        self.host.router.reply(Handled::of(envelope).0, reply);
                    }
                }
            }
            Err(crash) => self.fell(envelopes, &crash),
        }
    }

    async fn act(&mut self, request: ActRequest) -> Result<Vec<Vec<u8>>, ActError> {
        if self.restarts.pause().is_some() {
            return Err(ActError::NotStarted("it crashed a moment ago, and is paused".into()));
        }
        if let Err(error) = self.wake().await {
            self.not_started(&error);
            return Err(ActError::NotStarted(error.to_string()));
        }
        // After a crash of the node a tick may be asked for again: it is answered, not played twice.
        if self.turns.is_some() && !Box::pin(self.recalls()).await {
            return Err(ActError::NotStarted("what is kept of it cannot be read now".into()));
        }
        self.make_room();
        let acted = self.life.header_mut().and_then(|header| header.acted.get(request.run.as_ref()));
        match acted {
            Some(acted) if acted.tick == request.tick => return Ok(acted.actions.clone()),
            acted => {
                let last = acted.map(|acted| acted.tick);
                if last != request.previous {
                    return Err(ActError::Behind { last });
                }
            }
        }
        let moment = Moment {
            now_ms: request.now_ms,
            deadline: request.deadline.map(Into::into),
            ..Moment::default()
        };
        let Some(instance) = self.life.instance() else { return Err(ActError::Gone) };
        let start = Instant::now();
        let acted = instance.act(request.matrix.as_str(), request.tick, &request.turns, moment).await;
        self.active = Instant::now();
        self.stopwatch.record(self.active.duration_since(start));
        match acted {
            Ok(Ok(actions)) => {
                let last = request.turns.iter().all(|turn| turn.last);
                if let Some(header) = self.life.header_mut() {
                    header.remember(&request.run, request.tick, &actions, last);
                }
                self.recording.turn(&request);
                if let Some(capturing) = &mut self.capturing {
                    capturing.turn(&request, &actions);
                }
                self.ended_well().await;
                if self.turns.is_some() {
                    let kept = Box::pin(self.save_turn()).await;
                    kept.map_err(ActError::NotStarted)?;
                }
                Ok(actions)
            }
            Ok(Err(refusal)) => Err(ActError::Refused(refusal)),
            Err(crash) => {
                self.crashed(&crash);
                Err(crash.into())
            }
        }
    }

    /// Brings the Soul into memory, if it is not there.
    async fn wake(&mut self) -> Result<(), StartError> {
        if self.life.is_awake() {
            return Ok(());
        }
        self.settle().await;
        self.status.set(State::Starting, "");
        let component = match &self.component {
            Some(component) => component.clone(),
            None => {
                let found = self.host.components.get(self.manifest.component).await;
                let component = found.map_err(|error| StartError::Component(error.to_string()))?;
                self.component = Some(component.clone());
                component
            }
        };
        let usage = &self.status.usage;
        self.life.wake(&self.host, &self.manifest, &self.limits, &component, self.placed, usage).await?;
        self.host.metrics.runtime.instantiations.add(1);
        self.active = Instant::now();
        self.status.set(State::Running, "");
        self.observe();
        Ok(())
    }

    pub(crate) async fn ended_well(&mut self) {
        self.host.metrics.souls.turns.add(1);
        self.life.changed();
        self.observe();
        // Tried again only after as many turns more: a snapshot each turn would be worse than a late one.
        if self.turns.is_none()
            && self.life.turns_unsaved().is_multiple_of(self.host.every_turns(&self.manifest))
        {
            Box::pin(self.save_behind()).await;
        }
    }

    pub(crate) fn observe(&mut self) {
        let (memory, fuel) = self.life.usage();
        self.status.memory_bytes.store(memory, Ordering::Relaxed);
        self.status.fuel_used.store(fuel, Ordering::Relaxed);
    }

    async fn tend(&mut self) {
        self.stopwatch.flush();
        if self.turns.is_some() {
            Box::pin(self.tend_outbox()).await;
        }
        if !self.life.is_awake() {
            return;
        }
        self.tell_memory().await;
        if self.life.unsaved_for() >= self.host.every_seconds(&self.manifest) {
            self.save_behind().await;
        }
        // What cannot be saved stays in memory: leaving it would lose what came after the last checkpoint.
        let idle = self.active.elapsed() >= self.host.config.idle_after();
        if idle && (self.life.turns_unsaved() == 0 || self.save_or_warn().await) {
            self.end_or_warn(State::Passive).await;
        }
    }

    /// Saves the state because somebody asks for it, awake or asleep.
    async fn save_now(&mut self) -> Result<super::Saved, String> {
        if self.restarts.pause().is_some() {
            return Err("it crashed a moment ago, and is paused".to_owned());
        }
        if let Err(error) = self.wake().await {
            self.not_started(&error);
            return Err(error.to_string());
        }
        self.save().await
    }

    /// True: it was saved.
    async fn save_or_warn(&mut self) -> bool {
        let saved = self.save().await;
        if let Err(reason) = &saved {
            tracing::warn!(soul = %self.manifest.name, reason, "the state could not be saved");
        }
        saved.is_ok()
    }

    /// Saves what is unsaved, and leaves memory. The error says why what came after the last checkpoint is lost.
    async fn end(&mut self, state: State) -> Result<(), String> {
        self.settle().await;
        self.refuse_suspects();
        if self.turns.is_some() {
            Box::pin(self.close_outbox()).await;
        }
        let unsaved = self.life.is_awake() && self.life.turns_unsaved() > 0;
        let saved = if unsaved { self.save().await.map(drop) } else { Ok(()) };
        self.tell_memory().await;
        self.life.sleep();
        // A component that nobody runs need not stay in memory.
        self.component = None;
        self.stopwatch.flush();
        self.observe();
        self.status.set(state, "");
        saved
    }

    async fn end_or_warn(&mut self, state: State) {
        if let Err(reason) = self.end(state).await {
            tracing::error!(soul = %self.manifest.name, reason, "what came after the last checkpoint is lost");
        }
    }
}

/// Waits until there is a message to handle, and it may be handled. Cancelling it loses nothing: an actor that waited here
/// and nowhere else would not leave for a node to which its Soul was given meanwhile.
async fn work(inbox: &mut Inbox, suspects: &Suspects, gate: &Gate) {
    if !suspects.are_waiting() {
        inbox.ready().await;
    }
    gate.passed().await;
}
