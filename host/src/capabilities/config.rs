//! `wasi:config/store`: the guest's own settings, as its manifest gives them.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

use crate::runtime::bindings::wasi::config::store::{self, Error};
use crate::runtime::state::GuestState;

/// The settings of this guest.
#[derive(Debug, Clone, Default)]
pub struct Ctx {
    settings: Arc<BTreeMap<String, String>>,
}

impl Ctx {
    /// For a guest with these settings.
    pub fn new(settings: Arc<BTreeMap<String, String>>) -> Self {
        Self { settings }
    }
}

/// One call's view of the guest.
pub struct View<'a>(&'a Ctx);

struct Config;

impl HasData for Config {
    type Data<'a> = View<'a>;
}

/// Lets components import the interface.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Config>(linker, |state| View(&state.capabilities.config))
}

impl store::Host for View<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        Ok(Ok(self.0.settings.get(&key).cloned()))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        Ok(Ok(self.0.settings.iter().map(|(key, value)| (key.clone(), value.clone())).collect()))
    }
}
