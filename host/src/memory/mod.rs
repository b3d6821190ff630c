//! What Souls remember: episodes in the KV, found again by how relevant, recent and important they are.
//!
//! [`score`] is the arithmetic, and knows nothing else. An [`index`] is what the node where a Soul lives holds of its
//! episodes, so that recalling reads nothing over the network; [`Memory`] reads it at its first use, and changes it
//! together with the KV. Each write is conditional on where the Soul lives.

mod index;
mod keeping;
mod records;
mod room;
pub mod score;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::kv::KvError;

pub(crate) use self::index::check_kept;
pub use self::keeping::{Changes, Keeping, Memory, Place};
pub(crate) use self::records::{bucket, episode, list, said};

/// The most bytes in the text of an episode, and of a cue.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;
/// The most tags of an episode.
pub const TAGS_MAX: usize = 16;
/// The most bytes in a tag.
pub const TAG_BYTES_MAX: usize = 64;
/// The most numbers in an embedding.
pub const EMBEDDING_MAX: usize = 1_024;
/// The most episodes that one call recalls.
pub const RECOLLECTIONS_MAX: usize = 64;
/// The most episodes that a new one takes the place of.
pub const REPLACED_MAX: usize = 64;
/// The most episodes that one change touches, and all changes of one turn. The largest episode needs the room of 95 of
/// the smallest.
pub const TURN_MAX: usize = 100;
/// What an episode takes beside its texts and numbers, in bytes: its keys, and its place in the index.
pub const OVERHEAD_BYTES: u64 = 128;

/// Something to remember.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Impression {
    /// What happened.
    pub text: String,
    /// From 0 to 1.
    pub importance: f32,
    /// Words under which it is found as well.
    pub tags: Vec<String>,
    /// Where it lies in a space of meanings; empty: it has no place there.
    pub embedding: Vec<f32>,
}

impl Impression {
    /// Checks every bound.
    ///
    /// # Errors
    /// `Invalid`, which says what is out of its bounds.
    pub fn check(&self) -> Result<(), MemoryError> {
        if self.text.is_empty() {
            return invalid("`text` is empty: say what happened".into());
        }
        check_text(&self.text)?;
        if !(0.0..=1.0).contains(&self.importance) {
            return invalid(format!("`importance` is {}: it must be from 0 to 1", self.importance));
        }
        at_most("tags", self.tags.len(), TAGS_MAX, "tags")?;
        let longest = self.tags.iter().map(String::len).max().unwrap_or(0);
        at_most("tags", longest, TAG_BYTES_MAX, "bytes in one of them")?;
        check_embedding(&self.embedding)
    }
}

/// What episodes are looked for by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cue {
    /// In words; empty: none.
    pub text: String,
    /// In the space of the episodes' embeddings; empty: words alone.
    pub embedding: Vec<f32>,
}

impl Cue {
    /// Checks every bound.
    ///
    /// # Errors
    /// `Invalid`, which says what is out of its bounds.
    pub fn check(&self) -> Result<(), MemoryError> {
        check_text(&self.text)?;
        check_embedding(&self.embedding)
    }
}

/// When something was remembered, in milliseconds since the Unix epoch, and how often: more than once where it took up
/// others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first time.
    pub at_ms: u64,
    /// The last time.
    pub last_at_ms: u64,
    /// How often.
    pub times: u32,
}

impl Span {
    /// Once.
    pub const fn once(at_ms: u64) -> Self {
        Self { at_ms, last_at_ms: at_ms, times: 1 }
    }

    /// All of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            at_ms: self.at_ms.min(other.at_ms),
            last_at_ms: self.last_at_ms.max(other.last_at_ms),
            times: self.times.saturating_add(other.times),
        }
    }

    /// The same by `now_ms`, whatever was said: nothing is remembered before it happens, and at least once.
    #[must_use]
    pub fn until(self, now_ms: u64) -> Self {
        let at_ms = self.at_ms.min(now_ms);
        Self { at_ms, last_at_ms: self.last_at_ms.clamp(at_ms, now_ms), times: self.times.max(1) }
    }
}

/// Something remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Names it among those of its Soul; never given twice.
    pub id: u64,
    /// When it was remembered.
    pub span: Span,
    /// When it was recalled last, in milliseconds since the Unix epoch; no later than it was remembered last: never.
    pub recalled_at_ms: u64,
    /// What was remembered.
    pub impression: Impression,
}

/// An episode that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Recollection {
    /// The episode.
    pub episode: Episode,
    /// How well it fits, from 0 to 1.
    pub score: f32,
}

/// What was remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Names the episode.
    pub id: u64,
    /// What became of others, to make room.
    pub room: MadeRoom,
}

/// What became of episodes for want of room, least valuable first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeRoom {
    /// They were forgotten.
    pub forgotten: Vec<u64>,
    /// Others that are alike took them up.
    pub merged: Vec<Merge>,
}

impl MadeRoom {
    /// What this did, and then that.
    fn extend(&mut self, then: Self) {
        self.forgotten.extend(then.forgotten);
        self.merged.extend(then.merged);
    }
}

/// An episode that another one took up, which stands for both from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// The one that is gone.
    pub id: u64,
    /// The one that took it up.
    pub into: u64,
}

/// How much a Soul may remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Episodes.
    pub episodes: u32,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Episodes.
    pub episodes: u32,
    /// Bytes of all of them.
    pub bytes: u64,
    /// The most of both.
    pub quota: Quota,
}

/// What counts how much when episodes are recalled, and when some have to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// How much it counts that an episode is about what is looked for.
    pub relevance: f32,
    /// How much it counts that it was remembered or recalled lately.
    pub recency: f32,
    /// How much it counts that it is important.
    pub importance: f32,
    /// What is left of recency after an hour, above 0 and up to 1.
    pub decay: f32,
    /// How alike two episodes must be, up to 1, to become one where there is no room; 0: they never do.
    pub alike: f32,
}

impl Default for Weights {
    /// Those of Park et al., 2023: "Generative Agents: Interactive Simulacra of Human Behavior". How alike episodes must
    /// be is our own.
    fn default() -> Self {
        Self { relevance: 1.0, recency: 1.0, importance: 1.0, decay: 0.995, alike: 0.8 }
    }
}

impl Weights {
    /// Whether these are the defaults.
    pub fn are_default(&self) -> bool {
        *self == Self::default()
    }

    /// Says what is wrong with them, if anything is.
    ///
    /// # Errors
    /// Which of them, and what it must be.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let weights = [
            ("memory.relevance", self.relevance),
            ("memory.recency", self.recency),
            ("memory.importance", self.importance),
        ];
        for (name, weight) in weights {
            if !(0.0..=1_000.0).contains(&weight) {
                return Err((name, "must be from 0 to 1000"));
            }
        }
        if weights.iter().all(|(_, weight)| *weight == 0.0) {
            return Err(("memory", "has no weight above 0: one of them must count"));
        }
        if !(0.0..=1.0).contains(&self.alike) {
            return Err(("memory.alike", "must be from 0 to 1"));
        }
        if self.decay > 0.0 && self.decay <= 1.0 {
            Ok(())
        } else {
            Err(("memory.decay", "must be above 0, and 1 at most"))
        }
    }
}

/// Why nothing was remembered, found or forgotten.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MemoryError {
    /// What was given is out of its bounds.
    #[error("{0}")]
    Invalid(String),
    /// The Soul was taken up by another node.
    #[error("this Soul lives on another node by now, and remembers nothing from here")]
    Elsewhere,
    /// What the KV holds is no episode.
    #[error("an episode cannot be read: {0}")]
    Damaged(String),
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
}

fn invalid<T>(problem: String) -> Result<T, MemoryError> {
    Err(MemoryError::Invalid(problem))
}

fn at_most(field: &str, actual: usize, max: usize, unit: &str) -> Result<(), MemoryError> {
    if actual <= max {
        return Ok(());
    }
    invalid(format!("`{field}` has {actual} {unit}, and {max} are allowed"))
}

fn check_text(text: &str) -> Result<(), MemoryError> {
    at_most("text", text.len(), TEXT_BYTES_MAX, "bytes")
}

fn check_embedding(embedding: &[f32]) -> Result<(), MemoryError> {
    at_most("embedding", embedding.len(), EMBEDDING_MAX, "numbers")?;
    if embedding.iter().all(|number| number.is_finite()) {
        return Ok(());
    }
    invalid("`embedding` has something in it that is no finite number".into())
}
