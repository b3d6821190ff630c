//! A Soul as records of a file, and back, with distrust.

use bytes::Bytes;
use matrix_proto::wire::soul_file_record::Kind;
use matrix_proto::wire::{SoulFileEntry, SoulFileHeader, SoulFilePart, SoulFileState};

use super::PortableError;
use crate::capabilities::random;
use crate::clock;
use crate::ids::{Digest, TopicName};
use crate::learning;
use crate::memory::{self, Quota};
use crate::runtime::limits::Limits;
use crate::souls::checkpoint::{Checkpoint, CheckpointError, Header};
use crate::souls::manifest::Manifest;
use crate::souls::plant::{Cutting, Kept, Part};
use crate::souls::swap::Ancestor;

/// The most bytes in the name of a state's layout.
const SCHEMA_BYTES_MAX: usize = 256;
/// The most topics that a Soul is said to subscribe to.
const TOPICS_MAX: usize = 1_024;
/// The most bytes in the id of a realm.
const REALM_BYTES_MAX: usize = 64;

pub(super) fn header(cutting: &Cutting, realm: String) -> Result<SoulFileHeader, PortableError> {
    let manifest = serde_json::to_vec(&cutting.manifest);
    let manifest = manifest.map_err(|error| wrong("the manifest", error.to_string()))?;
    Ok(SoulFileHeader {
        manifest: manifest.into(),
        realm,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        lesson: cutting.origin.lesson.unwrap_or(0),
        at_ms: cutting.origin.at_ms,
    })
}

pub(super) fn state(checkpoint: &Checkpoint) -> Kind {
    let Checkpoint { header, state } = checkpoint;
    Kind::State(SoulFileState {
        schema: header.schema.clone(),
        state: state.clone(),
        random: header.random.words().to_vec(),
        topics: header.topics.iter().map(ToString::to_string).collect(),
    })
}

pub(super) fn entry(kept: &Kept) -> Kind {
    let part = match kept.part {
        Part::Own => SoulFilePart::Own,
        Part::Memory => SoulFilePart::Memory,
        Part::Lessons => SoulFilePart::Lessons,
        Part::Learnt => SoulFilePart::Learnt,
        Part::Log => SoulFilePart::Log,
        Part::Experience => SoulFilePart::Experience,
    };
    Kind::Entry(SoulFileEntry { part: part.into(), key: kept.key.clone(), value: kept.value.clone() })
}

/// What a file said of a Soul, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Said {
    header: Option<(Manifest, SoulFileHeader)>,
    state: Option<SoulFileState>,
    kept: Vec<Kept>,
}

impl Said {
    /// Its manifest, which comes first.
    pub(super) fn manifest(&self) -> Option<&Manifest> {
        self.header.as_ref().map(|(manifest, _)| manifest)
    }

    pub(super) fn header(&mut self, header: SoulFileHeader) -> Result<(), PortableError> {
        let manifest = serde_json::from_slice(&header.manifest);
        let manifest: Manifest = manifest.map_err(|error| wrong("the manifest", error.to_string()))?;
        if header.realm.len() > REALM_BYTES_MAX {
            return Err(wrong("the realm", format!("has more than {REALM_BYTES_MAX} bytes")));
        }
        self.header = Some((manifest, header));
        Ok(())
    }

    pub(super) fn state(&mut self, state: SoulFileState) {
        self.state = Some(state);
    }

    /// Takes an entry, and tells how many bytes it takes.
    pub(super) fn entry(&mut self, entry: SoulFileEntry) -> Result<usize, PortableError> {
        let part = match entry.part() {
            SoulFilePart::Unspecified => return Err(wrong("an entry", "is of no known part".to_owned())),
            SoulFilePart::Own => Part::Own,
            SoulFilePart::Memory => Part::Memory,
            SoulFilePart::Lessons => Part::Lessons,
            SoulFilePart::Learnt => Part::Learnt,
            SoulFilePart::Log => Part::Log,
            SoulFilePart::Experience => Part::Experience,
        };
        let is_there = || self.kept.iter().any(|kept| kept.part == part);
        if part.is_record() && (!entry.key.is_empty() || is_there()) {
            return Err(wrong("an entry", "of a single record comes twice, or has a key".to_owned()));
        }
        // Values would hold the whole piece that they came in.
        let (key, value) = (Bytes::copy_from_slice(&entry.key), Bytes::copy_from_slice(&entry.value));
        let kept = Kept { part, key, value };
        let size = kept.size();
        self.kept.push(kept);
        Ok(size)
    }

    /// The Soul that it says, with limits that hold for it here, and states of at most `max` bytes.
    pub(super) fn cutting(self, limits: &Limits, max: usize) -> Result<Cutting, PortableError> {
        let (manifest, header) = self.header.ok_or_else(|| wrong("the manifest", "is missing".to_owned()))?;
        let checkpoint = self.state.map(|state| checkpoint(&manifest, state, max)).transpose()?;
        let mut kept = self.kept;
        learning::check_kept(&manifest.name, &kept, max).map_err(|reason| wrong("what it learnt", reason))?;
        learning::carry(&manifest.name, &mut kept, None)?;
        let quota = Quota { episodes: limits.episodes, bytes: limits.episodes_bytes };
        let memory = kept.iter().filter(|kept| kept.part == Part::Memory);
        let memory = memory.map(|kept| (&kept.key, &kept.value));
        memory::check_kept(memory, quota).map_err(|error| wrong("what it remembers", error.to_string()))?;
        let state = checkpoint.as_ref().map_or_else(|| Digest::of(b""), |it| it.header.state);
        let origin = Ancestor {
            soul: manifest.name.clone(),
            realm: header.realm,
            lesson: (header.lesson > 0).then_some(header.lesson),
            state,
            at_ms: header.at_ms,
        };
        Ok(Cutting { manifest, checkpoint, kept, origin })
    }
}

fn checkpoint(manifest: &Manifest, said: SoulFileState, max: usize) -> Result<Checkpoint, PortableError> {
    let bad = |reason: &str| wrong("the state", reason.to_owned());
    let SoulFileState { schema, state, random, topics } = said;
    if state.len() > max {
        return Err(wrong("the state", CheckpointError::TooLarge(state.len(), max).to_string()));
    }
    if schema.len() > SCHEMA_BYTES_MAX || topics.len() > TOPICS_MAX {
        return Err(bad("has a layout with too long a name, or too many topics"));
    }
    let random = <[u64; 4]>::try_from(random).map_err(|_| bad("needs four words of chance"))?;
    let random = random::Ctx::of(random).ok_or_else(|| bad("has a source of chance that gives nothing"))?;
    let topic = |text: &String| text.parse::<TopicName>().map_err(|_| bad("names a topic that is none"));
    let topics = topics.iter().map(topic).collect::<Result<Vec<_>, _>>()?;
    for topic in &topics {
        manifest.grants.may_subscribe(topic).map_err(|reason| wrong("the state", reason))?;
    }
    let header = Header {
        schema,
        component: manifest.component,
        state: Digest::of(&state),
        parent: None,
        at_ms: clock::now_ms(),
        random,
        topics,
        acted: Default::default(),
    };
    Ok(Checkpoint { header, state: Bytes::copy_from_slice(&state) })
}

pub(super) fn wrong(what: &'static str, reason: String) -> PortableError {
    PortableError::Wrong(what, reason.chars().take(300).collect())
}

#[cfg(test)]
mod tests;
