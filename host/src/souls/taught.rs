//! Where Souls' experience and what came of it are kept. The room `learning` reads and writes there; all of it goes with
//! its Soul.

use bytes::Bytes;
use matrix_proto::wire::LearntState;
use prost::Message as _;

use super::checkpoint::CheckpointError;
use super::committing::By;
use super::erase::empty;
use super::pieces::{self, Body, Laid, List, Slot};
use crate::ids::SoulName;
use crate::kv::{Condition, Consistency, Kv, KvError, Mutation, Txn};
use crate::runtime::stateful::Snapshot;

/// The bucket of the KV that holds one index a Soul: which segments its log of experience has.
pub const LOGS_BUCKET: &str = "sys/experience";
/// The bucket of the KV that holds one record a Soul: how far it has learnt, and how that went.
pub const LESSONS_BUCKET: &str = "sys/lessons";

/// The bucket of the KV that holds the segments of a Soul's log of experience.
pub fn segments_bucket(soul: &SoulName) -> String {
    format!("{LOGS_BUCKET}/{soul}")
}

/// The bucket of the KV that holds the states that a Soul came to by learning.
pub fn states_bucket(soul: &SoulName) -> String {
    format!("sys/learnt/{soul}")
}

/// What keeps the state to which a Soul came by a lesson, as a part of a larger write. Its pieces, where it has some, are
/// written when this returns, each as long as `fence` held.
///
/// # Errors
/// `TooLarge`: it has more than `max` bytes. `Elsewhere`: `fence` did not hold. `Kv`.
pub async fn keep_state(
    kv: &Kv,
    soul: &SoulName,
    lesson: u64,
    state: Snapshot,
    max: usize,
    fence: &Condition,
) -> Result<Txn, CheckpointError> {
    let (slot, Snapshot { schema, bytes }) = (Slot::Lesson(lesson), state);
    let laid = pieces::lay(By::Once(kv), soul, slot, &bytes.into(), max, fence).await?;
    let Laid { body, require, mut then } = laid;
    let learnt = match body {
        Body::Whole(state) => LearntState { schema, state, ..LearntState::default() },
        Body::Cut(list) => LearntState { schema, pieces: list.encode(), ..LearntState::default() },
    };
    let (bucket, key) = slot.place(soul);
    let path = kv.path(&bucket, &key)?;
    then.insert(0, Mutation::Put { path, value: learnt.encode_to_vec().into(), lease: None });
    Ok(Txn { require, then })
}

/// What lets the state of a lesson go.
///
/// # Errors
/// Those of the KV.
pub async fn drop_state(kv: &Kv, soul: &SoulName, lesson: u64) -> Result<Vec<Mutation>, KvError> {
    let slot = Slot::Lesson(lesson);
    let ((bucket, key), mut then) = (slot.place(soul), pieces::clear(kv, soul, slot).await?);
    then.push(Mutation::Delete { path: kv.path(&bucket, &key)? });
    Ok(then)
}

/// The state to which a Soul came by a lesson; none: it is not kept.
///
/// # Errors
/// `Kv`, `Damaged`.
pub async fn state(kv: &Kv, soul: &SoulName, lesson: u64) -> Result<Option<Snapshot>, CheckpointError> {
    let damaged = |reason| CheckpointError::Damaged(soul.clone(), reason);
    let (slot, key) = (Slot::Lesson(lesson), lesson.to_be_bytes());
    let found = kv.get(&states_bucket(soul), &key, Consistency::Linearizable).await?;
    let Some(entry) = found else { return Ok(None) };
    let learnt = LearntState::decode(entry.value).map_err(|error| damaged(error.to_string()))?;
    let bytes = if learnt.pieces.is_empty() {
        learnt.state
    } else {
        let list = List::decode(&learnt.pieces).map_err(damaged)?;
        pieces::fetch(kv, soul, slot, &list).await?.map_err(damaged)?
    };
    Ok(Some(Snapshot { schema: learnt.schema, bytes: bytes.into() }))
}

/// The value of a lesson's state with the state in it, out of a copy of the KV, in which `value` finds the value of a
/// bucket's key.
///
/// # Errors
/// What is wrong with it.
pub fn joined(
    soul: &SoulName,
    key: &[u8],
    learnt: Bytes,
    value: impl Fn(&str, &[u8]) -> Option<Bytes>,
) -> Result<Bytes, String> {
    let LearntState { schema, pieces, .. } =
        LearntState::decode(learnt.clone()).map_err(|error| error.to_string())?;
    if pieces.is_empty() {
        return Ok(learnt);
    }
    let state = List::decode(&pieces)?.find(soul, Slot::Lesson(lesson(key)?), value)?;
    Ok(LearntState { schema, state, ..LearntState::default() }.encode_to_vec().into())
}

/// The lesson whose state is kept under this key.
///
/// # Errors
/// It is no such key.
pub fn lesson(key: &[u8]) -> Result<u64, String> {
    let key = <[u8; 8]>::try_from(key).map_err(|_| "the key of a lesson's state is none".to_owned())?;
    Ok(u64::from_be_bytes(key))
}

/// Forgets what a Soul has learnt from. Whoever writes there requires that it lives somewhere: after that nothing comes.
pub(super) async fn forget(kv: &Kv, soul: &SoulName) -> Result<(), KvError> {
    empty(kv, &segments_bucket(soul)).await?;
    empty(kv, &states_bucket(soul)).await?;
    for bucket in [LOGS_BUCKET, LESSONS_BUCKET] {
        kv.delete(bucket, soul.as_str().as_bytes(), None).await?;
    }
    Ok(())
}
