//! A Soul's long-term memory: episodes that outlive restarts, moves and swaps of code, found again by how relevant, recent
//! and important they are. It takes the grant `memory`, and is there while a message is handled or a tick is played.
//!
//! ```no_run
//! use matrix_sdk::memory::{self, Impression};
//!
//! fn meet(name: &str) -> Result<String, memory::Error> {
//!     let met_before = memory::recall(name, 3)?;
//!     memory::remember(&Impression::new(format!("I met {name}.")).importance(0.4).tag("people"))?;
//!     Ok(match met_before.first() {
//!         Some(found) => format!("Welcome back, {name}! Last time: {}", found.episode.text),
//!         None => format!("Hello, {name}."),
//!     })
//! }
//! ```
//!
//! Where there is no more room, the least valuable episodes go: others that are alike take them up ([`Episode`]`::times`), or
//! they are forgotten. A Soul that would rather choose looks at [`usage`] now and then, and makes few of many with
//! [`remember_instead`].

use crate::bindings::imports::matrix::node::memory;
pub use memory::{Cue, Episode, EpisodeId, Extent, Impression, MemoryError as Error, Recollection};

/// Remembers something, and returns its name.
///
/// # Errors
/// Without the grant, out of the bounds of an [`Impression`], beyond `limits.memory_per_second`, or as the node says.
pub fn remember(impression: &Impression) -> Result<EpisodeId, Error> {
    memory::remember(impression, &[])
}

/// Remembers something, and forgets these episodes in the same step: so many become one.
///
/// # Errors
/// As [`remember`], and where there are more than 64 of them.
pub fn remember_instead(of: &[EpisodeId], impression: &Impression) -> Result<EpisodeId, Error> {
    memory::remember(impression, of)
}

/// The episodes that fit these words best, best first: at most `limit`, and at most 64. No words: what is most recent and
/// important.
///
/// # Errors
/// Without the grant, beyond `limits.memory_per_second`, or as the node says.
pub fn recall(words: &str, limit: u32) -> Result<Vec<Recollection>, Error> {
    recall_by(&Cue { text: words.to_owned(), embedding: Vec::new() }, limit)
}

/// As [`recall`], by an embedding too, or by one alone.
///
/// # Errors
/// As [`recall`], and out of the bounds of a [`Cue`].
pub fn recall_by(cue: &Cue, limit: u32) -> Result<Vec<Recollection>, Error> {
    memory::recall(cue, limit)
}

/// Forgets an episode; false: there was none.
///
/// # Errors
/// As [`recall`].
pub fn forget(id: EpisodeId) -> Result<bool, Error> {
    memory::forget(id)
}

/// How much is remembered, and how much may be.
///
/// # Errors
/// As [`recall`].
pub fn usage() -> Result<Extent, Error> {
    memory::usage()
}

impl Impression {
    /// What happened, in words; half as important as can be, until that is said.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), importance: 0.5, tags: Vec::new(), embedding: Vec::new() }
    }

    /// From 0 (trivial) to 1 (life-changing).
    #[must_use]
    pub fn importance(self, importance: f32) -> Self {
        Self { importance, ..self }
    }

    /// One more word under which it is found as well.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Where it lies in a space of meanings.
    #[must_use]
    pub fn embedding(self, embedding: Vec<f32>) -> Self {
        Self { embedding, ..self }
    }
}

/// What went wrong, for people: so `?` makes it the failure of a message.
impl From<Error> for String {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(why) | Error::Invalid(why) | Error::Unavailable(why) => why,
            Error::QuotaExceeded => "the quota is used up: raise `limits.memory_per_second`".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impression_is_made_step_by_step() {
        let it = Impression::new("rain").importance(0.1).tag("weather").tag("grey").embedding(vec![1.0]);
        assert_eq!((it.text.as_str(), it.importance, it.tags.len()), ("rain", 0.1, 2));
        assert_eq!(it.embedding, [1.0]);
        assert_eq!(Impression::new("x").importance, 0.5);
        assert_eq!(String::from(Error::Denied("no grant".into())), "no grant");
    }
}
