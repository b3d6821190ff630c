//! What Souls remember.

use matrix_proto::v1;
use tonic::Status;

use super::missing;
use crate::memory::{Episode, Extent, Impression, Merge, Recollection, Span};
use crate::souls::remembering::Edited;

/// An episode as callers see it.
pub(in crate::admin) fn episode(episode: &Episode) -> v1::Episode {
    let Episode { id, span, recalled_at_ms, impression } = episode.clone();
    let (Impression { text, importance, tags, embedding }, Span { at_ms, last_at_ms, times }) =
        (impression, span);
    v1::Episode { id, at_ms, recalled_at_ms, text, importance, tags, embedding, times, last_at_ms }
}

/// When a caller says that something happened; none: now.
pub(in crate::admin) fn span(given: &v1::Episode) -> Option<Span> {
    let v1::Episode { at_ms, last_at_ms, times, .. } = *given;
    (at_ms > 0).then_some(Span { at_ms, last_at_ms, times })
}

/// What a caller is told of what is remembered now.
pub(in crate::admin) fn remembered(edited: Edited) -> v1::RememberResponse {
    let merged = edited.room.merged.into_iter().map(|Merge { id, into }| v1::EpisodeMerge { id, into });
    v1::RememberResponse {
        id: edited.id.unwrap_or(0),
        forgotten: edited.room.forgotten,
        consolidated: merged.collect(),
    }
}

/// What a caller wants a Soul to remember. What is too long or out of its range is found by `Impression::check`.
pub(in crate::admin) fn impression(given: Option<v1::Episode>) -> Result<Impression, Status> {
    let v1::Episode { text, importance, tags, embedding, .. } = given.ok_or_else(|| missing("episode"))?;
    Ok(Impression { text, importance, tags, embedding })
}

/// What a Soul would recall, without its places in a space of meanings.
pub(in crate::admin) fn recalled(found: &[Recollection], extent: Extent) -> v1::RecallResponse {
    let recollection = |found: &Recollection| v1::Recollection {
        episode: Some(v1::Episode { embedding: Vec::new(), ..episode(&found.episode) }),
        score: found.score,
    };
    let Extent { episodes, bytes, quota } = extent;
    let extent = v1::MemoryExtent { episodes, episodes_max: quota.episodes, bytes, bytes_max: quota.bytes };
    v1::RecallResponse { recollections: found.iter().map(recollection).collect(), extent: Some(extent) }
}
