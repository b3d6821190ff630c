//! An ordered map whose copy costs a pointer for every few dozen keys: a snapshot takes a copy while writes go on.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

/// Most keys in a chunk. Copying one that a snapshot shares must stay cheap beside the write that needs it, and
/// the list of chunks short beside the number of keys.
const CHUNK_KEYS_MAX: usize = 64;

type Chunk<V> = Vec<(Bytes, V)>;

/// Keys in chunks: each chunk holds, in order, the keys from its lower bound to the next chunk's. The first
/// chunk's lower bound is the empty key, so that every key has a chunk.
#[derive(Clone)]
pub(super) struct CowMap<V> {
    chunks: BTreeMap<Bytes, Arc<Chunk<V>>>,
    len: usize,
}

impl<V: Clone> CowMap<V> {
    pub(super) fn new() -> CowMap<V> {
        CowMap { chunks: BTreeMap::from([(Bytes::new(), Arc::new(Vec::new()))]), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        let chunk = self.chunk_of(key);
        let at = find(chunk, key).ok()?;
        Some(&chunk[at].1)
    }

    /// Stores `value` and returns what it replaces.
    pub(super) fn insert(&mut self, key: Bytes, value: V) -> Option<V> {
        self.upsert(key, |_| value)
    }

    /// Stores what `value` makes of what is there, and returns what that replaces. The key is looked for once.
    pub(super) fn upsert(&mut self, key: Bytes, value: impl FnOnce(Option<&V>) -> V) -> Option<V> {
        let chunk = self.chunk_mut(&key);
        match find(chunk, &key) {
            Ok(at) => {
                let value = value(Some(&chunk[at].1));
                return Some(std::mem::replace(&mut chunk[at].1, value));
            }
            Err(at) => chunk.insert(at, (key, value(None))),
        }
        // Keys that come in order fill chunks to the brim; others leave both halves room.
        let overflow = (chunk.len() > CHUNK_KEYS_MAX).then(|| chunk.split_off(CHUNK_KEYS_MAX / 2));
        if let Some(upper) = overflow {
            self.chunks.insert(upper[0].0.clone(), Arc::new(upper));
        }
        self.len += 1;
        None
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let chunk = self.chunk_mut(key);
        let at = find(chunk, key).ok()?;
        let (_, value) = chunk.remove(at);
        let emptied = chunk.is_empty();
        self.len -= 1;
        if emptied {
            let low = self.low_of(key);
            // The first chunk stays, empty or not: see the invariant.
            if !low.is_empty() {
                self.chunks.remove(&low);
            }
        }
        Some(value)
    }

    /// The keys from `start` on, in order.
    pub(super) fn from<'a>(&'a self, start: &'a [u8]) -> impl Iterator<Item = (&'a Bytes, &'a V)> {
        let low = self.low_of(start);
        self.chunks
            .range::<[u8], _>((Bound::Included(low.as_ref()), Bound::Unbounded))
            .flat_map(|(_, chunk)| chunk.iter())
            .skip_while(move |(key, _)| key.as_ref() < start)
            .map(|(key, value)| (key, value))
    }

    fn low_of(&self, key: &[u8]) -> Bytes {
        let up_to = self.chunks.range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        up_to.map(|(low, _)| low).next_back().cloned().unwrap_or_default()
    }

    fn chunk_of(&self, key: &[u8]) -> &Chunk<V> {
        let mut up_to = self.chunks.range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        up_to.next_back().map(|(_, chunk)| chunk.as_ref()).expect("the first chunk is below every key")
    }

    fn chunk_mut(&mut self, key: &[u8]) -> &mut Chunk<V> {
        let mut up_to = self.chunks.range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        let (_, chunk) = up_to.next_back().expect("the first chunk is below every key");
        Arc::make_mut(chunk)
    }
}

fn find<V>(chunk: &Chunk<V>, key: &[u8]) -> Result<usize, usize> {
    chunk.binary_search_by(|(present, _)| present.as_ref().cmp(key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_btree_map(steps in prop::collection::vec((any::<bool>(), 0u16..400), 1..900)) {
            let mut map = CowMap::new();
            let mut model = BTreeMap::new();
            let mut copies = Vec::new();
            for (at, (put, key)) in steps.into_iter().enumerate() {
                let key = Bytes::copy_from_slice(&key.to_be_bytes());
                if put {
                    prop_assert_eq!(map.insert(key.clone(), at), model.insert(key.clone(), at));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(map.len(), model.len());
                prop_assert_eq!(map.get(&key), model.get(&key));
                if at % 97 == 0 {
                    copies.push((map.clone(), model.clone()));
                }
                let from: Vec<_> = map.from(&key).map(|(k, v)| (k.clone(), *v)).collect();
                let expected: Vec<_> = model.range(key..).map(|(k, v)| (k.clone(), *v)).collect();
                prop_assert_eq!(from, expected);
            }
            for (copy, model) in copies {
                let all: Vec<_> = copy.from(b"").map(|(k, v)| (k.clone(), *v)).collect();
                prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
