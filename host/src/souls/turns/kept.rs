//! What is kept of a Soul's turns beside its state, and the one write by which a turn is kept.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::outbox::Outbox;
use super::window::{self, Window};
use super::{NotKept, not_saved};
use crate::ids::SoulName;
use crate::kv::{Condition, Consistency, Expect, Kv, KvError, Mutation, Txn};
use crate::souls::actor::Actor;
use crate::souls::checkpoint::{self, Checkpoint, CheckpointError};
use crate::souls::committing::{By, NoRoom};
use crate::souls::pieces::Slot;
use crate::souls::placed::Placed;
use crate::transport::envelope::Envelope;

/// The bucket of the KV that holds one head a Soul: how many turns were kept, and the outbox.
pub(crate) const BUCKET: &str = "sys/turns";
/// Parts of a window that are read at once.
const PARTS: usize = 256;

/// What is kept, and how it differs from what is in the KV.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) window: Window,
    pub(super) outbox: Outbox,
    /// Turns that were kept.
    count: u64,
    /// The head's revision; none: there is no head yet.
    revision: Option<u64>,
}

impl Actor {
    /// Writes the pieces of a state that has some. Returns what is to be in the turn's transaction.
    pub(super) async fn lay(&mut self, state: &Checkpoint) -> Result<Txn, NotKept> {
        let (host, soul) = (&self.host, &self.manifest.name);
        let lives = self.placed.condition(&host.kv, soul).map_err(|error| NotKept::Open(error.into()))?;
        let by = By::Until(host, self.life.waits(), NoRoom::Wait);
        let laid = checkpoint::lay(by, soul, Slot::Present, state, host.config.state_bytes_max, &lives).await;
        laid.map_err(|error| match error {
            CheckpointError::TooLarge(..)
            | CheckpointError::Kv(KvError::ValueTooLarge { .. } | KvError::TxnTooLarge { .. }) => {
                not_saved(error.into())
            }
            error => NotKept::Open(error),
        })
    }
}

impl Kept {
    /// Reads what is kept of a Soul.
    pub(super) async fn read(kv: &Kv, soul: &SoulName) -> Result<Self, CheckpointError> {
        let damaged = |reason: String| CheckpointError::Damaged(soul.clone(), reason);
        let key = soul.as_str().as_bytes();
        let Some(head) = kv.get(BUCKET, key, Consistency::Linearizable).await? else {
            return Ok(Self::default());
        };
        let (count, letters) =
            head.value.split_first_chunk::<8>().ok_or_else(|| damaged("its head is cut off".to_owned()))?;
        let outbox = Outbox::read(&head.value.slice_ref(letters)).map_err(damaged)?;
        let (bucket, mut window, mut start) = (window::bucket(soul), Window::default(), Bytes::new());
        loop {
            let page = kv.range(&bucket, &start, None, PARTS, Consistency::Linearizable).await?;
            for (key, entry) in page.entries {
                window.read(&key, entry.value).map_err(damaged)?;
            }
            match page.next {
                Some(next) => start = next,
                None => break,
            }
        }
        let (count, revision) = (u64::from_be_bytes(*count), Some(head.revision));
        Ok(Self { window, outbox, count, revision })
    }

    /// What must be so for the next turn to be kept: the Soul lives at `placed`, and the turn before was kept. A write
    /// that was given up, and comes late, does not find it so.
    pub(super) fn conditions(
        &self,
        kv: &Kv,
        soul: &SoulName,
        placed: Placed,
    ) -> Result<Vec<Condition>, KvError> {
        Ok(vec![placed.condition(kv, soul)?, self.unchanged(kv, soul)?])
    }

    /// The turn before was kept, and no other since.
    fn unchanged(&self, kv: &Kv, soul: &SoulName) -> Result<Condition, KvError> {
        let path = kv.path(BUCKET, soul.as_str().as_bytes())?;
        let expect = self.revision.map_or(Expect::Absent, Expect::Revision);
        Ok(Condition { path, expect })
    }

    /// What makes another write take the place of the next turn.
    pub(super) fn instead_of_a_turn(&self, kv: &Kv, soul: &SoulName) -> Result<Txn, KvError> {
        Ok(Txn { require: vec![self.unchanged(kv, soul)?], then: self.mutations(kv, soul, &[])? })
    }

    /// What has to be written beside the state for the next turn to be kept, in which `letters` were said. The head comes
    /// last: its revision is that of the whole.
    pub(super) fn mutations(
        &self,
        kv: &Kv,
        soul: &SoulName,
        letters: &[Envelope],
    ) -> Result<Vec<Mutation>, KvError> {
        let mut mutations = self.window.mutations(kv, soul)?;
        let mut head = BytesMut::new();
        head.put_u64(self.count + 1);
        self.outbox.write(letters, &mut head);
        let path = kv.path(BUCKET, soul.as_str().as_bytes())?;
        mutations.push(Mutation::Put { path, value: head.freeze(), lease: None });
        Ok(mutations)
    }

    /// The turn is kept, as of this revision.
    pub(super) fn is_kept(&mut self, revision: u64, letters: Vec<Envelope>) {
        self.count += 1;
        self.revision = Some(revision);
        self.window.is_kept();
        self.outbox.is_kept();
        self.outbox.add(letters);
    }
}
