//! An ordered map whose copy costs a pointer for every few dozen keys: a snapshot takes a copy while writes go on.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::key::Key;

/// Most keys in a chunk. Copying one that a snapshot shares must stay cheap beside the write that needs it, and
/// the list of chunks short beside the number of keys.
const CHUNK_KEYS_MAX: usize = 64;

/// Keys in chunks: each chunk holds, in order, the keys from its lower bound to the next chunk's. The first
/// chunk's lower bound is the empty key, so that every key has a chunk.
#[derive(Clone)]
pub(super) struct CowMap<V> {
    chunks: BTreeMap<Key, Arc<Chunk<V>>>,
    len: usize,
}

/// Keys in order, and their values in the same order. The keys lie together, since a search reads many of them and
/// one value.
#[derive(Clone)]
struct Chunk<V> {
    keys: Vec<Key>,
    values: Vec<V>,
}

impl<V: Clone> CowMap<V> {
    pub(super) fn new() -> CowMap<V> {
        CowMap { chunks: BTreeMap::from([(Key::new(b""), Arc::new(Chunk::with_room()))]), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        let (_, chunk) = self.at(key);
        Some(&chunk.values[chunk.find(key).ok()?])
    }

    /// Stores `value` and returns what it replaces.
    pub(super) fn insert(&mut self, key: &[u8], value: V) -> Option<V> {
        self.upsert(key, |_| value)
    }

    /// Stores what `value` makes of what is there, and returns what that replaces. The key is looked for once.
    pub(super) fn upsert(&mut self, key: &[u8], value: impl FnOnce(Option<&V>) -> V) -> Option<V> {
        let chunk = self.chunk_mut(key);
        let split = match chunk.find(key) {
            Ok(at) => {
                let value = value(Some(&chunk.values[at]));
                return Some(std::mem::replace(&mut chunk.values[at], value));
            }
            Err(at) => chunk.insert(at, Key::new(key), value(None)),
        };
        if let Some(upper) = split {
            self.chunks.insert(upper.keys[0].clone(), Arc::new(upper));
        }
        self.len += 1;
        None
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let chunk = self.chunk_mut(key);
        let at = chunk.find(key).ok()?;
        chunk.keys.remove(at);
        let value = chunk.values.remove(at);
        let emptied = chunk.keys.is_empty();
        self.len -= 1;
        if emptied {
            let low = self.at(key).0.clone();
            // The first chunk stays, empty or not: see the invariant.
            if !low.bytes().is_empty() {
                self.chunks.remove(&low);
            }
        }
        Some(value)
    }

    /// The keys from `start` on, in order.
    pub(super) fn from<'a>(&'a self, start: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a V)> {
        let (low, _) = self.at(start);
        self.chunks
            .range::<[u8], _>((Bound::Included(low.bytes()), Bound::Unbounded))
            .flat_map(|(_, chunk)| chunk.keys.iter().zip(&chunk.values))
            .map(|(key, value)| (key.bytes(), value))
            .skip_while(move |(key, _)| *key < start)
    }

    /// The chunk that has the key, or would have it, and its lower bound.
    fn at(&self, key: &[u8]) -> (&Key, &Chunk<V>) {
        let mut up_to = self.chunks.range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        let (low, chunk) = up_to.next_back().expect("the first chunk is below every key");
        (low, chunk)
    }

    fn chunk_mut(&mut self, key: &[u8]) -> &mut Chunk<V> {
        let mut up_to = self.chunks.range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        let (_, chunk) = up_to.next_back().expect("the first chunk is below every key");
        Arc::make_mut(chunk)
    }
}

impl<V> Chunk<V> {
    /// An empty one, which has room for as many keys as it may have.
    fn with_room() -> Chunk<V> {
        Chunk { keys: Vec::with_capacity(CHUNK_KEYS_MAX), values: Vec::with_capacity(CHUNK_KEYS_MAX) }
    }

    /// Where the key is, or where it would be.
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.keys.binary_search_by(|present| present.bytes().cmp(key))
    }

    /// Puts a key in its place. Of a chunk that is full, the upper part becomes one of its own.
    fn insert(&mut self, at: usize, key: Key, value: V) -> Option<Chunk<V>> {
        if self.keys.len() < CHUNK_KEYS_MAX {
            self.keys.insert(at, key);
            self.values.insert(at, value);
            return None;
        }
        // Keys that come in order fill chunks to the brim; others leave both halves room.
        let cut = if at == self.keys.len() { at } else { CHUNK_KEYS_MAX / 2 };
        let mut upper = Chunk::with_room();
        upper.keys.extend(self.keys.drain(cut..));
        upper.values.extend(self.values.drain(cut..));
        let (part, at) = if at < cut { (self, at) } else { (&mut upper, at - cut) };
        part.keys.insert(at, key);
        part.values.insert(at, value);
        Some(upper)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
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
                    prop_assert_eq!(map.insert(&key, at), model.insert(key.clone(), at));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(map.len(), model.len());
                prop_assert_eq!(map.get(&key), model.get(&key));
                if at % 97 == 0 {
                    copies.push((map.clone(), model.clone()));
                }
                let from: Vec<_> = map.from(&key).map(|(k, v)| (Bytes::copy_from_slice(k), *v)).collect();
                let expected: Vec<_> = model.range(key..).map(|(k, v)| (k.clone(), *v)).collect();
                prop_assert_eq!(from, expected);
            }
            for (copy, model) in copies {
                let all: Vec<_> = copy.from(b"").map(|(k, v)| (Bytes::copy_from_slice(k), *v)).collect();
                prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
