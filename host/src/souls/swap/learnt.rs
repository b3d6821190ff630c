//! What a copy of a Soul has learnt takes the place of the Soul's state, as new code would: born beside it, proved, and
//! made durable in one write, before the Soul goes on with it.

use tokio::sync::oneshot;

use super::super::actor::Actor;
use super::super::checkpoint::{self, Checkpoint, CheckpointError, Header};
use super::super::committing::{self, By, NoRoom, Uncommitted};
use super::super::life::first_header;
use super::super::pieces::Slot;
use super::super::placed;
use super::super::pupil::{LearnError, Ordered, born_failed};
use super::candidate::{Candidate, topics_after};
use super::taking::apart;
use super::trial::Recalled;
use crate::capabilities::rehearsal::Deed;
use crate::ids::Digest;
use crate::kv::{Mutation, Txn};
use crate::runtime::stateful::Snapshot;

/// The state that something is to be taken up instead of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Base {
    /// That with this layout and digest; none: the Soul is as it was born.
    Exactly(Option<(String, Digest)>),
    /// Whichever it is.
    Any,
}

/// What is to be taken up.
pub(crate) struct Adoption {
    /// The same code, born and without a state.
    pub(crate) candidate: Candidate,
    /// From which state.
    pub(crate) base: Base,
    /// What was learnt.
    pub(crate) learnt: Snapshot,
    /// What is to be so, and to be written, in the same transaction.
    pub(crate) with: Txn,
}

/// Tells a Soul to wait for what its copy learns.
pub(crate) struct Hold {
    /// Where it gives its state, between two turns.
    pub(crate) recalled: oneshot::Sender<Result<Recalled, CheckpointError>>,
    /// What it is to take up. Once that cannot come any more, it goes on.
    pub(crate) order: oneshot::Receiver<Ordered>,
}

impl std::fmt::Debug for Adoption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adoption").field("base", &self.base).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

/// A state that was taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learnt {
    /// Its layout.
    pub schema: String,
    /// Its length, in bytes.
    pub size: u64,
    /// Its digest.
    pub state: Digest,
}

impl Actor {
    /// Gives a copy of the state, and waits for what is learnt by it. A Soul that is to end, or to be given other code, does
    /// not wait.
    pub(crate) async fn hold(&mut self, hold: Hold) {
        let recalled = self.recall().await;
        if hold.recalled.send(recalled).is_err() {
            return;
        }
        let waits = self.life.waits().clone();
        let ordered = tokio::select! {
            _ = waits.ended() => return,
            ordered = hold.order => ordered,
        };
        if let Ok((adoption, reply)) = ordered {
            // Whoever asked may be gone.
            let _ = reply.send(self.take_up(*adoption).await);
        }
    }

    /// Takes up what was learnt, or leaves everything as it was.
    pub(crate) async fn take_up(&mut self, adoption: Adoption) -> Result<Learnt, LearnError> {
        let Adoption { mut candidate, base, learnt, with } = adoption;
        // Others may have taken the Soul up: it must be able to leave.
        if !self.host.gate.is_open() || !self.recalls().await {
            return Err(LearnError::Later("its node does not hold its lease at the moment".to_owned()));
        }
        let later = |error: &dyn std::fmt::Display| LearnError::Later(error.to_string());
        let (present, fallback) = self.present().await.map_err(|error| later(&error))?;
        if !fallback.is_empty() {
            return Err(LearnError::Later(fallback));
        }
        let now = present.as_ref().map(|present| (present.header.schema.clone(), present.header.state));
        let is_other = matches!(&base, Base::Exactly(base) if *base != now);
        if is_other || *candidate.manifest != *self.manifest {
            return Err(LearnError::Changed);
        }
        let before = present.map_or_else(|| first_header(&self.manifest), |present| present.header);
        let (next, deeds) = prove(&mut candidate, &before, learnt).await?;
        let (writes, deeds) = apart(deeds);
        let next = Checkpoint {
            header: Header {
                parent: now.map(|(_, state)| state),
                topics: topics_after(self.host.router.directory().subscriptions(&self.manifest.name), &deeds),
                ..next.header
            },
            ..next
        };
        self.commit_learnt(&next, writes, with).await?;
        let Header { schema, state, .. } = &next.header;
        let learnt = Learnt { schema: schema.clone(), size: next.state.len() as u64, state: *state };
        self.install(candidate, next);
        self.perform(deeds);
        Ok(learnt)
    }

    async fn commit_learnt(
        &mut self,
        next: &Checkpoint,
        writes: Vec<Mutation>,
        with: Txn,
    ) -> Result<(), LearnError> {
        let (kv, soul) = (self.host.kv.clone(), self.manifest.name.clone());
        let later = |error: &dyn std::fmt::Display| LearnError::Later(error.to_string());
        let Txn { mut require, mut then } = self.instead_of_a_turn().map_err(|error| later(&error))?;
        let lives = self.placed.condition(&kv, &soul).map_err(|error| later(&error))?;
        let by = By::Until(&self.host, self.life.waits(), NoRoom::GiveUp);
        let max = self.host.config.state_bytes_max;
        let laid = checkpoint::lay(by, &soul, Slot::Present, next, max, &lives).await;
        let laid = laid.map_err(|error| match error {
            CheckpointError::TooLarge(..) => LearnError::Guest(error.to_string()),
            error => later(&error),
        })?;
        require.push(lives);
        require.extend(laid.require.into_iter().chain(with.require));
        // The turns come last.
        then.splice(..0, laid.then.into_iter().chain(with.then).chain(writes));
        let txn = Txn { require, then };
        match committing::commit(&self.host, &soul, txn, self.life.waits(), NoRoom::GiveUp).await {
            Ok(revision) => {
                self.was_no_turn(Some(revision));
                Ok(())
            }
            Err(Uncommitted::Never(error)) => Err(later(&error)),
            Err(Uncommitted::Refused) => {
                let lives_here = placed::load(&kv, &soul).await.is_ok_and(|at| at == Some(self.placed));
                // Only what is known to be the last state stays in memory: of a Soul that keeps its turns, a turn that
                // was given up may have come late.
                if !lives_here || self.turns.is_some() {
                    self.was_no_turn(None);
                    self.life.sleep();
                }
                Err(LearnError::Changed)
            }
            Err(Uncommitted::Open(error)) => {
                // What is in memory must not be saved over what may have been learnt.
                self.was_no_turn(None);
                self.life.sleep();
                Err(later(&error))
            }
        }
    }
}

/// Lets the instance that is to live take up what was learnt, with everything else that the Soul is.
async fn prove(
    candidate: &mut Candidate,
    before: &Header,
    learnt: Snapshot,
) -> Result<(Checkpoint, Vec<Deed>), LearnError> {
    let header = Header { schema: learnt.schema, state: Digest::of(&learnt.bytes), ..before.clone() };
    let learnt = Checkpoint { header, state: learnt.bytes.into() };
    candidate.take_up(Some(&learnt)).await.map_err(|error| born_failed(&error))?;
    let next = candidate.prove(Some(&learnt.header)).await.map_err(|error| born_failed(&error))?;
    Ok((next, candidate.instance.state().perform()))
}
