//! The exchange itself, by the actor between two turns.

use std::sync::Arc;
use std::time::Instant;

use super::super::actor::Actor;
use super::super::checkpoint::{self, Checkpoint, CheckpointError};
use super::super::host::Host;
use super::super::life::SaveError;
use super::super::manifest::Manifest;
use super::super::placed::Placed;
use super::super::records::Wanted;
use super::super::restart::Restarts;
use super::super::status::State;
use super::candidate::{Candidate, topics_after};
use super::trial::Recalled;
use super::versions::{self, Begun, Cause, Exchange, Versions};
use super::{Given, Order, SwapError, Swapped};
use crate::capabilities::messaging::Waits;
use crate::capabilities::rehearsal::Deed;
use crate::kv::{Mutation, Txn};
use crate::transport::envelope::Address;
use crate::transport::router::Draft;

/// What new code is to take up, and what is to be kept of the old.
pub(super) struct Handover<'a> {
    pub(super) before: &'a Manifest,
    pub(super) placed: Placed,
    pub(super) wanted: &'a Wanted,
    pub(super) given: Given,
    /// The state in which the old code is left.
    pub(super) left: Option<Checkpoint>,
    pub(super) cause: Cause,
    pub(super) versions: Versions,
    pub(super) fallback: String,
    /// The new instance is to live on: what it wrote meanwhile goes into the commit. One that is not will be born again.
    pub(super) enters: bool,
    /// What keeps a turn of the old code from coming late.
    pub(super) instead_of_a_turn: Txn,
}

/// New code that is a Soul's.
pub(super) struct Exchanged {
    pub(super) swapped: Swapped,
    /// The state with which it begins.
    next: Checkpoint,
    /// What else it did meanwhile, to be done now.
    deeds: Vec<Deed>,
    /// As of which revision of the KV.
    revision: u64,
}

/// Lets new code take up a state, and makes it the Soul's.
pub(super) async fn exchange(
    host: &Host,
    candidate: &mut Candidate,
    handover: Handover<'_>,
    waits: &Waits,
) -> Result<Exchanged, SwapError> {
    let Handover { before, placed, wanted, given, left, cause, mut versions, fallback, .. } = handover;
    let (enters, instead_of_a_turn) = (handover.enters, handover.instead_of_a_turn);
    let given = match &given {
        Given::Present => left.as_ref(),
        Given::Kept(kept) => kept.as_deref(),
    };
    candidate.take_up(given).await?;
    let mut next = candidate.prove(given.map(|given| &given.header)).await?;
    let (writes, deeds) = apart(candidate.instance.state().perform());
    let writes = if enters { writes } else { Vec::new() };
    next.header.topics = topics_after(host.router.directory().subscriptions(&before.name), &deeds);
    let begun = Begun { checkpoint: &next, cause, fallback: &fallback };
    let version = versions.push(before.component, placed, begun).clone();
    let manifest = &*candidate.manifest;
    versions.before = (before.persona != manifest.persona).then(|| before.persona.clone());
    let (left, versions) = (left.as_ref(), &versions);
    let exchange =
        Exchange { manifest, wanted, placed, next: &next, left, versions, writes, instead_of_a_turn };
    let revision = versions::commit(host, exchange, waits).await?;
    let swapped = Swapped { changed: true, before: before.component, version, fallback, pause_us: 0 };
    Ok(Exchanged { swapped, next, deeds, revision })
}

/// What is written to the KV, and what else is done.
pub(super) fn apart(deeds: Vec<Deed>) -> (Vec<Mutation>, Vec<Deed>) {
    let (mut writes, mut others) = (Vec::new(), Vec::new());
    for deed in deeds {
        match deed {
            Deed::Write(mutations) => writes.extend(mutations),
            other => others.push(other),
        }
    }
    (writes, others)
}

impl Actor {
    /// Puts new code into the place of the old, or leaves everything as it was.
    ///
    /// None: nobody waits for it any more, and nothing was done.
    pub(crate) async fn swap(&mut self, order: Order) -> Option<Result<Swapped, SwapError>> {
        // Others may have taken the Soul up: it must be able to leave.
        if !self.host.gate.is_open() {
            return Some(Err(SwapError::NoLease));
        }
        let Order { mut candidate, given, cause, versions, begun } = order;
        if begun.send(()).is_err() {
            return None;
        }
        let awake = self.life.is_awake();
        let start = Instant::now();
        let exchanged = self.exchange(&mut candidate, given, cause, versions).await;
        Some(exchanged.map(|exchanged| {
            let Exchanged { mut swapped, next, deeds, .. } = exchanged;
            self.install(candidate, next);
            // The crashes were the old code's.
            self.restarts = Restarts::new(self.host.config.restart, self.manifest.seed);
            let pause = start.elapsed();
            self.host.metrics.souls.swap_seconds.record("swapped", pause);
            if awake {
                swapped.pause_us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
            }
            self.perform(deeds);
            swapped
        }))
    }

    async fn exchange(
        &mut self,
        candidate: &mut Candidate,
        given: Given,
        cause: Cause,
        versions: Versions,
    ) -> Result<Exchanged, SwapError> {
        if !self.recalls().await {
            return Err(SwapError::Unread);
        }
        let (left, fallback) = self.present().await?;
        let (before, placed) = (self.manifest.clone(), self.placed);
        let wanted = &Wanted::Running;
        let instead_of_a_turn = self.instead_of_a_turn().map_err(CheckpointError::Kv)?;
        let handover = Handover {
            before: &before,
            placed,
            wanted,
            given,
            left,
            cause,
            versions,
            fallback,
            enters: true,
            instead_of_a_turn,
        };
        let exchanged = exchange(&self.host, candidate, handover, self.life.waits()).await;
        match &exchanged {
            Ok(exchanged) => self.was_no_turn(Some(exchanged.revision)),
            // What is in memory must not be saved over what may be the new code's.
            Err(SwapError::Open(_) | SwapError::Save(CheckpointError::Elsewhere(_))) => {
                self.was_no_turn(None);
                self.life.sleep();
            }
            Err(_) => {}
        }
        exchanged
    }

    /// The Soul's state; where its code does not give it, the last one that was saved, and why.
    pub(crate) async fn present(&mut self) -> Result<(Option<Checkpoint>, String), CheckpointError> {
        self.settle().await;
        let mut fallback = String::new();
        if self.life.is_awake() {
            match self.life.take(&self.host, &self.manifest.name).await {
                Ok(checkpoint) => return Ok((Some(checkpoint), fallback)),
                Err(error) => {
                    fallback = format!("the old code: {error}");
                    if let SaveError::Crashed(crash) = &error {
                        self.crashed(crash);
                    }
                }
            }
        }
        Ok((checkpoint::load(&self.host.kv, &self.manifest.name).await?, fallback))
    }

    /// The new instance is the Soul's from now on.
    pub(super) fn install(&mut self, candidate: Candidate, next: Checkpoint) {
        let Candidate { manifest, component, mut instance } = candidate;
        instance.state().count_by(&self.status.usage);
        self.status.saved(&next.header.schema, next.header.at_ms);
        self.life.replace(instance, next.header);
        self.manifest = manifest;
        self.component = Some(component);
        self.batch_max = 1;
        self.active = Instant::now();
        self.status.set(State::Running, "");
        self.observe();
    }

    /// Does what the new code wanted done while it was only tried.
    pub(super) fn perform(&self, deeds: Vec<Deed>) {
        let (router, soul) = (&self.host.router, &self.manifest.name);
        for deed in deeds {
            match deed {
                Deed::Send(recipient, content) => {
                    let sender = Address::Soul(soul.clone());
                    let draft = Draft { sender, recipient, content, in_reply_to: None, hops: 0, trace: None };
                    if let Err(error) = router.send(draft) {
                        tracing::warn!(%soul, %error, "what new code sent at its birth was refused");
                    }
                }
                Deed::Subscribe(topic) => super::super::life::subscribe(router, topic, soul),
                Deed::Unsubscribe(topic) => router.directory().unsubscribe(&topic, soul),
                Deed::Emit(kind, content) => self.host.say(soul, &kind, content),
                // It was asked, and it was written; at its birth it remembers nothing and calls nobody.
                Deed::Ask(..)
                | Deed::Write(_)
                | Deed::Remember(..)
                | Deed::Forget(_)
                | Deed::Call(..)
                | Deed::Request(_) => {}
            }
        }
    }

    /// A copy of the Soul's state, and what it handled last.
    pub(crate) async fn recall(&mut self) -> Result<Recalled, CheckpointError> {
        let (state, fallback) = self.present().await?;
        let (manifest, inputs) = (Arc::clone(&self.manifest), self.recording.inputs());
        Ok(Recalled { manifest, placed: self.placed, state, fallback, inputs })
    }
}
