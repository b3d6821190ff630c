//! A new Soul from what was kept of another: everything that is to be its own is written before it lives anywhere, under
//! a record that says that it is to be forgotten. So a node that is killed on the way leaves nothing that anybody takes
//! for a Soul, and who plants or spawns one of that name next clears it away first.

use bytes::Bytes;
use matrix_proto::wire::LearntState;
use prost::Message as _;

use super::SoulView;
use super::checkpoint::{self, Checkpoint, CheckpointError};
use super::committing::By;
use super::erase::erase;
use super::error::SoulError;
use super::fleet::Fleet;
use super::manifest::Manifest;
use super::pieces::{Slot, WHOLE_BYTES_MAX};
use super::placed::{self, Placed};
use super::records::{self, Wanted};
use super::swap::{self, Ancestor};
use super::taught::{self, LESSONS_BUCKET, LOGS_BUCKET};
use crate::capabilities::keyvalue;
use crate::ids::SoulName;
use crate::kv::{Condition, Expect, Kv, KvError, Mutation, Txn, TxnOutcome};
use crate::memory;
use crate::runtime::inspect::Kind;
use crate::runtime::limits::LimitsConfig;
use crate::runtime::stateful::Snapshot;

/// The most keys that are written at once.
const KEYS_AT_ONCE: usize = 100;
/// About so many bytes are written at once.
const BYTES_AT_ONCE: usize = 1 << 20;

/// What is a Soul's own, beside its record and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What it keeps in its own bucket of the KV.
    Own,
    /// What it remembers.
    Memory,
    /// How far it has learnt, and how that went.
    Lessons,
    /// The states that it came to by learning.
    Learnt,
    /// Which experience it has.
    Log,
    /// That experience.
    Experience,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 6] =
        [Self::Own, Self::Memory, Self::Lessons, Self::Learnt, Self::Log, Self::Experience];

    /// The bucket of the KV that holds this of a Soul.
    pub fn bucket(self, soul: &SoulName) -> String {
        match self {
            Self::Own => keyvalue::own_bucket(soul.as_str()),
            Self::Memory => memory::bucket(soul),
            Self::Lessons => LESSONS_BUCKET.to_owned(),
            Self::Learnt => taught::states_bucket(soul),
            Self::Log => LOGS_BUCKET.to_owned(),
            Self::Experience => taught::segments_bucket(soul),
        }
    }

    /// Whether it is one record under the Soul's name, in a bucket that all Souls share.
    pub const fn is_record(self) -> bool {
        matches!(self, Self::Lessons | Self::Log)
    }
}

/// A key of a Soul's own, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Of what it is.
    pub part: Part,
    /// The key; empty where the part is one record.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// What holding a key takes beside its bytes.
const OVERHEAD_BYTES: usize = 128;

impl Kept {
    /// What it takes to hold it, in bytes.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.len() + OVERHEAD_BYTES
    }

    /// Whether it is a state that goes into pieces.
    fn is_large(&self) -> bool {
        self.part == Part::Learnt && self.value.len() > WHOLE_BYTES_MAX
    }

    fn mutation(&self, kv: &Kv, soul: &SoulName) -> Result<Mutation, KvError> {
        let key = if self.part.is_record() { soul.as_str().as_bytes() } else { &self.key };
        let path = kv.path(&self.part.bucket(soul), key)?;
        Ok(Mutation::Put { path, value: self.value.clone(), lease: None })
    }
}

/// A Soul that does not live yet.
#[derive(Debug)]
pub struct Cutting {
    /// What it is to be.
    pub manifest: Manifest,
    /// The state that it begins with; none: that of its birth.
    pub checkpoint: Option<Checkpoint>,
    /// What else is its own.
    pub kept: Vec<Kept>,
    /// Whom it comes from.
    pub origin: Ancestor,
}

impl Fleet {
    /// Lets a Soul live, on the node that suits it best; it has come to life, with its state, when this returns.
    ///
    /// # Errors
    /// `Exists`, `Moved`, `Save`, and whatever keeps a Soul from being spawned; nothing is left of it then. `Away`: its
    /// node did not answer after it was written, and brings it to life when it is asked for.
    pub async fn plant(&self, cutting: &Cutting) -> Result<SoulView, SoulError> {
        let soul = &cutting.manifest.name;
        self.fits(&cutting.manifest).await?;
        let placed = Placed::after(None, self.choose_except(&cutting.manifest, None).await?);
        let (here, max) = (self.here(), self.here().host().config.souls_max);
        if placed.node == here.host().node && here.count() >= max {
            return Err(SoulError::TooMany(max));
        }
        let claim = self.claim(&cutting.manifest).await?;
        if let Err(error) = self.write(cutting, placed, claim).await {
            self.sweep(soul).await?;
            return Err(error);
        }
        self.note(soul, Some(placed)).await;
        // This wakes it: a state that its code refuses shows now.
        if let Err(error) = self.checkpoint(soul).await {
            if error.kind() == "save" {
                self.delete(soul, None).await?;
            }
            return Err(error);
        }
        self.get(soul).await
    }

    /// The limits that Souls have here.
    pub fn limits(&self) -> &LimitsConfig {
        &self.here().host().limits
    }

    /// The most bytes of a state that is saved here.
    pub fn state_bytes_max(&self) -> usize {
        self.here().host().config.state_bytes_max
    }

    /// Clears away what was begun of a Soul that never lived, or what is left of one that is to be forgotten.
    pub(super) async fn sweep(&self, soul: &SoulName) -> Result<(), SoulError> {
        let kv = self.0.realm.kv();
        let Some(record) = records::load(kv, soul).await? else { return Ok(()) };
        if record.wanted == Wanted::Deleted && placed::load(kv, soul).await?.is_none() {
            // Written anew, so that whoever still works at it writes nothing more.
            records::save(kv, &record.manifest, &Wanted::Deleted, None).await?;
            erase(kv, soul, None).await?;
        }
        Ok(())
    }

    async fn fits(&self, manifest: &Manifest) -> Result<(), SoulError> {
        let host = self.here().host();
        manifest.check(&host.limits)?;
        let component = host.components.get(manifest.component).await?;
        if component.info().kind == Kind::Soul {
            return Ok(());
        }
        let found = component.info().kind.singular();
        Err(SoulError::WrongWorld { digest: manifest.component, found })
    }

    /// Takes a name; what is written under it stands under the condition that is returned.
    async fn claim(&self, manifest: &Manifest) -> Result<Condition, SoulError> {
        let (kv, soul) = (self.0.realm.kv(), &manifest.name);
        self.sweep(soul).await?;
        let path = kv.path(records::BUCKET, soul.as_str().as_bytes())?;
        let require = vec![
            Condition { path: path.clone(), expect: Expect::Absent },
            placed::unchanged(kv, soul, None)?,
        ];
        let then = vec![records::mutation(kv, manifest, &Wanted::Deleted)?];
        let claimed = kv.batch(Txn { require, then }, None).await?;
        match claimed.value {
            TxnOutcome::Committed => Ok(Condition { path, expect: Expect::Revision(claimed.revision) }),
            TxnOutcome::Refused { .. } => Err(SoulError::Exists(soul.clone())),
        }
    }

    async fn write(&self, cutting: &Cutting, placed: Placed, claim: Condition) -> Result<(), SoulError> {
        let (kv, Cutting { manifest, checkpoint, kept, origin }) = (self.0.realm.kv(), cutting);
        let soul = &manifest.name;
        let commit = async |require, then| match kv.batch(Txn { require, then }, None).await?.value {
            TxnOutcome::Committed => Ok(()),
            TxnOutcome::Refused { .. } => Err(SoulError::Moved(soul.clone())),
        };
        let mut left = &kept[..];
        while let Some(first) = left.first() {
            if first.is_large() {
                let Txn { mut require, then } = self.keep_state(soul, first, &claim).await?;
                require.push(claim.clone());
                commit(require, then).await?;
                left = &left[1..];
                continue;
            }
            let mut bytes = 0;
            let fits = left.iter().take(KEYS_AT_ONCE).take_while(|kept| {
                bytes += kept.value.len();
                bytes <= BYTES_AT_ONCE && !kept.is_large()
            });
            let (now, later) = left.split_at(fits.count().max(1));
            let then = now.iter().map(|kept| kept.mutation(kv, soul)).collect::<Result<_, _>>()?;
            commit(vec![claim.clone()], then).await?;
            left = later;
        }
        let mut then = vec![
            records::mutation(kv, manifest, &Wanted::Running)?,
            swap::descended(kv, manifest, placed, checkpoint.as_ref(), origin)?,
            placed.mutation(kv, soul)?,
        ];
        let mut require = vec![claim.clone(), placed::unchanged(kv, soul, None)?];
        if let Some(checkpoint) = checkpoint {
            let (by, max) = (By::Once(kv), self.state_bytes_max());
            let laid = checkpoint::lay(by, soul, Slot::Present, checkpoint, max, &claim).await?;
            require.extend(laid.require);
            then.extend(laid.then);
        }
        commit(require, then).await
    }

    /// Writes the pieces of a lesson's state, and returns what makes it the Soul's.
    async fn keep_state(&self, soul: &SoulName, kept: &Kept, claim: &Condition) -> Result<Txn, SoulError> {
        let damaged = |reason: String| CheckpointError::Damaged(soul.clone(), reason);
        let lesson = taught::lesson(&kept.key).map_err(damaged)?;
        let learnt = LearntState::decode(kept.value.clone()).map_err(|error| damaged(error.to_string()))?;
        let state = Snapshot { schema: learnt.schema, bytes: learnt.state.into() };
        let (kv, max) = (self.0.realm.kv(), self.state_bytes_max());
        Ok(taught::keep_state(kv, soul, lesson, state, max, claim).await?)
    }
}
