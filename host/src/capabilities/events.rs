//! `matrix:node/events`: what a guest tells the world.

use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

use super::logging::GuestLog;
use super::quota::Quota;
use super::rehearsal::Deed;
use super::types;
use crate::clock;
use crate::runtime::bindings::matrix::node::events;
use crate::runtime::bindings::matrix::node::types::Content;
use crate::runtime::state::GuestState;
use crate::telemetry::logs::LogLevel;
use crate::telemetry::metrics::TotalBy;
use crate::transport::bus::{Bus, Source};

/// The most bytes in the kind of an event.
pub const KIND_BYTES_MAX: usize = 64;

/// Where this guest's events go.
#[derive(Debug)]
pub struct Ctx {
    bus: Bus,
    source: Source,
    granted: bool,
    quota: Quota,
    log: Arc<GuestLog>,
}

impl Ctx {
    /// For a guest whose events carry `source`, and who is told in `log` what was dropped. `granted` is how
    /// many it may publish in a second; none: it has no grant.
    pub fn new(
        bus: Bus,
        source: Source,
        granted: Option<u32>,
        log: Arc<GuestLog>,
        refused: &TotalBy,
    ) -> Self {
        let quota = Quota::new("events_per_second", granted.unwrap_or(0), refused);
        Self { bus, source, granted: granted.is_some(), quota, log }
    }

    /// Lets so many events a second be heard from now on.
    pub(crate) fn allow(&mut self, per_second: u32) {
        self.quota.allow(per_second);
    }
}

/// One call's view of the guest.
pub struct View<'a>(&'a mut GuestState);

struct Events;

impl HasData for Events {
    type Data<'a> = View<'a>;
}

/// Lets components import the interface.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    events::add_to_linker::<_, Events>(linker, |state| View(state))
}

impl events::Host for View<'_> {
    fn emit(&mut self, kind: String, content: Content) -> wasmtime::Result<()> {
        let ctx = &mut self.0.capabilities.events;
        if !ctx.granted {
            return Err(wasmtime::Error::msg("no grant: set `grants.events = true` in the Soul's manifest"));
        }
        let named = kind.len() <= KIND_BYTES_MAX
            && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
        if !named || !ctx.quota.take() {
            ctx.log.note_refusal();
            let reason = "its kind is no dotted name, or `limits.events_per_second` was reached";
            ctx.log.write(LogLevel::Warn, &format!("an event was dropped: {reason}"));
            return Ok(());
        }
        let content = types::content_from_guest(content);
        if self.0.noted(|| Deed::Emit(kind.clone(), content.clone())).is_some() {
            return Ok(());
        }
        let ctx = &self.0.capabilities.events;
        ctx.bus.publish(format!("guest.{kind}"), ctx.source.clone(), content, clock::now_ms());
        Ok(())
    }
}
