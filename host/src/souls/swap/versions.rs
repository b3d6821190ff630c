//! Which code a Soul has had: a bounded list, and the state in which the code before the present one was left.

use serde::{Deserialize, Serialize};

use super::super::checkpoint::{self, Checkpoint, CheckpointError};
use super::super::committing::{self, By, NoRoom, Uncommitted};
use super::super::host::Host;
use super::super::manifest::{Manifest, Persona};
use super::super::pieces::{self, Slot};
use super::super::placed::Placed;
use super::super::records::{self, Wanted};
use super::SwapError;
use crate::capabilities::messaging::Waits;
use crate::clock;
use crate::ids::{Digest, SoulName};
use crate::kv::{Kv, KvError, Mutation, Txn};

/// The bucket of the KV that holds one list of versions a Soul.
pub(crate) const BUCKET: &str = "sys/versions";
/// The bucket of the KV that holds one kept state a Soul.
pub(crate) const KEPT_BUCKET: &str = "sys/kept";
/// The most versions that are remembered; the oldest is forgotten for a new one.
pub const VERSIONS_MAX: usize = 32;

/// What brought a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The Soul was spawned with it.
    Spawn,
    /// The code was swapped.
    Swap,
    /// The swap before was taken back.
    Rollback,
    /// The persona was changed; the code is the same.
    Persona,
}

/// Code that a Soul has had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Counts them, from 1.
    pub number: u64,
    /// The code.
    pub component: Digest,
    /// What brought it.
    pub cause: Cause,
    /// Milliseconds since the Unix epoch at which it began; 0: not known, it is older than this list.
    pub at_ms: u64,
    /// Layout of the state with which it began; empty: it had none.
    pub schema: String,
    /// Digest of that state.
    pub state: Digest,
    /// Length of that state, in bytes.
    pub size: u64,
    /// In which generation of the Soul it began.
    pub generation: u64,
    /// Why it began with the last checkpoint instead of the last state; empty: it did not.
    pub fallback: String,
}

impl Version {
    fn first(component: Digest, placed: Placed) -> Self {
        Self {
            number: 1,
            component,
            cause: Cause::Spawn,
            at_ms: 0,
            schema: String::new(),
            state: Digest::of(b""),
            size: 0,
            generation: placed.generation,
            fallback: String::new(),
        }
    }
}

/// Whom a Soul comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// The Soul's name.
    pub soul: SoulName,
    /// The realm that it lived in; empty: this one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub realm: String,
    /// The lesson whose state it was; none: it was the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<u64>,
    /// Digest of that state.
    pub state: Digest,
    /// Milliseconds since the Unix epoch at which it was taken.
    pub at_ms: u64,
}

/// All versions of a Soul that are remembered, the present one last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    /// The versions.
    pub list: Vec<Version>,
    /// Who the Soul was before the present version, where that differs: a rollback makes it so again. `Persona`s may be
    /// long, and no others are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Persona>,
    /// Whom it comes from; none: it was spawned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Ancestor>,
}

impl Versions {
    /// The version that runs, and the one before.
    pub fn last_two(&self) -> (Option<&Version>, Option<&Version>) {
        let mut from_the_end = self.list.iter().rev();
        (from_the_end.next(), from_the_end.next())
    }

    /// Adds a version after those that are known; `before` is the code before it, in case none is.
    pub(super) fn push(&mut self, before: Digest, placed: Placed, new: Begun<'_>) -> &Version {
        if self.list.last().is_none_or(|version| version.component != before) {
            let number = self.list.last().map_or(1, |version| version.number + 1);
            self.list.push(Version { number, ..Version::first(before, placed) });
        }
        let number = self.list.last().map_or(1, |version| version.number + 1);
        let Checkpoint { header, state } = new.checkpoint;
        self.list.push(Version {
            number,
            component: header.component,
            cause: new.cause,
            at_ms: clock::now_ms(),
            schema: header.schema.clone(),
            state: header.state,
            size: state.len() as u64,
            generation: placed.generation,
            fallback: new.fallback.to_owned(),
        });
        let forgotten = self.list.len().saturating_sub(VERSIONS_MAX);
        self.list.drain(..forgotten);
        &self.list[self.list.len() - 1]
    }
}

/// How a version begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) cause: Cause,
    pub(super) fallback: &'a str,
}

/// The versions of a Soul; the list is never empty.
pub(super) async fn load(
    kv: &Kv,
    soul: &SoulName,
    present: Digest,
    placed: Placed,
) -> Result<Versions, KvError> {
    let mut versions: Versions = kv.record(BUCKET, soul.as_str()).await?.unwrap_or_default();
    if versions.list.last().is_none_or(|version| version.component != present) {
        let number = versions.list.last().map_or(1, |version| version.number + 1);
        versions.list.push(Version { number, ..Version::first(present, placed) });
        // Of another version, which was spawned since.
        versions.before = None;
    }
    Ok(versions)
}

/// The versions of a Soul that begins as another was.
pub(in crate::souls) fn descended(
    kv: &Kv,
    manifest: &Manifest,
    placed: Placed,
    checkpoint: Option<&Checkpoint>,
    origin: &Ancestor,
) -> Result<Mutation, KvError> {
    let mut first = Version { at_ms: clock::now_ms(), ..Version::first(manifest.component, placed) };
    if let Some(Checkpoint { header, state }) = checkpoint {
        first.schema.clone_from(&header.schema);
        (first.state, first.size) = (header.state, state.len() as u64);
    }
    let versions = Versions { list: vec![first], before: None, origin: Some(origin.clone()) };
    mutation(kv, &manifest.name, &versions)
}

/// What writes the versions of a Soul.
fn mutation(kv: &Kv, soul: &SoulName, versions: &Versions) -> Result<Mutation, KvError> {
    let value = serde_json::to_vec(versions);
    let value = value.map_err(|error| KvError::Unavailable(error.to_string()))?.into();
    Ok(Mutation::Put { path: kv.path(BUCKET, soul.as_str().as_bytes())?, value, lease: None })
}

/// How many Souls could go back to a component.
pub(crate) async fn kept_by(kv: &Kv, component: Digest) -> Result<usize, KvError> {
    let all: Vec<Versions> = kv.all_records(BUCKET).await?;
    let earlier = |versions: &&Versions| versions.last_two().1.is_some_and(|it| it.component == component);
    Ok(all.iter().filter(earlier).count())
}

/// The state in which the code before the present one was left; none: it had none.
pub(super) async fn kept(kv: &Kv, soul: &SoulName) -> Result<Option<Checkpoint>, CheckpointError> {
    checkpoint::load_from(kv, soul, Slot::Kept).await
}

/// What one commit writes.
pub(super) struct Exchange<'a> {
    /// With the new code.
    pub(super) manifest: &'a Manifest,
    pub(super) wanted: &'a Wanted,
    pub(super) placed: Placed,
    /// The state in the new code's layout.
    pub(super) next: &'a Checkpoint,
    /// The state in which the old code was left.
    pub(super) left: Option<&'a Checkpoint>,
    pub(super) versions: &'a Versions,
    /// What the new code wrote at its birth.
    pub(super) writes: Vec<Mutation>,
    /// What keeps a turn from coming late.
    pub(super) instead_of_a_turn: Txn,
}

impl Exchange<'_> {
    /// What the commit writes; the states' pieces are written when this returns.
    async fn txn(self, host: &Host, waits: &Waits) -> Result<Txn, CheckpointError> {
        let (kv, soul, max) = (&host.kv, &self.manifest.name, host.config.state_bytes_max);
        let (lives, by) = (self.placed.condition(kv, soul)?, By::Until(host, waits, NoRoom::GiveUp));
        let next = checkpoint::lay(by, soul, Slot::Present, self.next, max, &lives).await?;
        let kept = match self.left {
            Some(left) => checkpoint::lay(by, soul, Slot::Kept, left, max, &lives).await?,
            None => {
                let mut then = pieces::clear(kv, soul, Slot::Kept).await?;
                then.push(Mutation::Delete { path: kv.path(KEPT_BUCKET, soul.as_str().as_bytes())? });
                Txn { require: Vec::new(), then }
            }
        };
        let records =
            [records::mutation(kv, self.manifest, self.wanted)?, mutation(kv, soul, self.versions)?];
        let Txn { mut require, mut then } = self.instead_of_a_turn;
        require.push(lives);
        require.extend(next.require.into_iter().chain(kept.require));
        // The turns come last.
        then.splice(..0, records.into_iter().chain(next.then).chain(kept.then).chain(self.writes));
        Ok(Txn { require, then })
    }
}

/// Makes new code a Soul's, all of it or nothing; durable when it returns. Returns the revision.
pub(super) async fn commit(host: &Host, exchange: Exchange<'_>, waits: &Waits) -> Result<u64, SwapError> {
    let soul = exchange.manifest.name.clone();
    let txn = Box::pin(exchange.txn(host, waits)).await?;
    let committed = committing::commit(host, &soul, txn, waits, NoRoom::GiveUp).await;
    committed.map_err(|error| match error {
        Uncommitted::Refused => CheckpointError::Elsewhere(soul).into(),
        Uncommitted::Never(error) => CheckpointError::Kv(error).into(),
        Uncommitted::Open(error) => SwapError::Open(error),
    })
}

/// Forgets what a Soul has had.
pub(crate) async fn forget(kv: &Kv, soul: &SoulName) -> Result<(), KvError> {
    for bucket in [KEPT_BUCKET, BUCKET] {
        kv.delete(bucket, soul.as_str().as_bytes(), None).await?;
    }
    Ok(())
}
