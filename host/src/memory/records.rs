//! How the KV keeps what Souls remember: a bucket a Soul.
//!
//! `e` and an id is an episode; `n` is the id that the next one gets, so that none is given twice; `r` and an id is when
//! that episode was recalled last, apart from it, so that recalling need not write what was said anew.

use bytes::{Buf as _, Bytes};
use matrix_proto::wire::MemoryEpisode;
use prost::Message as _;

use super::{Episode, Impression, MemoryError, Span};
use crate::ids::SoulName;
use crate::kv::{Consistency, Kv, KvError, Path};

/// What follows the keys of episodes.
const END: &[u8] = b"f";

/// The bucket of a Soul's memory.
pub(crate) fn bucket(soul: &SoulName) -> String {
    format!("sys/memory/{soul}")
}

/// What a key is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Episode(u64),
    Next,
    Recalled(u64),
}

impl Key {
    fn bytes(self) -> Bytes {
        let numbered = |kind: u8, id: u64| Bytes::from([&[kind][..], &id.to_be_bytes()].concat());
        match self {
            Self::Episode(id) => numbered(b'e', id),
            Self::Next => Bytes::from_static(b"n"),
            Self::Recalled(id) => numbered(b'r', id),
        }
    }

    pub(super) fn read(mut key: &[u8]) -> Option<Self> {
        let kind = key.try_get_u8().ok()?;
        let id = key.try_get_u64().ok();
        match (kind, id) {
            (b'e', Some(id)) => Some(Self::Episode(id)),
            (b'n', None) => Some(Self::Next),
            (b'r', Some(id)) => Some(Self::Recalled(id)),
            _ => None,
        }
    }

    pub(super) fn path(self, kv: &Kv, bucket: &str) -> Result<Path, KvError> {
        kv.path(bucket, &self.bytes())
    }
}

/// A number as the KV keeps it.
pub(super) fn number(value: u64) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

pub(super) fn read_number(mut value: &[u8]) -> Result<u64, MemoryError> {
    value.try_get_u64().map_err(|_| MemoryError::Damaged("a number is cut off".into()))
}

pub(super) fn write(impression: &Impression, span: Span) -> Bytes {
    episode(impression.clone(), span).encode_to_vec().into()
}

pub(super) fn read(value: &Bytes) -> Result<(Impression, Span), MemoryError> {
    let episode = MemoryEpisode::decode(value.clone());
    Ok(said(episode.map_err(|error| MemoryError::Damaged(error.to_string()))?))
}

/// An episode as nodes give it to each other, and keep it. What was remembered once has no bytes that say so.
pub(crate) fn episode(impression: Impression, span: Span) -> MemoryEpisode {
    let Impression { text, importance, tags, embedding } = impression;
    let at_ms = span.at_ms;
    let (times, last_at_ms) = if span == Span::once(at_ms) { (0, 0) } else { (span.times, span.last_at_ms) };
    MemoryEpisode { at_ms, importance, text, tags, embedding, times, last_at_ms }
}

/// What such an episode says.
pub(crate) fn said(episode: MemoryEpisode) -> (Impression, Span) {
    let MemoryEpisode { at_ms, importance, text, tags, embedding, times, last_at_ms } = episode;
    let span = Span { at_ms, last_at_ms: last_at_ms.max(at_ms), times: times.max(1) };
    (Impression { text, importance, tags, embedding }, span)
}

/// At most `limit` episodes of a Soul after the one called `after`, oldest first; read linearizably, from any node. When
/// they were recalled last may be some seconds behind.
///
/// # Errors
/// `Kv`, `Damaged`.
pub(crate) async fn list(
    kv: &Kv,
    soul: &SoulName,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<Episode>, MemoryError> {
    let bucket = bucket(soul);
    let mut start = Key::Episode(after.map_or(0, |after| after.saturating_add(1))).bytes();
    let mut episodes = Vec::new();
    loop {
        let left = limit - episodes.len();
        let page = kv.range(&bucket, &start, Some(END), left, Consistency::Linearizable).await?;
        let first = episodes.len();
        for (key, entry) in page.entries {
            let Some(Key::Episode(id)) = Key::read(&key) else { continue };
            let (impression, span) = read(&entry.value)?;
            episodes.push(Episode { id, span, recalled_at_ms: span.last_at_ms, impression });
        }
        let marks: Vec<_> =
            episodes[first..].iter().map(|episode| Key::Recalled(episode.id).bytes()).collect();
        let marks = kv.get_many(&bucket, &marks, Consistency::Local).await?;
        for (episode, mark) in episodes[first..].iter_mut().zip(marks) {
            if let Some(mark) = mark {
                episode.recalled_at_ms = read_number(&mark.value)?.max(episode.span.last_at_ms);
            }
        }
        match page.next {
            Some(next) if episodes.len() < limit => start = next,
            _ => return Ok(episodes),
        }
    }
}
