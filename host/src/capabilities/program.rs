//! `matrix:node/program`: what an interpreter runs, as it stands in its own component's file.

use bytes::Bytes;
use wasmtime::component::{HasData, Linker};

use crate::runtime::bindings::matrix::node::program;
use crate::runtime::state::GuestState;

/// One call's view of the guest.
pub struct View<'a>(&'a Bytes);

struct Program;

impl HasData for Program {
    type Data<'a> = View<'a>;
}

/// Lets components import the interface.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    program::add_to_linker::<_, Program>(linker, |state| View(&state.program))
}

impl program::Host for View<'_> {
    fn read(&mut self) -> wasmtime::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }
}
