//! Saved states: what a Soul is brought back from.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::placed::Placed;
use crate::capabilities::random;
use crate::ids::{Digest, SoulName, TopicName};
use crate::kv::{Consistency, Kv, KvError, Mutation, Txn, TxnOutcome};

/// The bucket of the KV that holds one checkpoint a Soul.
pub const BUCKET: &str = "sys/checkpoints";

/// The longest state, in bytes: what fits into one value of the KV beside the checkpoint's header.
pub const STATE_BYTES_MAX: usize = 768 * 1024;

/// The most runs of Matrices whose last answers are kept; the oldest is dropped for a new one.
pub const RUNS_MAX: usize = 32;

/// The most bytes of last answers that are kept, all runs together, so that they fit beside the state: written
/// out, a byte takes up to four.
pub const ACTIONS_BYTES_KEPT: usize = 32 * 1024;

/// What a Soul answered last in one run of a Matrix. Asked again for that tick, it answers the same without
/// playing it twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acted {
    /// The tick.
    pub tick: u64,
    /// The actions, in the order of the turns.
    pub actions: Vec<Vec<u8>>,
}

/// What is saved of a Soul beside its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Layout of the state; empty: the component keeps none.
    pub schema: String,
    /// The component that wrote it.
    pub component: Digest,
    /// Digest of the state.
    pub state: Digest,
    /// The checkpoint before this one: the digest of its state.
    pub parent: Option<Digest>,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The source of chance, as far as it was used.
    pub random: random::Ctx,
    /// What the Soul subscribes to.
    pub topics: Vec<TopicName>,
    /// What it answered last, by run.
    pub acted: BTreeMap<String, Acted>,
}

impl Header {
    /// Keeps what the Soul answered at a tick of a run; `last`: the run asks it no more, and nothing of it is kept.
    pub(super) fn remember(&mut self, run: &str, tick: u64, actions: &[Vec<u8>], last: bool) {
        if last {
            self.acted.remove(run);
            return;
        }
        if let Some(known) = self.acted.get_mut(run) {
            // As many actions as last time find their memory there.
            known.tick = tick;
            actions.clone_into(&mut known.actions);
            return;
        }
        while self.acted.len() >= RUNS_MAX || self.kept_bytes() > ACTIONS_BYTES_KEPT {
            self.acted.pop_first();
        }
        self.acted.insert(run.to_owned(), Acted { tick, actions: actions.to_vec() });
    }

    fn kept_bytes(&self) -> usize {
        self.acted.values().flat_map(|acted| &acted.actions).map(Vec::len).sum()
    }
}

/// A saved state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// What is saved beside the state.
    pub header: Header,
    /// The state.
    pub state: Bytes,
}

/// Why a checkpoint could not be saved or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// The state is too long.
    #[error("the state has {0} bytes, and {STATE_BYTES_MAX} are allowed: keep large data in wasi:keyvalue")]
    TooLarge(usize),
    /// The Soul lives on another node by now, which alone may save its state.
    #[error("{0} lives on another node by now")]
    Elsewhere(SoulName),
    /// What is stored is not a checkpoint.
    #[error("the checkpoint of {0} is damaged: {1}")]
    Damaged(SoulName, String),
}

impl Checkpoint {
    /// The length of the header, the header as JSON, the state.
    pub(super) fn encode(&self) -> Result<Bytes, CheckpointError> {
        if self.state.len() > STATE_BYTES_MAX {
            return Err(CheckpointError::TooLarge(self.state.len()));
        }
        let header = serde_json::to_vec(&self.header).map_err(|_| CheckpointError::TooLarge(usize::MAX))?;
        let length = u32::try_from(header.len()).map_err(|_| CheckpointError::TooLarge(header.len()))?;
        let mut bytes = Vec::with_capacity(4 + header.len() + self.state.len());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&self.state);
        Ok(bytes.into())
    }

    /// The same place in time with another state, as one that was taken anew.
    pub(crate) fn with_state(self, schema: String, state: Bytes) -> Self {
        let digest = Digest::of(&state);
        let header = Header { schema, state: digest, parent: Some(self.header.state), ..self.header };
        Self { header, state }
    }

    /// The same without what was answered in runs of Matrices.
    pub(crate) fn outside_of_runs(mut self) -> Self {
        self.header.acted.clear();
        self
    }

    /// Reads what [`Checkpoint::encode`] wrote.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, String> {
        let short = || "it is cut off".to_owned();
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
        let length = u32::from_be_bytes(*length) as usize;
        if rest.len() < length {
            return Err(short());
        }
        let header: Header = serde_json::from_slice(&rest[..length]).map_err(|error| error.to_string())?;
        let state = bytes.slice(4 + length..);
        if Digest::of(&state) != header.state {
            return Err("its state does not have the digest that its header says".to_owned());
        }
        Ok(Self { header, state })
    }
}

/// Saves the checkpoint of a Soul that lives at `placed`; durable when it returns.
pub async fn save(
    kv: &Kv,
    soul: &SoulName,
    placed: Placed,
    checkpoint: &Checkpoint,
) -> Result<(), CheckpointError> {
    let path = kv.path(BUCKET, soul.as_str().as_bytes())?;
    let require = vec![placed.condition(kv, soul)?];
    let then = vec![Mutation::Put { path, value: checkpoint.encode()?, lease: None }];
    match kv.batch(Txn { require, then }, None).await?.value {
        TxnOutcome::Committed => Ok(()),
        TxnOutcome::Refused { .. } => Err(CheckpointError::Elsewhere(soul.clone())),
    }
}

/// The last checkpoint of a Soul.
pub async fn load(kv: &Kv, soul: &SoulName) -> Result<Option<Checkpoint>, CheckpointError> {
    let found = kv.get(BUCKET, soul.as_str().as_bytes(), Consistency::Linearizable).await?;
    let Some(entry) = found else { return Ok(None) };
    let checkpoint = Checkpoint::decode(&entry.value);
    checkpoint.map(Some).map_err(|reason| CheckpointError::Damaged(soul.clone(), reason))
}

/// Forgets a Soul's checkpoint.
pub async fn delete(kv: &Kv, soul: &SoulName) -> Result<(), CheckpointError> {
    kv.delete(BUCKET, soul.as_str().as_bytes(), None).await?;
    Ok(())
}

/// What saves a checkpoint, as a part of a larger write.
pub(super) fn put(kv: &Kv, soul: &SoulName, checkpoint: &Checkpoint) -> Result<Mutation, CheckpointError> {
    let path = kv.path(BUCKET, soul.as_str().as_bytes())?;
    Ok(Mutation::Put { path, value: checkpoint.encode()?, lease: None })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kv::KvConfig;
    use crate::tasks::Tasks;

    fn checkpoint(state: &[u8]) -> Checkpoint {
        let header = Header {
            schema: "counter/1".into(),
            component: Digest::of(b"code"),
            state: Digest::of(state),
            parent: None,
            at_ms: 7,
            random: random::Ctx::new(1),
            topics: vec!["news".parse().expect("a topic")],
            acted: BTreeMap::from([("run".into(), Acted { tick: 3, actions: vec![b"C".to_vec()] })]),
        };
        Checkpoint { header, state: state.to_vec().into() }
    }

    #[test]
    fn damage_is_noticed() {
        let good = checkpoint(b"state").encode().expect("a small state");
        for place in [0, 5, good.len() - 1] {
            let mut bytes = good.to_vec();
            bytes[place] ^= 1;
            assert!(Checkpoint::decode(&bytes.into()).is_err(), "byte {place}");
        }
        assert!(Checkpoint::decode(&good.slice(..good.len() - 1)).is_err());
        let error = checkpoint(&vec![0; STATE_BYTES_MAX + 1]).encode().expect_err("too long");
        assert!(error.to_string().contains("786433 bytes"));
    }

    #[tokio::test]
    async fn only_where_the_soul_lives_is_its_state_saved() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_owned();
        let config = KvConfig { dir, disk_reserve_bytes: 0, ..KvConfig::default() };
        let kv = Kv::open(config, &Tasks::new()).await.expect("an empty folder");
        let neo: SoulName = "neo".parse().expect("a name");
        let first = Placed { node: 1, generation: 1 };
        let refused = save(&kv, &neo, first, &checkpoint(b"nobody's")).await;
        assert!(matches!(refused, Err(CheckpointError::Elsewhere(_))), "{refused:?}");
        // It goes away and comes back: the same node, and another generation.
        for (generation, node) in [(1, 1), (2, 2), (3, 1)] {
            let then = vec![Placed { node, generation }.mutation(&kv, &neo).expect("a key")];
            kv.batch(Txn { require: Vec::new(), then }, None).await.expect("room");
        }
        let last = Placed { node: 1, generation: 3 };
        save(&kv, &neo, last, &checkpoint(b"newest")).await.expect("it lives there");
        for earlier in [first, Placed { node: 2, generation: 2 }] {
            let refused = save(&kv, &neo, earlier, &checkpoint(b"old")).await;
            assert!(matches!(refused, Err(CheckpointError::Elsewhere(_))), "{refused:?}");
        }
        assert_eq!(load(&kv, &neo).await.expect("readable"), Some(checkpoint(b"newest")));
        kv.close().await;
    }

    proptest! {
        #[test]
        fn round_trips(state in proptest::collection::vec(any::<u8>(), 0..1000)) {
            let checkpoint = checkpoint(&state);
            let bytes = checkpoint.encode().expect("a small state");
            prop_assert_eq!(Checkpoint::decode(&bytes), Ok(checkpoint));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Checkpoint::decode(&bytes.into());
        }
    }
}
