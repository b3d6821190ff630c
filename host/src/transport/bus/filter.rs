//! Which events a subscriber wants.

use super::{BusError, Event, KIND_BYTES_MAX};
use crate::telemetry::pattern::Pattern;

/// The most kinds, and the most sources, in one filter: each costs every subscriber's reading a
/// comparison an event.
pub const FILTER_ITEMS_MAX: usize = 32;

/// Which events a subscriber wants. The default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    kinds: Vec<Box<str>>,
    sources: Vec<Pattern>,
}

impl Filter {
    /// Events whose kind begins with one of `kinds`, and whose source is among `sources`: exact, such as
    /// `soul:neo`, or a prefix with a star, such as `matrix:*`. An empty list lets everything pass.
    pub fn new<K: AsRef<str>, S: AsRef<str>>(kinds: &[K], sources: &[S]) -> Result<Self, BusError> {
        for (field, given) in [("kinds", kinds.len()), ("sources", sources.len())] {
            if given > FILTER_ITEMS_MAX {
                return Err(BusError::FilterTooLong { field, given });
            }
        }
        let kinds = kinds.iter().map(|kind| match kind.as_ref() {
            long if long.len() > KIND_BYTES_MAX => Err(BusError::KindTooLong(long.len())),
            kind => Ok(kind.into()),
        });
        let sources = sources.iter().map(|source| Pattern::parse(source.as_ref()));
        Ok(Self { kinds: kinds.collect::<Result<_, _>>()?, sources: sources.collect::<Result<_, _>>()? })
    }

    /// Whether an event is wanted.
    pub fn passes(&self, event: &Event) -> bool {
        let kind = self.kinds.is_empty() || self.kinds.iter().any(|prefix| event.kind.starts_with(&**prefix));
        kind && (self.sources.is_empty() || {
            let (kind, name) = event.source.parts();
            self.sources.iter().any(|source| source.matches(kind, &name))
        })
    }
}
