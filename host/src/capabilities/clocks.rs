//! `wasi:clocks`: a guest's time is that of the message it handles, and stands still meanwhile.

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, subscribe};

use super::io::AlwaysReady;
use crate::runtime::state::GuestState;

const NANOS_PER_MS: u64 = 1_000_000;

/// The moment that the guest is in.
#[derive(Debug)]
pub struct Ctx<'a> {
    now_ms: u64,
    table: &'a mut ResourceTable,
}

/// One call's view of the guest.
pub struct View<'a>(Ctx<'a>);

struct Clocks;

impl HasData for Clocks {
    type Data<'a> = View<'a>;
}

/// Lets components import the interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wall_clock::add_to_linker::<_, Clocks>(linker, view)?;
    monotonic_clock::add_to_linker::<_, Clocks>(linker, view)
}

fn view(state: &mut GuestState) -> View<'_> {
    View(Ctx { now_ms: state.moment.now_ms, table: &mut state.table })
}

impl wall_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let ms = self.0.now_ms;
        let nanoseconds = (ms % 1000 * NANOS_PER_MS) as u32;
        Ok(wall_clock::Datetime { seconds: ms / 1000, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: NANOS_PER_MS as u32 })
    }
}

/// Nothing here waits: time does not pass while a message is handled, so a timer that was waited for
/// would never fire. It fires at once instead.
impl monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.0.now_ms.saturating_mul(NANOS_PER_MS))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(NANOS_PER_MS)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let timer = self.0.table.push(AlwaysReady)?;
        subscribe(self.0.table, timer)
    }

    fn subscribe_duration(&mut self, _length: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(0)
    }
}
