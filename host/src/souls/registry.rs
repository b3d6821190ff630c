//! All Souls of this node: spawned, found, stopped, brought back.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::actor::Actor;
use super::capture::Capturing;
use super::checkpoint::CheckpointError;
use super::erase::erase;
use super::error::SoulError;
use super::handle::{Handle, SoulView};
use super::host::Host;
use super::jobs::{ActError, ActRequest, Job};
use super::life::{self, Life};
use super::manifest::{Manifest, Mode};
use super::placed::{self, Placed};
use super::records::{self, Record, Wanted};
use super::restart::Restarts;
use super::status::{State, Status};
use super::suspects::Suspects;
use super::swap::Recording;
use super::{Saved, checkpoint};
use crate::capabilities::messaging::Waits;
use crate::ids::{Digest, SoulName};
use crate::kv::{Expect, RequestId, Swap};
use crate::runtime::inspect::Kind;
use crate::transport::envelope::Address;
use crate::transport::mailbox::Mailbox;

/// Jobs that wait for one actor: turns of a few Matrices, a save, a stop.
const JOBS_MAX: usize = 64;
/// Locks that are kept before those that nobody uses are let go.
const LOCKS_KEPT: usize = 1_024;
/// How often each Soul is looked at: whether it is idle, or its state unsaved.
const TEND_EVERY: Duration = Duration::from_secs(1);
/// In how many parts: all at once would keep everybody waiting who asks one of them.
const TEND_PARTS: u32 = 50;

/// The registry. Clones are the same registry.
#[derive(Debug, Clone)]
pub struct Souls(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) host: Arc<Host>,
    pub(super) table: RwLock<BTreeMap<SoulName, Handle>>,
    /// One mutation a Soul at a time.
    locks: Mutex<HashMap<SoulName, Arc<tokio::sync::Mutex<()>>>>,
}

impl Souls {
    /// Brings back every Soul of this node that the KV knows, and those that live nowhere: asleep, until the first
    /// message comes.
    pub async fn start(host: Host) -> Result<Self, SoulError> {
        let souls =
            Self(Arc::new(Inner { host: Arc::new(host), table: RwLock::default(), locks: Mutex::default() }));
        let (kv, node) = (&souls.0.host.kv, souls.0.host.node);
        let (all, _) = placed::load_all(kv).await?;
        for record in records::load_all(kv).await? {
            let name = record.manifest.name.clone();
            let placed = match all.get(&name) {
                Some(placed) => *placed,
                None => {
                    let first = Placed::after(None, node);
                    // Another node may be as fast: then it lives there.
                    let expect = Expect::Absent;
                    let key = name.as_str().as_bytes();
                    let claimed =
                        kv.compare_and_swap(placed::BUCKET, key, expect, Some(first.value()), None).await?;
                    if claimed.value == Swap::Swapped { first } else { continue }
                }
            };
            if placed.node == node {
                souls.bring_back(record, placed).await?;
            }
        }
        souls.observe();
        let tending = souls.clone();
        souls.0.host.tasks.spawn("souls.tend", async move { tending.tend().await });
        Ok(souls)
    }

    /// Brings a Soul of this node back as its record wants it.
    pub(super) async fn bring_back(&self, record: Record, placed: Placed) -> Result<(), SoulError> {
        let manifest = Arc::new(record.manifest);
        let ended = |state, reason| Handle::ended(manifest.clone(), placed, state, reason);
        let handle = match record.wanted {
            // One manifest that no longer fits must not keep the others from running.
            Wanted::Running => match self.launch(&manifest, placed) {
                Ok(handle) => self.subscribe_again(&manifest.name, handle).await?,
                Err(error) => ended(State::Failed, error.to_string()),
            },
            Wanted::Stopped => ended(State::Stopped, String::new()),
            Wanted::Failed { reason } => ended(State::Failed, reason),
            Wanted::Deleted => return Ok(erase(&self.0.host.kv, &manifest.name, None).await?),
        };
        self.insert(manifest.name.clone(), handle);
        Ok(())
    }

    /// Makes a Soul run as its manifest says, and answers when it has come to life. The same manifest
    /// again changes nothing; another one takes the place of the old, with the state kept.
    pub async fn spawn(&self, manifest: Manifest, request: Option<RequestId>) -> Result<SoulView, SoulError> {
        let host = &self.0.host;
        manifest.check(&host.limits)?;
        let component = host.components.get(manifest.component).await?;
        if component.info().kind != Kind::Soul {
            let found = component.info().kind.singular();
            return Err(SoulError::WrongWorld { digest: manifest.component, found });
        }
        let manifest = Arc::new(manifest);
        let name = manifest.name.clone();
        let lock = self.lock(&name);
        let _only = lock.lock().await;
        let before = self.handle(&name);
        let ran = before.as_ref().filter(|h| !matches!(h.status.get().0, State::Stopped | State::Failed));
        let ran = ran.map(|handle| (handle.manifest.clone(), handle.placed));
        if let Some(handle) = &before {
            if ran.as_ref().is_some_and(|(ran, _)| *ran == manifest) {
                return Ok(handle.view());
            }
            // Other code or another persona, and nothing else: the Soul is not held up, and its mailbox stays.
            if let Some((before, _)) = &ran
                && before.with_code_and_persona_of(&manifest) == *manifest
            {
                self.renew(before, &manifest).await?;
                return self.get(&name);
            }
        } else if self.count() >= host.config.souls_max {
            return Err(SoulError::TooMany(host.config.souls_max));
        }
        if let Some(handle) = &before
            && let Err(reason) = handle.stop().await
        {
            self.take_back(&name, ran)?;
            return Err(SoulError::Save(name, reason));
        }
        let known = placed::load(&host.kv, &name).await?;
        let placed = Placed::after(known, host.node);
        // What writes to the KV at its birth has to live somewhere by then.
        let ahead = component.info().can_block && known != Some(placed);
        if ahead {
            placed::exchange(&host.kv, &name, known, Some(placed)).await?;
        }
        let handle = self.launch(&manifest, placed)?;
        let lives = if ahead { Some(placed) } else { known };
        let started = match handle.wake().await {
            Ok(()) => match records::save_placed(&host.kv, &manifest, lives, placed, request).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(SoulError::Moved(name.clone())),
                Err(error) => Err(error.into()),
            },
            Err(reason) => Err(SoulError::Start { soul: name.clone(), reason }),
        };
        if let Err(error) = started {
            // Whatever it did meanwhile was never acknowledged.
            let _ = handle.stop().await;
            if ahead {
                placed::exchange(&host.kv, &name, Some(placed), known).await?;
            }
            self.take_back(&name, ran)?;
            return Err(error);
        }
        let view = handle.view();
        self.insert(name.clone(), handle);
        host.report("soul.spawned", &name, &json!({ "component": manifest.component.to_string() }));
        Ok(view)
    }

    /// One Soul.
    pub fn get(&self, soul: &SoulName) -> Result<SoulView, SoulError> {
        self.handle(soul).map(|handle| handle.view()).ok_or_else(|| SoulError::Unknown(soul.clone()))
    }

    /// At most `limit` Souls after `after`, in the order of their names, whose names start with `prefix`.
    pub fn list(&self, after: Option<&SoulName>, prefix: &str, limit: usize) -> Vec<SoulView> {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        let from = after.map_or(Bound::Unbounded, |name| Bound::Excluded(name.clone()));
        let range = table.range((from, Bound::Unbounded));
        let chosen = range.filter(|(name, _)| name.as_str().starts_with(prefix)).take(limit);
        chosen.map(|(_, handle)| handle.view()).collect()
    }

    /// Stops a Soul; its state is kept.
    pub async fn stop(&self, soul: &SoulName, request: Option<RequestId>) -> Result<SoulView, SoulError> {
        let lock = self.lock(soul);
        let _only = lock.lock().await;
        let handle = self.handle(soul).ok_or_else(|| SoulError::Unknown(soul.clone()))?;
        // An actor that has just failed records that by itself, so what is wanted is written after it has ended.
        let saved = handle.stop().await;
        records::save(&self.0.host.kv, &handle.manifest, &Wanted::Stopped, request).await?;
        let ended = Handle { mailbox: handle.mailbox, jobs: None, ..handle };
        ended.status.set(State::Stopped, "");
        let view = ended.view();
        self.insert(soul.clone(), ended);
        self.0.host.report("soul.stopped", soul, &json!({}));
        saved.map_err(|reason| SoulError::Save(soul.clone(), reason))?;
        Ok(view)
    }

    /// Stops a Soul and forgets it, with what it kept in its own bucket. Forgetting one that is not there is no
    /// error.
    pub async fn delete(&self, soul: &SoulName, request: Option<RequestId>) -> Result<(), SoulError> {
        let lock = self.lock(soul);
        let _only = lock.lock().await;
        let (host, known) = (&self.0.host, self.handle(soul));
        if let Some(handle) = &known {
            // What could not be saved is to be forgotten anyway.
            let _ = handle.stop().await;
            records::save(&host.kv, &handle.manifest, &Wanted::Deleted, None).await?;
        }
        erase(&host.kv, soul, request).await?;
        host.router.directory().remove(&Address::Soul(soul.clone()));
        self.0.table.write().unwrap_or_else(PoisonError::into_inner).remove(soul);
        if known.is_some() {
            host.report("soul.deleted", soul, &json!({}));
        }
        Ok(())
    }

    /// Saves a Soul's state now.
    pub async fn checkpoint(&self, soul: &SoulName) -> Result<Saved, SoulError> {
        let saved = self.ask(soul, Job::Save).await.ok_or_else(|| self.gone(soul))?;
        saved.map_err(|reason| SoulError::Save(soul.clone(), reason))
    }

    /// Lets a Soul decide its turns of one tick.
    pub async fn act(&self, soul: &SoulName, request: ActRequest) -> Result<Vec<Vec<u8>>, ActError> {
        self.ask(soul, |reply| Job::Act(Box::new(request), reply)).await.unwrap_or(Err(ActError::Gone))
    }

    /// Tells a Soul that a run is over, so that it need not remember its last answer.
    pub async fn forget_run(&self, soul: &SoulName, run: Arc<str>) {
        if let Some(jobs) = self.handle(soul).and_then(|handle| handle.jobs) {
            // A Soul that is gone has forgotten already.
            let _ = jobs.send(Job::Forget(run)).await;
        }
    }

    /// What the Souls of this node share.
    pub(super) fn host(&self) -> &Host {
        &self.0.host
    }

    /// How many Souls are known.
    pub fn count(&self) -> usize {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many Souls use a component.
    pub fn users_of(&self, component: Digest) -> usize {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        table.values().filter(|handle| handle.manifest.component == component).count()
    }

    /// A Soul that is asleep has to hear what is sent to its topics.
    async fn subscribe_again(&self, soul: &SoulName, handle: Handle) -> Result<Handle, SoulError> {
        match checkpoint::load_header(&self.0.host.kv, soul).await {
            Ok(Some(header)) => {
                for topic in header.topics {
                    life::subscribe(&self.0.host.router, topic, soul);
                }
            }
            Ok(None) => {}
            Err(CheckpointError::Kv(error)) => return Err(error.into()),
            // It shows when the Soul is woken, and is that Soul's trouble alone.
            Err(error) => tracing::error!(%soul, %error, "a checkpoint cannot be read"),
        }
        Ok(handle)
    }

    pub(super) fn launch(&self, manifest: &Arc<Manifest>, placed: Placed) -> Result<Handle, SoulError> {
        let host = &self.0.host;
        let limits = manifest.check(&host.limits)?;
        let (room, capacity) = (host.router.room(), limits.mailbox_messages as usize);
        let keeps = manifest.durability.mode == Mode::Turn;
        let (mailbox, inbox) =
            if keeps { Mailbox::keeping(room, capacity) } else { Mailbox::within(room, capacity) };
        let (jobs, jobs_inbox) = mpsc::channel(JOBS_MAX);
        let waits = Waits::new(host.tasks.stopping().child_token());
        let status = Arc::new(Status::new(State::Passive, String::new()));
        host.router.settle(Address::Soul(manifest.name.clone()), mailbox.clone());
        let actor = Actor {
            host: host.clone(),
            manifest: manifest.clone(),
            placed,
            limits,
            component: None,
            inbox,
            jobs: jobs_inbox,
            status: status.clone(),
            life: Life::new(waits.clone()),
            saving: None,
            suspects: Suspects::default(),
            turns: keeps.then(Box::default),
            restarts: Restarts::new(host.config.restart, manifest.seed),
            active: Instant::now(),
            recording: Recording::new(host.config.recorded_inputs),
            capturing: Capturing::of(manifest, host),
            batch_max: 1,
            stopwatch: host.metrics.runtime.call_seconds.stopwatch(),
        };
        host.tasks.spawn("soul", actor.run());
        Ok(Handle {
            manifest: manifest.clone(),
            placed,
            status,
            mailbox: Some(mailbox),
            jobs: Some(jobs),
            waits,
        })
    }

    /// After a spawn that failed: what ran before it runs again.
    fn take_back(&self, name: &SoulName, ran: Option<(Arc<Manifest>, Placed)>) -> Result<(), SoulError> {
        match ran {
            Some((manifest, placed)) => {
                let again = self.launch(&manifest, placed)?;
                self.insert(name.clone(), again);
            }
            None => self.0.host.router.directory().remove(&Address::Soul(name.clone())),
        }
        Ok(())
    }

    pub(super) async fn ask<T>(
        &self,
        soul: &SoulName,
        job: impl FnOnce(oneshot::Sender<T>) -> Job,
    ) -> Option<T> {
        let jobs = self.handle(soul)?.jobs?;
        let (reply, answer) = oneshot::channel();
        jobs.send(job(reply)).await.ok()?;
        answer.await.ok()
    }

    pub(super) fn gone(&self, soul: &SoulName) -> SoulError {
        match self.handle(soul) {
            Some(_) => SoulError::Stopped(soul.clone()),
            None => SoulError::Unknown(soul.clone()),
        }
    }

    pub(super) fn handle(&self, soul: &SoulName) -> Option<Handle> {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner).get(soul).cloned()
    }

    pub(super) fn insert(&self, soul: SoulName, handle: Handle) {
        self.0.table.write().unwrap_or_else(PoisonError::into_inner).insert(soul, handle);
    }

    pub(super) fn lock(&self, soul: &SoulName) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if locks.len() >= LOCKS_KEPT {
            // Whoever holds or awaits one has a clone of it, made under this mutex.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        locks.entry(soul.clone()).or_default().clone()
    }

    /// Asks every Soul, once in a while, to save what is unsaved and to leave memory if it is idle.
    async fn tend(&self) {
        let stopping = self.0.host.tasks.stopping();
        let mut tick = tokio::time::interval(TEND_EVERY / TEND_PARTS);
        loop {
            let mut from = Bound::Unbounded;
            for _ in 0..TEND_PARTS {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    _ = tick.tick() => {}
                }
                from = self.tend_some(from);
            }
        }
    }

    /// Asks the next of them, `from` a name on; returns after whom to go on.
    fn tend_some(&self, from: Bound<SoulName>) -> Bound<SoulName> {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        let some = table.len().div_ceil(TEND_PARTS as usize);
        let mut last = from.clone();
        for (soul, handle) in table.range((from, Bound::Unbounded)).take(some) {
            if let Some(jobs) = handle.jobs.as_ref().filter(|_| handle.status.get().0 == State::Running) {
                // A Soul with a full queue of jobs is not idle, and will be asked again.
                let _ = jobs.try_send(Job::Tend);
            }
            last = Bound::Excluded(soul.clone());
        }
        last
    }
}
