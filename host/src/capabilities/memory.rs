//! `matrix:node/memory`: what a Soul remembers.

use std::time::Duration;

use serde_json::json;
use wasmtime::component::{HasData, Linker};

use super::quota::Quota;
use super::rehearsal::Deed;
use crate::memory::{self, Changes, Keeping, MadeRoom, Memory, MemoryError};
use crate::runtime::bindings::matrix::node::memory::{
    self as wit, Cue, Episode, Extent, Impression, MemoryError as WitError, Recollection,
};
use crate::runtime::state::{GuestState, TooLate};
use crate::telemetry::metrics::TotalBy;
use crate::transport::bus::{Bus, Source};

/// What this guest remembers.
#[derive(Debug)]
pub struct Ctx {
    memory: Memory,
    granted: bool,
    quota: Quota,
    bus: Bus,
    source: Source,
    counted: TotalBy,
}

impl Ctx {
    /// For a guest with this memory, if it is `granted`, and so many operations on it in a second. What becomes of episodes
    /// is counted by `counted`, and where that is for want of room, told to `bus` under the name of `source`.
    pub fn new(
        memory: Memory,
        granted: bool,
        per_second: u32,
        (bus, source): (Bus, Source),
        refused: &TotalBy,
        counted: &TotalBy,
    ) -> Self {
        let quota = Quota::new("memory_per_second", per_second, refused);
        Self { memory, granted, quota, bus, source, counted: counted.clone() }
    }

    /// What is remembered; changes of it are reported by whoever makes them.
    pub(crate) fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Keeps what changes with the turn, from now on.
    pub(crate) fn hold(&mut self) {
        self.memory.keeping = Keeping::WithTurn;
    }

    /// Takes what changed in this turn.
    pub(crate) fn take_held(&mut self) -> Result<Option<Changes>, crate::kv::KvError> {
        self.memory.take_held()
    }
}

/// Tells what became of a Soul's episodes for want of room.
pub(crate) fn report(bus: &Bus, source: &Source, counted: &TotalBy, room: &MadeRoom) {
    let MadeRoom { forgotten, merged } = room;
    let merges: Vec<_> = merged.iter().map(|merge| json!({ "id": merge.id, "into": merge.into })).collect();
    for (what, count, kind, episodes) in [
        ("consolidated", merged.len(), "soul.memory.consolidated", json!(merges)),
        ("forgotten", forgotten.len(), "soul.memory.forgotten", json!(forgotten)),
    ] {
        if count > 0 {
            counted.add(what, count as u64);
            bus.report(kind, source.clone(), &json!({ "episodes": episodes }));
        }
    }
}

/// One call's view of the guest.
pub struct View<'a>(&'a mut GuestState);

struct OfSouls;

impl HasData for OfSouls {
    type Data<'a> = View<'a>;
}

/// Lets components import the interface.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, OfSouls>(linker, |state| View(state))
}

/// Returns the guest's error from a host function that answers `Ok(Err(...))`.
macro_rules! attempt {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

type Entered = Result<(Box<Ctx>, u64), WitError>;

impl View<'_> {
    /// Takes the memory, to be [given back](View::leave), if one more operation on it is allowed, and tells the time.
    /// `deed` is what the operation changes, if anything: a guest that is only tried has it written down.
    fn enter(&mut self, deed: Option<&dyn Fn() -> Deed>) -> wasmtime::Result<Entered> {
        let none = || wasmtime::Error::msg("memory is for Souls only");
        let mut ctx = self.0.capabilities.memory.take().ok_or_else(none)?;
        let now_ms = self.0.moment.now_ms;
        let allowed = if !ctx.granted {
            Err(WitError::Denied("no grant: set `grants.memory = true` in the Soul's manifest".into()))
        } else if now_ms == 0 {
            Err(WitError::Unavailable(
                "nothing happens to the Soul: it remembers while it handles a message or plays a tick".into(),
            ))
        } else if !ctx.quota.take() {
            Err(WitError::QuotaExceeded)
        } else if deed.is_some_and(|deed| self.0.noted(deed) == Some(false)) {
            Err(WitError::Invalid("a rehearsal writes no more than this down".into()))
        } else {
            Ok(())
        };
        if let Err(refusal) = allowed {
            self.0.usage.refused();
            self.leave(ctx);
            return Ok(Err(refusal));
        }
        self.0.usage.used_kv();
        if self.0.rehearsal.is_some() {
            ctx.memory.keeping = Keeping::Never;
        }
        // What waits for the turn is not seen before it.
        self.0.acted |= deed.is_some() && ctx.memory.keeping == Keeping::AtOnce;
        Ok(Ok((ctx, now_ms)))
    }

    fn leave(&mut self, ctx: Box<Ctx>) {
        self.0.capabilities.memory = Some(ctx);
    }

    /// Waits for the memory, and no longer than somebody waits for the guest. What is given up may be done all the same.
    async fn wait<T>(&mut self, future: impl Future<Output = Result<T, MemoryError>>) -> Result<T, WitError> {
        let late = |_| WitError::Unavailable(TooLate.to_string());
        let most = self.0.moment.at_most(Duration::MAX).map_err(late)?;
        let bounded = async {
            match most {
                Duration::MAX => Ok(future.await),
                left => tokio::time::timeout(left, future).await.map_err(|_| TooLate),
            }
        };
        self.0.wait(bounded).await.map_err(late)?.map_err(refusal)
    }
}

impl wit::Host for View<'_> {
    async fn remember(
        &mut self,
        impression: Impression,
        instead_of: Vec<u64>,
    ) -> wasmtime::Result<Result<u64, WitError>> {
        let Impression { text, importance, tags, embedding } = impression;
        let impression = memory::Impression { text, importance, tags, embedding };
        attempt!(impression.check().map_err(refusal));
        let deed = || Deed::Remember(impression.text.clone(), instead_of.clone());
        let (mut ctx, now_ms) = attempt!(self.enter(Some(&deed))?);
        let remembered = self.wait(ctx.memory.remember(&impression, now_ms, &instead_of)).await;
        if let Ok(remembered) = &remembered
            && ctx.memory.keeping != Keeping::Never
        {
            ctx.counted.add("remembered", 1);
            if ctx.memory.keeping == Keeping::AtOnce {
                report(&ctx.bus, &ctx.source, &ctx.counted, &remembered.room);
            }
        }
        self.leave(ctx);
        Ok(remembered.map(|remembered| remembered.id))
    }

    async fn recall(
        &mut self,
        cue: Cue,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<Recollection>, WitError>> {
        let cue = memory::Cue { text: cue.text, embedding: cue.embedding };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut ctx, now_ms) = attempt!(self.enter(None)?);
        let recalled = self.wait(ctx.memory.recall(&cue, now_ms, limit)).await;
        ctx.counted.add("recalled", recalled.as_ref().map_or(0, |recalled| recalled.len() as u64));
        self.leave(ctx);
        Ok(recalled.map(|recalled| recalled.into_iter().map(recollection).collect()))
    }

    async fn forget(&mut self, id: u64) -> wasmtime::Result<Result<bool, WitError>> {
        let (mut ctx, _) = attempt!(self.enter(Some(&|| Deed::Forget(id)))?);
        let forgotten = self.wait(ctx.memory.forget(&[id])).await;
        let dropped = forgotten.as_ref().is_ok_and(|forgotten| !forgotten.is_empty());
        ctx.counted.add("dropped", (dropped && ctx.memory.keeping != Keeping::Never).into());
        self.leave(ctx);
        Ok(forgotten.map(|_| dropped))
    }

    async fn usage(&mut self) -> wasmtime::Result<Result<Extent, WitError>> {
        let (mut ctx, _) = attempt!(self.enter(None)?);
        let usage = self.wait(ctx.memory.usage()).await;
        self.leave(ctx);
        Ok(usage.map(|memory::Extent { episodes, bytes, quota }| Extent {
            episodes,
            episodes_max: quota.episodes,
            bytes,
            bytes_max: quota.bytes,
        }))
    }
}

fn recollection(found: memory::Recollection) -> Recollection {
    let memory::Episode { id, span, recalled_at_ms, impression } = found.episode;
    let memory::Impression { text, importance, tags, .. } = impression;
    let memory::Span { at_ms: at, last_at_ms: last_at, times } = span;
    let episode = Episode { id, at, recalled_at: recalled_at_ms, text, importance, tags, times, last_at };
    Recollection { episode, score: found.score }
}

fn refusal(error: MemoryError) -> WitError {
    match error {
        MemoryError::Invalid(problem) => WitError::Invalid(problem),
        other => WitError::Unavailable(other.to_string()),
    }
}
