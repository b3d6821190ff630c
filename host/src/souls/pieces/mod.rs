//! States that are too long for one value of the KV are cut into pieces, each a value of its own under its digest, in a
//! bucket of the Soul. The pieces are written first; then one commit says which of them are the state, and deletes those
//! of the state before that it does not need. So a crash in between leaves the old state or the new one, whole.
//!
//! A commit requires that the pieces written for it are still there as they were written, and that the list before is the
//! one that it goes by. So whoever clears away pieces that no list names needs to know of nobody who is about to name them.

mod laying;

use bytes::{BufMut as _, Bytes, BytesMut};
use matrix_proto::wire::LearntState;
use prost::Message as _;

pub(super) use self::laying::{Laid, clear, fetch, lay, tidy};
use super::checkpoint;
use super::swap::KEPT_BUCKET;
use super::taught::states_bucket;
use crate::ids::{SoulName, StateHash};
use crate::runtime::limits::SNAPSHOT_BYTES_MAX;

/// The longest state, in bytes, that is kept in one value, beside what is said of it.
pub const WHOLE_BYTES_MAX: usize = 768 * 1024;
/// The bytes of a piece; the last one may be shorter. So much stands in front of a vote on a link between two nodes.
pub const PIECE_BYTES: usize = 512 * 1024;
/// The bytes of a digest.
const HASH_BYTES: usize = 32;

/// The bucket of the KV that holds the pieces of a Soul's states.
pub fn bucket(soul: &SoulName) -> String {
    format!("sys/pieces/{soul}")
}

/// Where a state of a Soul is kept. Each has pieces of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// Its checkpoint.
    Present,
    /// That in which the code before the present one was left.
    Kept,
    /// That to which it came by a lesson.
    Lesson(u64),
}

impl Slot {
    /// What the keys of its pieces begin with.
    fn prefix(self) -> Vec<u8> {
        match self {
            Self::Present => b"p".to_vec(),
            Self::Kept => b"k".to_vec(),
            Self::Lesson(lesson) => [&b"l"[..], &lesson.to_be_bytes()].concat(),
        }
    }

    /// The key of a piece.
    fn key(self, piece: &StateHash) -> Vec<u8> {
        [&self.prefix()[..], piece.as_bytes()].concat()
    }

    /// Whose piece this is the key of, and which piece.
    fn of(key: &[u8]) -> Option<(Self, StateHash)> {
        let (prefix, hash) = key.split_last_chunk::<HASH_BYTES>()?;
        let slot = match prefix {
            b"p" => Self::Present,
            b"k" => Self::Kept,
            [b'l', lesson @ ..] => Self::Lesson(u64::from_be_bytes(lesson.try_into().ok()?)),
            _ => return None,
        };
        Some((slot, StateHash::from_bytes(*hash)))
    }

    /// The bucket and the key of the value that holds the state, or lists its pieces.
    pub(super) fn place(self, soul: &SoulName) -> (String, Vec<u8>) {
        let name = || soul.as_str().as_bytes().to_vec();
        match self {
            Self::Present => (checkpoint::BUCKET.to_owned(), name()),
            Self::Kept => (KEPT_BUCKET.to_owned(), name()),
            Self::Lesson(lesson) => (states_bucket(soul), lesson.to_be_bytes().to_vec()),
        }
    }

    /// The pieces that such a value lists.
    fn listed(self, value: &Bytes) -> Option<List> {
        match self {
            Self::Present | Self::Kept => checkpoint::listed(value),
            Self::Lesson(_) => List::decode(&LearntState::decode(value.clone()).ok()?.pieces).ok(),
        }
    }
}

/// A state as a value holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// All of it.
    Whole(Bytes),
    /// Which pieces it consists of.
    Cut(List),
}

/// Which pieces a state consists of, in order. A piece may be there more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    size: usize,
    pieces: Vec<StateHash>,
}

impl List {
    /// The pieces of a state, with their bytes.
    fn cut(state: &Bytes) -> (Self, Vec<(StateHash, Bytes)>) {
        let starts = (0..state.len()).step_by(PIECE_BYTES);
        let pieces: Vec<_> = starts
            .map(|start| state.slice(start..state.len().min(start + PIECE_BYTES)))
            .map(|piece| (StateHash::of(&piece), piece))
            .collect();
        (Self { size: state.len(), pieces: pieces.iter().map(|(hash, _)| *hash).collect() }, pieces)
    }

    /// The state of these pieces, which are given in the list's order.
    ///
    /// # Errors
    /// Which of them is missing, or not what the list says.
    fn join(&self, pieces: impl IntoIterator<Item = Option<Bytes>>) -> Result<Bytes, String> {
        let mut state = BytesMut::with_capacity(self.size);
        let mut pieces = pieces.into_iter();
        for (number, hash) in (1..).zip(&self.pieces) {
            let wrong = |how| format!("piece {number} of {} of its state, {hash}, {how}", self.pieces.len());
            let piece = pieces.next().flatten().ok_or_else(|| wrong("is missing"))?;
            if StateHash::of(&piece) != *hash {
                return Err(wrong("is damaged"));
            }
            if state.len() + piece.len() > self.size {
                return Err(wrong("is too long"));
            }
            state.put(piece);
        }
        if state.len() < self.size {
            return Err(format!("its state has {} bytes, and should have {}", state.len(), self.size));
        }
        Ok(state.freeze())
    }

    /// [`List::join`], out of a copy of the KV.
    pub(super) fn find(
        &self,
        soul: &SoulName,
        slot: Slot,
        value: impl Fn(&str, &[u8]) -> Option<Bytes>,
    ) -> Result<Bytes, String> {
        let bucket = bucket(soul);
        self.join(self.pieces.iter().map(|piece| value(&bucket, &slot.key(piece))))
    }

    fn has(&self, piece: &StateHash) -> bool {
        self.pieces.contains(piece)
    }

    /// The state's length, and the digests one after the other.
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(8 + self.pieces.len() * HASH_BYTES);
        bytes.put_u64(self.size as u64);
        self.pieces.iter().for_each(|piece| bytes.put_slice(piece.as_bytes()));
        bytes.freeze()
    }

    /// Reads what [`List::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let wrong = || "the list of its pieces is none".to_owned();
        let (size, hashes) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        let size = usize::try_from(u64::from_be_bytes(*size)).map_err(|_| wrong())?;
        let (hashes, rest) = hashes.as_chunks::<HASH_BYTES>();
        if size > SNAPSHOT_BYTES_MAX || !rest.is_empty() || hashes.len() != size.div_ceil(PIECE_BYTES) {
            return Err(wrong());
        }
        Ok(Self { size, pieces: hashes.iter().map(|hash| StateHash::from_bytes(*hash)).collect() })
    }
}

#[cfg(test)]
mod tests;
