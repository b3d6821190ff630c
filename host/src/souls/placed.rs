//! Where a Soul lives: one key in the KV. Its value is what a node shows to prove that it may still speak for the
//! Soul: once another node has it, whatever the old one writes is refused.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::SoulError;
use crate::ids::SoulName;
use crate::kv::{Condition, Consistency, Expect, Kv, KvError, Mutation, Path, Swap};

/// The bucket of the KV that holds one key a Soul.
pub const BUCKET: &str = "sys/placed";

/// Keys that are read at once.
const PAGE: usize = 1_000;

/// Where a Soul lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The node.
    pub node: u64,
    /// Counts its nodes: 1 for the first.
    pub generation: u64,
}

impl Placed {
    /// On this node, after `before`.
    pub fn after(before: Option<Placed>, node: u64) -> Placed {
        match before {
            Some(before) if before.node == node => before,
            Some(before) => Placed { node, generation: before.generation + 1 },
            None => Placed { node, generation: 1 },
        }
    }

    /// On this node, in a realm that was made from a copy: whoever spoke for the Soul before speaks for it no more.
    pub fn restored(self, node: u64) -> Placed {
        Placed { node, generation: self.generation + 1 }
    }

    /// Its bytes in the KV: the same for the same place, so that they can be compared.
    pub fn value(self) -> Bytes {
        format!(r#"{{"node":{},"generation":{}}}"#, self.node, self.generation).into()
    }

    /// What holds as long as the Soul lives here.
    pub(crate) fn condition(self, kv: &Kv, soul: &SoulName) -> Result<Condition, KvError> {
        Ok(Condition { path: path(kv, soul)?, expect: Expect::Value(self.value()) })
    }

    /// Makes the Soul live here.
    pub(crate) fn mutation(self, kv: &Kv, soul: &SoulName) -> Result<Mutation, KvError> {
        Ok(Mutation::Put { path: path(kv, soul)?, value: self.value(), lease: None })
    }
}

/// What holds as long as a Soul lives where it did.
pub(crate) fn unchanged(kv: &Kv, soul: &SoulName, before: Option<Placed>) -> Result<Condition, KvError> {
    match before {
        Some(before) => before.condition(kv, soul),
        None => Ok(Condition { path: path(kv, soul)?, expect: Expect::Absent }),
    }
}

/// Makes a Soul live elsewhere, or nowhere, if it lives where it is thought to.
///
/// # Errors
/// `Moved`: it does not. `Kv`.
pub(super) async fn exchange(
    kv: &Kv,
    soul: &SoulName,
    before: Option<Placed>,
    after: Option<Placed>,
) -> Result<(), SoulError> {
    let expect = before.map_or(Expect::Absent, |before| Expect::Value(before.value()));
    let (key, value) = (soul.as_str().as_bytes(), after.map(Placed::value));
    match kv.compare_and_swap(BUCKET, key, expect, value, None).await?.value {
        Swap::Swapped => Ok(()),
        Swap::Conflict { .. } => Err(SoulError::Moved(soul.clone())),
    }
}

/// Where a Soul lives, read linearizably.
pub async fn load(kv: &Kv, soul: &SoulName) -> Result<Option<Placed>, KvError> {
    kv.record(BUCKET, soul.as_str()).await
}

/// Where all Souls live, and a revision from which on a watch misses nothing; read linearizably.
pub(crate) async fn load_all(kv: &Kv) -> Result<(BTreeMap<SoulName, Placed>, u64), KvError> {
    let (mut all, mut start, mut revision) = (BTreeMap::new(), Bytes::new(), None);
    loop {
        let page = kv.range(BUCKET, &start, None, PAGE, Consistency::Linearizable).await?;
        // Of the first page: what changes while the others are read is seen again.
        let first = *revision.get_or_insert(page.revision);
        for (key, entry) in &page.entries {
            let soul = std::str::from_utf8(key).ok().and_then(|key| key.parse().ok());
            if let (Some(soul), Ok(placed)) = (soul, serde_json::from_slice::<Placed>(&entry.value)) {
                all.insert(soul, placed);
            }
        }
        match page.next {
            Some(next) => start = next,
            None => return Ok((all, first)),
        }
    }
}

fn path(kv: &Kv, soul: &SoulName) -> Result<Path, KvError> {
    kv.path(BUCKET, soul.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_bytes_are_those_of_its_json() {
        let placed = Placed { node: 3, generation: 7 };
        assert_eq!(placed.value(), serde_json::to_vec(&placed).expect("it has a form in JSON"));
        assert_eq!(Placed::after(Some(placed), 3), placed);
        assert_eq!(Placed::after(Some(placed), 4), Placed { node: 4, generation: 8 });
        assert_eq!(Placed::after(None, 4), Placed { node: 4, generation: 1 });
    }
}
