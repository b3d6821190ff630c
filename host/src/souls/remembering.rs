//! What people do with a Soul's memory: they look at it from any node, and change it where the Soul lives, between two of
//! its turns.

use std::time::Duration;

use matrix_proto::wire as proto;

use super::actor::Actor;
use super::error::SoulError;
use super::fleet::Fleet;
use super::host::Host;
use super::jobs::Job;
use super::manifest::{Manifest, ManifestError};
use super::placed::{self, Placed};
use super::records::{self, Wanted};
use super::registry::Souls;
use super::wire::{Answer, Question, unexpected, write};
use crate::capabilities::memory::report;
use crate::clock;
use crate::ids::SoulName;
use crate::kv::KvError;
use crate::memory::{
    self, Cue, Episode, Impression, Keeping, MadeRoom, Memory, MemoryError, Merge, Place, Quota,
    Recollection, Span,
};
use crate::runtime::limits::Limits;
use crate::transport::bus::Source;

/// The most episodes that are forgotten at once.
pub const FORGOTTEN_MAX: usize = 1_000;
/// How long a Soul's node may take: the turn under way ends first.
const WITHIN: Duration = Duration::from_secs(60);

/// A change that somebody wants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edit {
    /// Something to remember.
    pub remember: Option<Impression>,
    /// When that happened; none: now. What is to come counts as now.
    pub span: Option<Span>,
    /// Episodes to forget.
    pub forget: Vec<u64>,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edited {
    /// Names what is remembered now; none: nothing was to be.
    pub id: Option<u64>,
    /// What was forgotten, of what was to be.
    pub forgotten: Vec<u64>,
    /// What became of others for want of room.
    pub room: MadeRoom,
}

impl Edit {
    async fn make(&self, memory: &mut Memory, host: &Host, soul: &SoulName) -> Result<Edited, MemoryError> {
        let counted = &host.metrics.souls.memory;
        let forgotten = memory.forget(&self.forget).await?;
        counted.add("dropped", forgotten.len() as u64);
        let mut edited = Edited { forgotten, ..Edited::default() };
        if let Some(impression) = &self.remember {
            let now_ms = clock::now_ms();
            let span = self.span.map_or(Span::once(now_ms), |span| span.until(now_ms));
            let remembered = memory.remember_of(impression, (span, now_ms), &[]).await?;
            counted.add("remembered", 1);
            report(&host.bus, &Source::Soul(soul.clone()), counted, &remembered.room);
            (edited.id, edited.room) = (Some(remembered.id), remembered.room);
        }
        Ok(edited)
    }
}

impl Host {
    /// The memory of a Soul that lives at `placed`, with these limits.
    pub(super) fn memory(
        &self,
        manifest: &Manifest,
        limits: &Limits,
        placed: Placed,
    ) -> Result<Memory, KvError> {
        let fence = placed.condition(&self.kv, &manifest.name)?;
        let place = Place::new(self.kv.clone(), &manifest.name, fence);
        let quota = Quota { episodes: limits.episodes, bytes: limits.episodes_bytes };
        Ok(Memory::new(place, quota, manifest.memory))
    }
}

impl Actor {
    /// Changes the memory for somebody.
    pub(crate) async fn edit_memory(&mut self, edit: Edit) -> Result<Edited, MemoryError> {
        let holds = |actor: &mut Self| actor.memory().is_some_and(|memory| memory.holds());
        if holds(self)
            && let Err(reason) = Box::pin(self.save_turn()).await
        {
            return Err(KvError::Unavailable(reason).into());
        }
        let (host, manifest) = (self.host.clone(), self.manifest.clone());
        let mut unread = host.memory(&manifest, &self.limits, self.placed)?;
        let memory = self.memory().unwrap_or(&mut unread);
        let keeping = std::mem::replace(&mut memory.keeping, Keeping::AtOnce);
        let edited = edit.make(memory, &host, &manifest.name).await;
        memory.keeping = keeping;
        edited
    }

    /// Tells the KV when episodes were recalled last.
    pub(crate) async fn tell_memory(&mut self) {
        let Some(memory) = self.memory() else { return };
        if let Err(error) = memory.tell().await {
            tracing::debug!(soul = %self.manifest.name, %error, "when episodes were recalled is not kept yet");
        }
    }

    /// Tells what became of episodes for want of room.
    pub(crate) fn report_room(&mut self, room: &MadeRoom) {
        let host = self.host.clone();
        report(&host.bus, &Source::Soul(self.manifest.name.clone()), &host.metrics.souls.memory, room);
    }

    /// The memory of the instance that lives.
    fn memory(&mut self) -> Option<&mut Memory> {
        let state = self.life.instance()?.state();
        state.capabilities.memory.as_mut().map(|ctx| ctx.memory())
    }
}

impl Souls {
    /// Changes the memory of a Soul of this node, between two of its turns; of one that is stopped too.
    ///
    /// # Errors
    /// `Unknown`, `Memory`.
    pub async fn edit_memory(&self, soul: &SoulName, edit: Edit) -> Result<Edited, SoulError> {
        let ordered = edit.clone();
        if let Some(edited) = self.ask(soul, |reply| Job::Remember(Box::new(ordered), reply)).await {
            return Ok(edited?);
        }
        let lock = self.lock(soul);
        let _only = lock.lock().await;
        let handle = self.handle(soul).ok_or_else(|| SoulError::Unknown(soul.clone()))?;
        let (host, manifest) = (self.host(), &handle.manifest);
        let limits = manifest.check(&host.limits)?;
        let mut memory = host.memory(manifest, &limits, handle.placed).map_err(MemoryError::Kv)?;
        Ok(edit.make(&mut memory, host, soul).await?)
    }
}

impl Fleet {
    /// At most `limit` episodes of a Soul after the one called `after`, oldest first.
    ///
    /// # Errors
    /// `Unknown`, `Memory`.
    pub async fn episodes(
        &self,
        soul: &SoulName,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Episode>, SoulError> {
        self.remembering(soul).await?;
        Ok(memory::list(&self.here().host().kv, soul, after, limit).await?)
    }

    /// What a Soul would recall now, and how much it may remember and does; nothing gets fresher by it.
    ///
    /// # Errors
    /// `Unknown`, `Memory`.
    pub async fn recall(
        &self,
        soul: &SoulName,
        cue: &Cue,
        limit: usize,
    ) -> Result<(Vec<Recollection>, memory::Extent), SoulError> {
        let (manifest, placed) = self.remembering(soul).await?;
        let host = self.here().host();
        // What another node allows may differ from what this one does.
        let limits = manifest.check(&host.limits).or_else(|error| match error {
            ManifestError::Limit(_) => Ok(host.limits.max.clone()),
            other => Err(other),
        })?;
        let mut memory = host.memory(&manifest, &limits, placed).map_err(MemoryError::Kv)?;
        let found = memory.recall(cue, clock::now_ms(), limit).await?;
        Ok((found, memory.usage().await?))
    }

    /// [`Souls::edit_memory`], wherever the Soul lives.
    ///
    /// # Errors
    /// As there, and `Away`.
    pub async fn edit_memory(&self, soul: &SoulName, edit: Edit) -> Result<Edited, SoulError> {
        let Some(node) = self.node_to_ask(soul).await? else {
            return self.here().edit_memory(soul, edit).await;
        };
        let Edit { remember, span, forget } = edit;
        let remember = remember.map(|impression| memory::episode(impression, span.unwrap_or(Span::once(0))));
        let edit = proto::MemoryEdit { soul: soul.to_string(), remember, forget };
        match self.ask(node, &write(Question::Remember(edit)), WITHIN).await? {
            Answer::Remembered(proto::MemoryEdited { id, forgotten, made_room, merged }) => {
                let merged = merged.into_iter().map(|proto::MemoryMerge { id, into }| Merge { id, into });
                let room = MadeRoom { forgotten: made_room, merged: merged.collect() };
                Ok(Edited { id: (id > 0).then_some(id), forgotten, room })
            }
            _ => Err(unexpected(node)),
        }
    }

    /// A Soul of the realm, and where it lives.
    async fn remembering(&self, soul: &SoulName) -> Result<(Manifest, Placed), SoulError> {
        let (kv, unknown) = (&self.here().host().kv, || SoulError::Unknown(soul.clone()));
        let record = records::load(kv, soul).await?.filter(|record| record.wanted != Wanted::Deleted);
        let placed = placed::load(kv, soul).await?.ok_or_else(unknown)?;
        Ok((record.ok_or_else(unknown)?.manifest, placed))
    }
}

/// Answers another node about a Soul of this one.
pub(super) async fn edit(
    souls: &Souls,
    soul: SoulName,
    asked: proto::MemoryEdit,
) -> Result<Answer, SoulError> {
    let (remember, span) = asked.remember.map(memory::said).unzip();
    let edit = Edit { remember, span: span.filter(|span| span.at_ms > 0), forget: asked.forget };
    let Edited { id, forgotten, room } = souls.edit_memory(&soul, edit).await?;
    let MadeRoom { forgotten: made_room, merged } = room;
    let merged = merged.into_iter().map(|Merge { id, into }| proto::MemoryMerge { id, into }).collect();
    Ok(Answer::Remembered(proto::MemoryEdited { id: id.unwrap_or(0), forgotten, made_room, merged }))
}
