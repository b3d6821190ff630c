//! The way in: from what an operator wants to what an actor is told.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::super::checkpoint;
use super::super::error::SoulError;
use super::super::handle::Handle;
use super::super::jobs::Job;
use super::super::life::StartError;
use super::super::manifest::{Manifest, Mode, Persona};
use super::super::placed::{self, Placed};
use super::super::records::{self, Record, Wanted};
use super::super::registry::Souls;
use super::super::status::State;
use super::super::turns;
use super::candidate::Candidate;
use super::taking::{self, Handover};
use super::trial::{self, Trial};
use super::versions::{self, Cause, Versions};
use super::{Given, Order, SwapError, Swapped};
use crate::capabilities::messaging::Waits;
use crate::ids::{Digest, SoulName};
use crate::kv::Txn;
use crate::runtime::inspect::Kind;
use crate::runtime::limits::Limits;

/// How often a turn is told again to give up what it waits for.
const CUT_EVERY: Duration = Duration::from_millis(20);
/// How long a turn may go on after it was told first: as long as the longest call that a node allows.
const CUT_MAX: Duration = Duration::from_secs(60);

/// What an operator wants.
#[derive(Debug)]
struct Wish {
    component: Digest,
    /// None: it stays who it is.
    persona: Option<Persona>,
    cause: Cause,
    /// The kept state is given back, and not the present one.
    kept: bool,
    turn: Duration,
}

impl Souls {
    /// Puts the code `component` into the place of a Soul's own. A turn under way may take as long as `turn` before
    /// what it waits for is given up.
    ///
    /// # Errors
    /// `Unknown`, `Component`, `WrongWorld`, `Swap`: the old code goes on.
    pub async fn swap(
        &self,
        soul: &SoulName,
        component: Digest,
        turn: Duration,
    ) -> Result<Swapped, SoulError> {
        let lock = self.lock(soul);
        let _only = lock.lock().await;
        let wish = Wish { component, persona: None, cause: Cause::Swap, kept: false, turn };
        self.exchange(soul, wish).await
    }

    /// Makes a Soul somebody else while it lives: it is born anew with the same code, and takes up its state.
    ///
    /// # Errors
    /// `Unknown`, `Manifest`, `Swap`: it stays who it was.
    pub async fn set_persona(
        &self,
        soul: &SoulName,
        persona: Persona,
        turn: Duration,
    ) -> Result<Swapped, SoulError> {
        let lock = self.lock(soul);
        let _only = lock.lock().await;
        let handle = self.handle(soul).ok_or_else(|| SoulError::Unknown(soul.clone()))?;
        let (component, persona) = (handle.manifest.component, Some(persona));
        self.exchange(soul, Wish { component, persona, cause: Cause::Persona, kept: false, turn }).await
    }

    /// Gives a Soul the code and the persona of this manifest, for whoever holds its lock.
    pub(in crate::souls) async fn renew(
        &self,
        before: &Manifest,
        wanted: &Manifest,
    ) -> Result<(), SoulError> {
        let (component, persona) = (wanted.component, Some(wanted.persona.clone()));
        let cause = if before.component == component { Cause::Persona } else { Cause::Swap };
        let wish = Wish { component, persona, cause, kept: false, turn: super::TURN_DEFAULT };
        self.exchange(&wanted.name, wish).await.map(drop)
    }

    /// Goes back to the code before the present one: with the state in which that code was left if `kept`, otherwise
    /// with the present one.
    ///
    /// # Errors
    /// As [`Souls::swap`]; `Swap` also where there is no earlier code.
    pub async fn roll_back(&self, soul: &SoulName, kept: bool, turn: Duration) -> Result<Swapped, SoulError> {
        let lock = self.lock(soul);
        let _only = lock.lock().await;
        let handle = self.handle(soul).ok_or_else(|| SoulError::Unknown(soul.clone()))?;
        let versions = self.versions(soul, &handle).await?;
        let earlier = versions.last_two().1.cloned();
        let component = earlier.ok_or_else(|| refused(soul, SwapError::NoEarlier))?.component;
        let persona = versions.before;
        self.exchange(soul, Wish { component, persona, cause: Cause::Rollback, kept, turn }).await
    }

    /// Tells what would differ, and does nothing.
    ///
    /// # Errors
    /// `Unknown`, `Component`, `WrongWorld`, `Stopped`.
    pub async fn rehearse(&self, soul: &SoulName, component: Digest) -> Result<Trial, SoulError> {
        let handle = self.handle(soul).ok_or_else(|| SoulError::Unknown(soul.clone()))?;
        let (manifest, limits) = self.renewed(&handle, component, None).await?;
        let recalled = self.ask(soul, Job::Recall).await.ok_or_else(|| self.gone(soul))?;
        let recalled = recalled.map_err(|error| refused(soul, error.into()))?;
        let host = self.0.host.clone();
        let tried = self
            .0
            .host
            .tasks
            .spawn("soul.trial", async move { trial::run(&host, recalled, manifest, &limits).await });
        tried.await.map_err(|_| refused(soul, SwapError::Gone))
    }

    /// Which code a Soul has had, wherever it lives; the last version is the one that should run.
    ///
    /// # Errors
    /// `Unknown`, `Kv`.
    pub async fn history(&self, soul: &SoulName) -> Result<Versions, SoulError> {
        let (kv, unknown) = (&self.host().kv, || SoulError::Unknown(soul.clone()));
        let record = records::load(kv, soul).await?.filter(|record| record.wanted != Wanted::Deleted);
        let placed = placed::load(kv, soul).await?.ok_or_else(unknown)?;
        let present = record.ok_or_else(unknown)?.manifest.component;
        Ok(versions::load(kv, soul, present, placed).await?)
    }

    /// The swap itself; the caller holds the Soul's lock.
    async fn exchange(&self, soul: &SoulName, wish: Wish) -> Result<Swapped, SoulError> {
        let handle = self.handle(soul).ok_or_else(|| SoulError::Unknown(soul.clone()))?;
        let (manifest, limits) = self.renewed(&handle, wish.component, wish.persona.as_ref()).await?;
        let versions = self.versions(soul, &handle).await?;
        if handle.manifest == manifest
            && let (Some(version), _) = versions.last_two()
        {
            let (before, version) = (wish.component, version.clone());
            return Ok(Swapped { changed: false, before, version, fallback: String::new(), pause_us: 0 });
        }
        let swapped = self.taken(&handle, manifest, limits, versions, &wish).await;
        let swapped = swapped.inspect_err(|error| {
            self.0.host.metrics.souls.swaps.add("failed", 1);
            let (digest, reason) = (wish.component.to_string(), error.to_string());
            tracing::warn!(%soul, component = digest, reason, "the old code goes on: a swap failed");
            self.0.host.report("soul.swap-failed", soul, &json!({ "component": digest, "reason": reason }));
        })?;
        let (event, counted) = match wish.cause {
            Cause::Rollback => ("soul.rolled-back", "rolled-back"),
            Cause::Persona => ("soul.persona-set", "persona-set"),
            _ => ("soul.swapped", "swapped"),
        };
        self.0.host.metrics.souls.swaps.add(counted, 1);
        let detail = json!({
            "before": swapped.before.to_string(),
            "component": swapped.version.component.to_string(),
            "version": swapped.version.number,
            "schema": swapped.version.schema,
            "fallback": swapped.fallback,
            "pause_us": swapped.pause_us,
        });
        self.0.host.report(event, soul, &detail);
        Ok(swapped)
    }

    /// The manifest of a Soul with another component, which is of the right world, and another persona, if any.
    async fn renewed(
        &self,
        handle: &Handle,
        component: Digest,
        persona: Option<&Persona>,
    ) -> Result<(Arc<Manifest>, Limits), SoulError> {
        let host = self.host();
        let persona = persona.unwrap_or(&handle.manifest.persona).clone();
        let manifest = Manifest { component, persona, ..(*handle.manifest).clone() };
        let limits = manifest.check(&host.limits)?;
        let found = host.components.get(component).await?.info().kind;
        if found != Kind::Soul {
            return Err(SoulError::WrongWorld { digest: component, found: found.singular() });
        }
        Ok((Arc::new(manifest), limits))
    }

    /// Lets the code of `manifest` be born beside a Soul, on the guests' threads. None: it was not tried to its end.
    pub(in crate::souls) async fn candidate(
        &self,
        manifest: Arc<Manifest>,
        limits: Limits,
        at: (Placed, Waits),
    ) -> Option<Result<Candidate, StartError>> {
        let host = self.0.host.clone();
        let born = async move { Candidate::born(&host, manifest, &limits, at, true).await };
        self.0.host.tasks.spawn("soul.candidate", born).await.ok()
    }

    async fn versions(&self, soul: &SoulName, handle: &Handle) -> Result<Versions, SoulError> {
        let (kv, present) = (&self.host().kv, handle.manifest.component);
        Ok(versions::load(kv, soul, present, handle.placed).await?)
    }

    async fn taken(
        &self,
        handle: &Handle,
        manifest: Arc<Manifest>,
        limits: Limits,
        versions: Versions,
        wish: &Wish,
    ) -> Result<Swapped, SoulError> {
        let soul = &handle.manifest.name;
        let failed = |error| refused(soul, error);
        let given = match wish.kept {
            true => Given::Kept(versions::kept(&self.host().kv, soul).await?.map(Box::new)),
            false => Given::Present,
        };
        let at = (handle.placed, handle.waits.clone());
        let candidate = self.candidate(manifest.clone(), limits, at).await;
        let candidate = candidate.ok_or_else(|| failed(SwapError::Gone))?;
        let candidate = candidate.map_err(|error| failed(error.into()))?;
        if handle.jobs.as_ref().is_none_or(mpsc::Sender::is_closed) {
            return self.taken_up_at_rest(handle, candidate, given, versions, wish.cause).await;
        }
        let (begun, has_begun) = oneshot::channel();
        let order = Order { candidate, given, cause: wish.cause, versions, begun };
        let swapped = ordered(handle, order, has_begun, wish.turn).await.map_err(failed)?;
        self.insert(soul.clone(), Handle { manifest, ..handle.clone() });
        Ok(swapped)
    }

    /// New code for a Soul that is stopped, or has failed: it stays stopped; one that has failed tries again.
    async fn taken_up_at_rest(
        &self,
        handle: &Handle,
        mut candidate: Candidate,
        given: Given,
        versions: Versions,
        cause: Cause,
    ) -> Result<Swapped, SoulError> {
        let (host, manifest) = (self.0.host.clone(), candidate.manifest.clone());
        let (before, placed) = (handle.manifest.clone(), handle.placed);
        let soul = &before.name;
        let wanted = match handle.status.get().0 {
            State::Failed => Wanted::Running,
            _ => Wanted::Stopped,
        };
        let left = checkpoint::load(&host.kv, soul).await?;
        let instead_of_a_turn = match before.durability.mode {
            Mode::Turn => turns::instead_of_a_turn(&host.kv, soul).await?,
            Mode::Checkpoint => Txn::default(),
        };
        let waits = Waits::new(host.tasks.stopping().child_token());
        let (at_rest, wanting) = (before.clone(), wanted.clone());
        let exchanged = self.0.host.tasks.spawn("soul.exchange", async move {
            let (before, wanted, fallback) = (&*at_rest, &wanting, String::new());
            let handover = Handover {
                before,
                placed,
                wanted,
                given,
                left,
                cause,
                versions,
                fallback,
                enters: false,
                instead_of_a_turn,
            };
            let exchanged = taking::exchange(&host, &mut candidate, handover, &waits).await;
            exchanged.map(|exchanged| exchanged.swapped)
        });
        let exchanged = exchanged.await.map_err(|_| refused(soul, SwapError::Gone))?;
        let swapped = exchanged.map_err(|error| refused(soul, error))?;
        self.bring_back(Record { manifest: (*manifest).clone(), wanted }, placed).await?;
        Ok(swapped)
    }
}

fn refused(soul: &SoulName, error: SwapError) -> SoulError {
    SoulError::Swap(soul.clone(), Box::new(error))
}

/// Gives an actor its order. A turn under way is waited for as long as `turn`, and then told to give up what it waits
/// for. Once the actor has begun, nothing stops it.
async fn ordered(
    handle: &Handle,
    order: Order,
    mut begun: oneshot::Receiver<()>,
    turn: Duration,
) -> Result<Swapped, SwapError> {
    let jobs = handle.jobs.as_ref().ok_or(SwapError::Gone)?;
    let (reply, answer) = oneshot::channel();
    jobs.send(Job::Swap(Box::new(order), reply)).await.map_err(|_| SwapError::Gone)?;
    let mut has_begun = tokio::time::timeout(turn, &mut begun).await.is_ok();
    let told = tokio::time::Instant::now();
    while !has_begun && told.elapsed() < CUT_MAX {
        handle.waits.cut();
        has_begun = tokio::time::timeout(CUT_EVERY, &mut begun).await.is_ok();
    }
    // It may begin in this moment: then it is waited for.
    begun.close();
    if !has_begun && begun.try_recv().is_err() {
        return Err(SwapError::Busy(turn + CUT_MAX));
    }
    answer.await.map_err(|_| SwapError::Gone)?
}
