//! What the host keeps for one guest: the `T` of its `Store<T>`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::component::ResourceTable;

use super::budget::Budget;
use super::limits::{HANDLES_MAX, Limiter, Limits};
use super::pace::Lane;
use super::usage::Usage;
use crate::capabilities::Capabilities;
use crate::capabilities::rehearsal::{Deed, Rehearsal};
use crate::clock;
use crate::transport::envelope::TraceContext;

/// What a guest knows of the moment: fixed for the length of one entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// The time that the guest sees, in milliseconds since the Unix epoch: that of the message it handles.
    pub now_ms: u64,
    /// How many messages led here.
    pub hops: u16,
    /// The trace that what it does belongs to.
    pub trace: Option<TraceContext>,
    /// When nobody waits for what it does any more; none: it may take its time.
    pub deadline: Option<Instant>,
}

impl Moment {
    /// How long the guest may wait for something: `most`, or what is left until the deadline where that is less.
    ///
    /// # Errors
    /// [`TooLate`], where nothing is left.
    pub(crate) fn at_most(&self, most: Duration) -> Result<Duration, TooLate> {
        let Some(deadline) = self.deadline else { return Ok(most) };
        match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(TooLate),
            left => Ok(left.min(most)),
        }
    }
}

/// The deadline of what a guest handles has passed: who asked for it has given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the deadline of the message that is being handled has passed: nobody waits for this any more")]
pub(crate) struct TooLate;

/// The host's side of one guest.
pub struct GuestState {
    pub(crate) limiter: Limiter,
    pub(crate) budget: Budget,
    /// Where the entry runs.
    pub(crate) lane: Lane,
    /// It is called on threads for slow guests, however quick it is, and what it takes says nothing of its component.
    pub(crate) apart: bool,
    /// Its time is over: wasmtime's error does not say so.
    pub(crate) overrun: bool,
    /// It did something in this entry that others can see.
    pub(crate) acted: bool,
    /// It called somebody outside the realm in this entry: what came of that is not part of its turn.
    pub(crate) called: bool,
    pub(crate) table: ResourceTable,
    pub(crate) moment: Moment,
    pub(crate) capabilities: Capabilities,
    /// What its component carries, where that is an interpreter.
    pub(crate) program: Bytes,
    pub(crate) call_fuel: u64,
    pub(crate) body_bytes_max: usize,
    /// What it does is written down instead, while it is only tried.
    pub(crate) rehearsal: Option<Rehearsal>,
    /// What it uses.
    pub(crate) usage: Arc<Usage>,
    /// The wall clock, as it was read last in this entry and this epoch.
    now_ms: Option<u64>,
}

impl GuestState {
    /// The state of a guest about to be born.
    pub fn new(limits: &Limits, capabilities: Capabilities) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        Self {
            limiter: Limiter::new(limits.memory_bytes),
            budget: Budget::new(Duration::from_millis(limits.call_ms.into())),
            lane: Lane::Direct,
            apart: false,
            overrun: false,
            acted: false,
            called: false,
            table,
            moment: Moment::default(),
            capabilities,
            program: Bytes::new(),
            call_fuel: limits.call_fuel,
            body_bytes_max: limits.body_bytes as usize,
            rehearsal: None,
            usage: Arc::default(),
            now_ms: None,
        }
    }

    /// Tries the guest only, from now on. `asks`: its questions are asked all the same.
    pub(crate) fn rehearse(&mut self, asks: bool) {
        self.rehearsal = Some(Rehearsal::new(asks));
    }

    /// What it did while it was only tried; from now on it is in earnest.
    pub(crate) fn perform(&mut self) -> Vec<Deed> {
        self.rehearsal.take().map(|rehearsal| rehearsal.take()).unwrap_or_default()
    }

    /// Writes a deed down where the guest is only tried. None: it is to be done. False: there are too many.
    pub(crate) fn noted(&mut self, deed: impl FnOnce() -> Deed) -> Option<bool> {
        self.rehearsal.as_ref().map(|rehearsal| rehearsal.note(deed()))
    }

    /// The guest is called where it is in nobody's way: on threads for slow guests, from its birth on.
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// What the guest uses is counted by `usage` from now on, and what its log drops.
    #[must_use]
    pub fn counted_by(mut self, usage: &Arc<Usage>) -> Self {
        self.count_by(usage);
        self
    }

    /// [`GuestState::counted_by`], for one that lives already.
    pub(crate) fn count_by(&mut self, usage: &Arc<Usage>) {
        self.limiter.count_by(usage.clone());
        self.capabilities.logging.count_by(usage);
        self.usage = usage.clone();
    }

    /// The wall clock in milliseconds since the Unix epoch, at most an epoch of the engine ago: a guest that sends much
    /// does not read it for every message. For what leaves the guest; the guest itself sees [`Moment::now_ms`].
    pub(crate) fn now_ms(&mut self) -> u64 {
        *self.now_ms.get_or_insert_with(clock::now_ms)
    }

    /// Time has passed: the clock is read again when it is needed.
    pub(crate) fn time_passed(&mut self) {
        self.now_ms = None;
    }

    /// Waits for `future` on the guest's behalf: the time does not count against its budget.
    pub(crate) async fn wait<F: Future>(&mut self, future: F) -> F::Output {
        self.budget.pause();
        let output = future.await;
        self.budget.resume();
        self.time_passed();
        output
    }
}

impl std::fmt::Debug for GuestState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestState").field("limiter", &self.limiter).field("moment", &self.moment).finish()
    }
}
