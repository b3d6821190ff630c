//! Saved states: what a Soul is brought back from. One that is too long for a value of the KV is kept in [`pieces`].

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::committing::By;
use super::pieces::{self, Body, Laid, List, Slot};
use super::placed::Placed;
use crate::capabilities::random;
use crate::ids::{Digest, SoulName, TopicName};
use crate::kv::{Condition, Consistency, Kv, KvError, Mutation, Txn, TxnOutcome};

/// The bucket of the KV that holds one checkpoint a Soul.
pub const BUCKET: &str = "sys/checkpoints";

/// Set in the length of the header where the state's pieces are listed behind it, and not the state.
const CUT: u32 = 1 << 31;
/// How often a state is saved anew where a write that was given up came late.
const TRIES: usize = 3;

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
    #[error(
        "the state has {0} bytes, and {1} are allowed (`souls.state_bytes_max`): keep less in it, and large data in \
         wasi:keyvalue"
    )]
    TooLarge(usize, usize),
    /// The Soul lives on another node by now, which alone may save its state.
    #[error("{0} lives on another node by now")]
    Elsewhere(SoulName),
    /// What is stored is not a checkpoint.
    #[error("the checkpoint of {0} is damaged: {1}")]
    Damaged(SoulName, String),
}

impl Checkpoint {
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

    fn of(header: Header, state: Bytes) -> Result<Self, String> {
        if Digest::of(&state) != header.state {
            return Err("its state does not have the digest that its header says".to_owned());
        }
        Ok(Self { header, state })
    }
}

/// The length of the header, the header as JSON, and the state or the list of its pieces.
fn encode(header: &Header, body: &Body) -> Result<Bytes, KvError> {
    let header = serde_json::to_vec(header).map_err(|error| KvError::Unavailable(error.to_string()))?;
    let length = u32::try_from(header.len()).ok().filter(|length| length & CUT == 0);
    let length = length.ok_or_else(|| KvError::Unavailable("a checkpoint's header is too long".into()))?;
    let (mark, body) = match body {
        Body::Whole(state) => (0, state.clone()),
        Body::Cut(list) => (CUT, list.encode()),
    };
    let mut bytes = Vec::with_capacity(4 + header.len() + body.len());
    bytes.extend_from_slice(&(length | mark).to_be_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&body);
    Ok(bytes.into())
}

/// Reads what [`encode`] wrote.
fn decode(bytes: &Bytes) -> Result<(Header, Body), String> {
    let short = || "it is cut off".to_owned();
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
    let (is_cut, length) = marked(*length);
    if rest.len() < length {
        return Err(short());
    }
    let header: Header = serde_json::from_slice(&rest[..length]).map_err(|error| error.to_string())?;
    let body = bytes.slice(4 + length..);
    Ok((header, if is_cut { Body::Cut(List::decode(&body)?) } else { Body::Whole(body) }))
}

fn marked(length: [u8; 4]) -> (bool, usize) {
    let length = u32::from_be_bytes(length);
    (length & CUT != 0, (length & !CUT) as usize)
}

/// The pieces that a checkpoint lists; none: it holds its state.
pub(super) fn listed(bytes: &Bytes) -> Option<List> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (is_cut, length) = marked(*length);
    if is_cut { List::decode(rest.get(length..)?).ok() } else { None }
}

/// The checkpoint of a Soul in a copy of the KV, in which `value` finds the value of a bucket's key.
///
/// # Errors
/// What is wrong with it.
pub fn find(
    soul: &SoulName,
    value: impl Fn(&str, &[u8]) -> Option<Bytes>,
) -> Result<Option<Checkpoint>, String> {
    let Some(found) = value(BUCKET, soul.as_str().as_bytes()) else { return Ok(None) };
    let (header, body) = decode(&found)?;
    let state = match body {
        Body::Whole(state) => state,
        Body::Cut(list) => list.find(soul, Slot::Present, value)?,
    };
    Checkpoint::of(header, state).map(Some)
}

/// Saves the checkpoint of a Soul that lives at `placed`, whose state may have `max` bytes; durable when it returns.
///
/// # Errors
/// Whatever [`CheckpointError`] names.
pub async fn save(
    kv: &Kv,
    soul: &SoulName,
    placed: Placed,
    checkpoint: &Checkpoint,
    max: usize,
) -> Result<(), CheckpointError> {
    let lives = placed.condition(kv, soul)?;
    for _ in 0..TRIES {
        let Txn { mut require, then } =
            lay(By::Once(kv), soul, Slot::Present, checkpoint, max, &lives).await?;
        require.insert(0, lives.clone());
        match kv.batch(Txn { require, then }, None).await?.value {
            TxnOutcome::Committed => return Ok(()),
            TxnOutcome::Refused { condition: 0 } => return Err(CheckpointError::Elsewhere(soul.clone())),
            // A state that was given up has come late.
            TxnOutcome::Refused { .. } => {}
        }
    }
    Err(KvError::Unavailable(format!("others save the state of {soul} at the same time")).into())
}

/// The last checkpoint of a Soul.
///
/// # Errors
/// `Kv`, `Damaged`.
pub async fn load(kv: &Kv, soul: &SoulName) -> Result<Option<Checkpoint>, CheckpointError> {
    load_from(kv, soul, Slot::Present).await
}

/// What the last checkpoint of a Soul says beside the state.
pub(super) async fn load_header(kv: &Kv, soul: &SoulName) -> Result<Option<Header>, CheckpointError> {
    let found = kv.get(BUCKET, soul.as_str().as_bytes(), Consistency::Linearizable).await?;
    let read = found.map(|entry| decode(&entry.value)).transpose();
    let read = read.map_err(|reason| CheckpointError::Damaged(soul.clone(), reason))?;
    Ok(read.map(|(header, _)| header))
}

/// The checkpoint in a slot.
pub(super) async fn load_from(
    kv: &Kv,
    soul: &SoulName,
    slot: Slot,
) -> Result<Option<Checkpoint>, CheckpointError> {
    let ((bucket, key), mut before) = (slot.place(soul), None);
    loop {
        let Some(entry) = kv.get(&bucket, &key, Consistency::Linearizable).await? else { return Ok(None) };
        let read = match decode(&entry.value) {
            Ok((header, Body::Whole(state))) => Checkpoint::of(header, state),
            Ok((header, Body::Cut(list))) => {
                let state = Box::pin(pieces::fetch(kv, soul, slot, &list)).await?;
                state.and_then(|state| Checkpoint::of(header, state))
            }
            Err(reason) => Err(reason),
        };
        match read {
            Ok(checkpoint) => return Ok(Some(checkpoint)),
            Err(reason) if before == Some(entry.revision) => {
                return Err(CheckpointError::Damaged(soul.clone(), reason));
            }
            // Another may have taken its place meanwhile, and its pieces with it.
            Err(_) => before = Some(entry.revision),
        }
    }
}

/// Forgets a Soul's checkpoint.
pub async fn delete(kv: &Kv, soul: &SoulName) -> Result<(), CheckpointError> {
    kv.delete(BUCKET, soul.as_str().as_bytes(), None).await?;
    Ok(())
}

/// What makes a checkpoint that of a slot, as a part of a larger write. Its pieces are written when this returns, each as
/// long as `fence` held.
///
/// # Errors
/// `TooLarge`: its state has more than `max` bytes. `Elsewhere`: `fence` did not hold. `Kv`.
pub(super) async fn lay(
    by: By<'_>,
    soul: &SoulName,
    slot: Slot,
    checkpoint: &Checkpoint,
    max: usize,
    fence: &Condition,
) -> Result<Txn, CheckpointError> {
    // Boxed: the future of each Soul would hold it.
    let laid = Box::pin(pieces::lay(by, soul, slot, &checkpoint.state, max, fence)).await?;
    let Laid { body, require, mut then } = laid;
    let ((bucket, key), value) = (slot.place(soul), encode(&checkpoint.header, &body)?);
    then.insert(0, Mutation::Put { path: by.kv().path(&bucket, &key)?, value, lease: None });
    Ok(Txn { require, then })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kv::KvConfig;
    use crate::tasks::Tasks;

    const MAX: usize = 16 << 20;

    fn whole(checkpoint: &Checkpoint) -> Vec<u8> {
        let bytes = encode(&checkpoint.header, &Body::Whole(checkpoint.state.clone()));
        bytes.expect("it has a form in JSON").into()
    }

    fn read(bytes: Vec<u8>) -> Result<Checkpoint, String> {
        match decode(&bytes.into())? {
            (header, Body::Whole(state)) => Checkpoint::of(header, state),
            (_, Body::Cut(_)) => Err("its state is elsewhere".to_owned()),
        }
    }

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
        let good = whole(&checkpoint(b"state"));
        for place in [0, 5, good.len() - 1] {
            let mut bytes = good.to_vec();
            bytes[place] ^= 1;
            assert!(read(bytes).is_err(), "byte {place}");
        }
        assert!(read(good[..good.len() - 1].to_vec()).is_err());
    }

    #[test]
    fn a_small_state_stands_behind_its_header_as_it_always_did() {
        let header = concat!(
            r#"{"schema":"counter/1","component":"#,
            r#""sha256:5694d08a2e53ffcae0c3103e5ad6f6076abd960eb1f8a56577040bc1028f702b","state":"#,
            r#""sha256:4ba69735ca53765ed6a709edb56c6ea236b7193a3b29a6b390c346f0f4340e4e","parent":null,"at_ms":7,"#,
            r#""random":{"state":[10451216379200822465,13757245211066428519,17911839290282890590,8196980753821780235]},"#,
            r#""topics":["news"],"acted":{"run":{"tick":3,"actions":[[67]]}}}"#,
        );
        let golden = [&(header.len() as u32).to_be_bytes()[..], header.as_bytes(), b"state"].concat();
        assert_eq!(whole(&checkpoint(b"state")), golden);
    }

    #[tokio::test]
    async fn only_where_the_soul_lives_is_its_state_saved() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_owned();
        let config = KvConfig { dir, disk_reserve_bytes: 0, ..KvConfig::default() };
        let kv = Kv::open(config, &Tasks::new()).await.expect("an empty folder");
        let neo: SoulName = "neo".parse().expect("a name");
        let first = Placed { node: 1, generation: 1 };
        let refused = save(&kv, &neo, first, &checkpoint(b"nobody's"), MAX).await;
        assert!(matches!(refused, Err(CheckpointError::Elsewhere(_))), "{refused:?}");
        // It goes away and comes back: the same node, and another generation.
        for (generation, node) in [(1, 1), (2, 2), (3, 1)] {
            let then = vec![Placed { node, generation }.mutation(&kv, &neo).expect("a key")];
            kv.batch(Txn { require: Vec::new(), then }, None).await.expect("room");
        }
        let last = Placed { node: 1, generation: 3 };
        save(&kv, &neo, last, &checkpoint(b"newest"), MAX).await.expect("it lives there");
        for earlier in [first, Placed { node: 2, generation: 2 }] {
            let refused = save(&kv, &neo, earlier, &checkpoint(b"old"), MAX).await;
            assert!(matches!(refused, Err(CheckpointError::Elsewhere(_))), "{refused:?}");
        }
        assert_eq!(load(&kv, &neo).await.expect("readable"), Some(checkpoint(b"newest")));
        kv.close().await;
    }

    proptest! {
        #[test]
        fn round_trips(state in proptest::collection::vec(any::<u8>(), 0..1000)) {
            let checkpoint = checkpoint(&state);
            prop_assert_eq!(read(whole(&checkpoint)), Ok(checkpoint));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(bytes);
        }
    }
}
