//! Souls taken out of where they live: everything of one, at one moment, from which another Soul begins, here or, by way
//! of a file, in another realm.

mod export;
mod file;
mod import;

use std::sync::Arc;

use matrix_proto::soul_file::SoulFileError;
use tokio::sync::Semaphore;

pub use self::export::Pieces;
pub use self::import::Incoming;
use crate::clock;
use crate::ids::{Digest, SoulName};
use crate::kv::{Export, Kv, KvError};
use crate::learning::{self, LearningError};
use crate::realm::Realm;
use crate::runtime::catalog::Catalog;
use crate::runtime::signatures::SealError;
use crate::runtime::store::StoreError;
use crate::souls::checkpoint::{self, Checkpoint, CheckpointError};
use crate::souls::plant::{Cutting, Kept, Part};
use crate::souls::records::{self, Record, Wanted};
use crate::souls::swap::Ancestor;
use crate::souls::{Fleet, SoulError, SoulView, taught};

/// The most bytes of all that is taken of a Soul beside its state: it is held in memory meanwhile.
pub const BYTES_MAX: usize = 64 << 20;

/// What is taken of a Soul.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The state that it came to by this lesson; none: the present one.
    pub lesson: Option<u64>,
    /// Also what it remembers.
    pub memory: bool,
    /// Also what it learns from.
    pub experience: bool,
}

impl Wish {
    const fn wants(&self, part: Part) -> bool {
        match part {
            Part::Own | Part::Lessons | Part::Learnt => true,
            Part::Memory => self.memory,
            Part::Log | Part::Experience => self.experience,
        }
    }
}

/// Why a Soul was not taken, or no other begins with it.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// The Soul, or the new one.
    #[error(transparent)]
    Soul(#[from] SoulError),
    /// What it learnt.
    #[error(transparent)]
    Learning(#[from] LearningError),
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// There is too much of it.
    #[error(
        "{0} has {1} bytes beside its state, and {BYTES_MAX} are allowed: leave its experience or its memory out, or \
         delete what it does not need from its bucket"
    )]
    TooLarge(SoulName, usize),
    /// Another file is being read or written.
    #[error(
        "a Soul's file is being written or read by this node already: wait for its end, or ask another node"
    )]
    Busy,
    /// Its component cannot be read.
    #[error("component {0} cannot be read: {1}")]
    Component(Digest, String),
    /// The file is none, or not as it was written.
    #[error(transparent)]
    File(#[from] SoulFileError),
    /// Nobody trusted vouches for the file.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What a file says is out of bounds.
    #[error("the file does not hold a sound Soul: {0}: {1}")]
    Wrong(&'static str, String),
    /// Its component cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes Souls, and lets others begin with them. Clones are the same.
#[derive(Debug, Clone)]
pub struct Portables {
    kv: Kv,
    realm: Realm,
    souls: Fleet,
    catalog: Catalog,
    /// One file at a time: all of a Soul is held in memory meanwhile.
    one: Arc<Semaphore>,
}

impl Portables {
    /// Of this realm.
    pub fn new(realm: Realm, souls: Fleet, catalog: Catalog) -> Self {
        Self { kv: realm.kv().clone(), realm, souls, catalog, one: Arc::new(Semaphore::new(1)) }
    }

    /// Lets a Soul called `name` begin as another is; from there on neither knows of the other.
    ///
    /// # Errors
    /// Whatever [`PortableError`] names.
    pub async fn fork(
        &self,
        parent: &SoulName,
        name: SoulName,
        wish: Wish,
    ) -> Result<SoulView, PortableError> {
        let mut cutting = self.take(parent, wish).await?;
        cutting.manifest.name = name;
        Ok(self.souls.plant(&cutting).await?)
    }

    /// Everything of a Soul as it is at one moment.
    async fn take(&self, soul: &SoulName, wish: Wish) -> Result<Cutting, PortableError> {
        match self.souls.checkpoint(soul).await {
            Ok(_) => {}
            // One that does not run has its last state kept already.
            Err(error) if error.kind() == "stopped" => {}
            Err(error) => return Err(error.into()),
        }
        let export = self.kv.export().await?;
        let key = soul.as_str().as_bytes();
        let unknown = || SoulError::Unknown(soul.clone());
        let record = export.value(records::BUCKET, key).ok_or_else(unknown)?;
        let damaged = |reason: String| SoulError::from(CheckpointError::Damaged(soul.clone(), reason));
        let record: Record = serde_json::from_slice(&record).map_err(|error| damaged(error.to_string()))?;
        if record.wanted == Wanted::Deleted {
            return Err(unknown().into());
        }
        let mut kept = kept(&export, soul, wish)?;
        let learnt = learning::carry(soul, &mut kept, wish.lesson)?;
        let checkpoint = checkpoint::find(soul, |bucket, key| export.value(bucket, key)).map_err(damaged)?;
        let checkpoint = match (checkpoint, learnt) {
            (Some(present), Some(learnt)) => Some(present.with_state(learnt.schema, learnt.bytes.into())),
            (present, _) => present,
        };
        let state = checkpoint.as_ref().map_or_else(|| Digest::of(b""), |it| it.header.state);
        let origin = Ancestor {
            soul: soul.clone(),
            realm: String::new(),
            lesson: wish.lesson,
            state,
            at_ms: clock::now_ms(),
        };
        // What it answered last in a run of a Matrix was answered by that Soul alone.
        let checkpoint = checkpoint.map(Checkpoint::outside_of_runs);
        Ok(Cutting { manifest: record.manifest, checkpoint, kept, origin })
    }
}

fn kept(export: &Export, soul: &SoulName, wish: Wish) -> Result<Vec<Kept>, PortableError> {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for part in Part::ALL.into_iter().filter(|part| wish.wants(*part)) {
        let bucket = part.bucket(soul);
        let found = if part.is_record() {
            let value = export.value(&bucket, soul.as_str().as_bytes());
            value.into_iter().map(|value| (bytes::Bytes::new(), value)).collect()
        } else {
            export.values(&bucket)
        };
        for (key, value) in found {
            let value = match part {
                Part::Learnt => taught::joined(soul, &key, value, |bucket, key| export.value(bucket, key))
                    .map_err(|reason| SoulError::from(CheckpointError::Damaged(soul.clone(), reason)))?,
                _ => value,
            };
            let found = Kept { part, key, value };
            bytes += found.size();
            kept.push(found);
        }
    }
    if bytes > BYTES_MAX { Err(PortableError::TooLarge(soul.clone(), bytes)) } else { Ok(kept) }
}
