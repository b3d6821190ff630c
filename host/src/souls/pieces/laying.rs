//! Pieces in the KV: written before a commit, read, and cleared away.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::try_join_all;

use super::{Body, List, Slot, WHOLE_BYTES_MAX, bucket};
use crate::ids::{SoulName, StateHash};
use crate::kv::{Condition, Consistency, Expect, Kv, KvError, Mutation, Txn, TxnOutcome};
use crate::souls::checkpoint::CheckpointError;
use crate::souls::committing::By;
use crate::souls::placed::Placed;

/// Pieces of one state that are written at the same time: twice the bytes of one stand in front of a vote at most.
const AT_ONCE: usize = 2;
/// Pieces that one transaction deletes; what is more goes with the next.
const DELETED_AT_ONCE: usize = 64;
/// Keys that are looked at together.
const PAGE_KEYS: usize = 500;
/// More than any piece's digest, behind a prefix.
const AFTER_ALL: [u8; 33] = [0xff; 33];

/// A state whose pieces are written, and what the commit has to require and to delete that makes it a slot's.
#[derive(Debug)]
pub(in crate::souls) struct Laid {
    pub(in crate::souls) body: Body,
    pub(in crate::souls) require: Vec<Condition>,
    pub(in crate::souls) then: Vec<Mutation>,
}

/// Writes those pieces of a state that the slot does not have, each as long as `fence` holds. A state that needs none,
/// where there are none, is left to the commit alone.
///
/// # Errors
/// `TooLarge`: it has more than `max` bytes. `Elsewhere`: `fence` does not hold. `Kv`.
pub(in crate::souls) async fn lay(
    by: By<'_>,
    soul: &SoulName,
    slot: Slot,
    state: &Bytes,
    max: usize,
    fence: &Condition,
) -> Result<Laid, CheckpointError> {
    if state.len() > max {
        return Err(CheckpointError::TooLarge(state.len(), max));
    }
    let (kv, is_whole) = (by.kv(), state.len() <= WHOLE_BYTES_MAX);
    // What this node has not heard of yet is found when the Soul wakes next.
    if is_whole && there(kv, soul, slot).await?.is_empty() {
        return Ok(Laid { body: Body::Whole(state.clone()), require: Vec::new(), then: Vec::new() });
    }
    let (unchanged, before) = look(kv, soul, slot).await?;
    let (list, pieces) = (!is_whole).then(|| List::cut(state)).unzip();
    let is_new = |(hash, _): &(StateHash, Bytes)| before.as_ref().is_none_or(|before| !before.has(hash));
    // Each once.
    let missing: BTreeMap<_, _> = pieces.unwrap_or_default().into_iter().filter(is_new).collect();
    let missing: Vec<_> = missing.into_iter().collect();
    let mut require = vec![unchanged];
    for some in missing.chunks(AT_ONCE) {
        let writing: Vec<_> = some.iter().map(|piece| write(by, soul, slot, piece, fence)).collect();
        require.extend(try_join_all(writing).await?);
    }
    let mut then = Vec::new();
    for (hash, key) in there(kv, soul, slot).await? {
        if list.as_ref().is_none_or(|list| !list.has(&hash)) && then.len() < DELETED_AT_ONCE {
            then.push(Mutation::Delete { path: kv.path(&bucket(soul), &key)? });
        }
    }
    let body = list.map_or_else(|| Body::Whole(state.clone()), Body::Cut);
    Ok(Laid { body, require, then })
}

/// Writes a piece; returns what holds as long as it is there as it was written.
async fn write(
    by: By<'_>,
    soul: &SoulName,
    slot: Slot,
    (hash, piece): &(StateHash, Bytes),
    fence: &Condition,
) -> Result<Condition, CheckpointError> {
    let path = by.kv().path(&bucket(soul), &slot.key(hash))?;
    let then = vec![Mutation::Put { path: path.clone(), value: piece.clone(), lease: None }];
    let revision = by.commit(soul, Txn { require: vec![fence.clone()], then }).await?;
    Ok(Condition { path, expect: Expect::Revision(revision) })
}

/// The pieces of a list, joined. The inner error names the one that is missing or damaged.
pub(in crate::souls) async fn fetch(
    kv: &Kv,
    soul: &SoulName,
    slot: Slot,
    list: &List,
) -> Result<Result<Bytes, String>, KvError> {
    let (bucket, mut pieces) = (bucket(soul), Vec::with_capacity(list.pieces.len()));
    for piece in &list.pieces {
        // Whoever read the list has waited for it, and so for its pieces.
        let found = kv.get(&bucket, &slot.key(piece), Consistency::Local).await?;
        pieces.push(found.map(|entry| entry.value));
    }
    Ok(list.join(pieces))
}

/// What deletes the pieces of a slot, whose value goes in the same transaction.
pub(in crate::souls) async fn clear(kv: &Kv, soul: &SoulName, slot: Slot) -> Result<Vec<Mutation>, KvError> {
    let (bucket, there) = (bucket(soul), there(kv, soul, slot).await?);
    let keys = there.iter().take(DELETED_AT_ONCE);
    keys.map(|(_, key)| Ok(Mutation::Delete { path: kv.path(&bucket, key)? })).collect()
}

/// Deletes the pieces of a Soul that lives at `placed` which no value lists: somebody was stopped before the commit.
pub(in crate::souls) async fn tidy(kv: &Kv, soul: &SoulName, placed: Placed) -> Result<(), KvError> {
    let mut slots: BTreeMap<Slot, Vec<(StateHash, Bytes)>> = BTreeMap::new();
    for key in keys(kv, soul, b"", None).await? {
        if let Some((slot, hash)) = Slot::of(&key) {
            slots.entry(slot).or_default().push((hash, key));
        }
    }
    for (slot, there) in slots {
        let (unchanged, list) = look(kv, soul, slot).await?;
        let is_listed = |hash: &StateHash| list.as_ref().is_some_and(|list| list.has(hash));
        let orphans: Vec<_> = there.into_iter().filter(|(hash, _)| !is_listed(hash)).collect();
        for some in orphans.chunks(DELETED_AT_ONCE) {
            let require = vec![placed.condition(kv, soul)?, unchanged.clone()];
            let delete =
                |(_, key): &(_, Bytes)| kv.path(&bucket(soul), key).map(|path| Mutation::Delete { path });
            let then = some.iter().map(delete).collect::<Result<_, _>>()?;
            match kv.batch(Txn { require, then }, None).await?.value {
                TxnOutcome::Committed => {}
                // The value has changed: who changed it cleared away what it did not need.
                TxnOutcome::Refused { .. } => break,
            }
        }
    }
    Ok(())
}

/// The pieces that a slot's value lists, if any, and what holds as long as it lists them.
async fn look(kv: &Kv, soul: &SoulName, slot: Slot) -> Result<(Condition, Option<List>), KvError> {
    let (bucket, key) = slot.place(soul);
    let found = kv.get(&bucket, &key, Consistency::Linearizable).await?;
    let expect = found.as_ref().map_or(Expect::Absent, |entry| Expect::Revision(entry.revision));
    let list = found.and_then(|entry| slot.listed(&entry.value));
    Ok((Condition { path: kv.path(&bucket, &key)?, expect }, list))
}

/// The pieces of a slot, as far as this node has heard, with their keys.
async fn there(kv: &Kv, soul: &SoulName, slot: Slot) -> Result<Vec<(StateHash, Bytes)>, KvError> {
    let prefix = slot.prefix();
    let end = [&prefix[..], &AFTER_ALL].concat();
    let keys = keys(kv, soul, &prefix, Some(end.as_slice())).await?;
    Ok(keys.into_iter().filter_map(|key| Some((Slot::of(&key)?.1, key))).collect())
}

async fn keys(kv: &Kv, soul: &SoulName, start: &[u8], end: Option<&[u8]>) -> Result<Vec<Bytes>, KvError> {
    let (bucket, mut start, mut keys) = (bucket(soul), Bytes::copy_from_slice(start), Vec::new());
    loop {
        let page = kv.range(&bucket, &start, end, PAGE_KEYS, Consistency::Local).await?;
        keys.extend(page.entries.into_iter().map(|(key, _)| key));
        match page.next {
            Some(next) => start = next,
            None => return Ok(keys),
        }
    }
}
