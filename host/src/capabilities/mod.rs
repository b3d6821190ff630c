//! What a guest may ask for: one file for each WIT interface, with the same four items in the same
//! order: `Ctx` (what this one guest may do, resolved from its grants when it is born), `View`
//! (one call's access to it), `add_to_linker`, and `impl Host`.
//!
//! The set is closed. What a component imports beyond it is refused before anything runs.

pub mod cli;
pub mod clocks;
pub mod config;
pub mod events;
pub mod filesystem;
pub mod grants;
pub mod grpc;
pub mod http;
pub mod io;
pub mod keyvalue;
pub mod logging;
pub mod memory;
pub mod messaging;
pub mod program;
pub(crate) mod quota;
pub mod random;
pub mod rehearsal;
pub mod types;

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::runtime::limits::Limits;
use crate::runtime::state::GuestState;
use crate::telemetry::metrics::TotalBy;
use crate::transport::bus::{Bus, Source};

/// Everything that one guest may do.
#[derive(Debug)]
pub struct Capabilities {
    /// Messages; none for rules and interceptors.
    pub messaging: Option<messaging::Ctx>,
    /// Buckets of the KV; none for rules.
    pub keyvalue: Option<keyvalue::Ctx>,
    /// What it remembers; none for rules and interceptors. Seldom used, and large.
    pub memory: Option<Box<memory::Ctx>>,
    /// Services outside the realm; none for rules and interceptors. Seldom used, too.
    pub grpc: Option<Box<grpc::Ctx>>,
    /// Hosts outside the realm; none for rules and interceptors. Seldom used, too.
    pub http: Option<Box<http::Ctx>>,
    /// The event bus.
    pub events: events::Ctx,
    /// The guest's log.
    pub logging: logging::Ctx,
    /// The guest's settings.
    pub config: config::Ctx,
    /// The guest's stdio.
    pub cli: cli::Ctx,
    /// The guest's source of chance.
    pub random: random::Ctx,
}

impl Capabilities {
    /// Those of a guest that reaches nobody and keeps nothing: it has no settings, draws from the seed 0, writes to `log`,
    /// and tells events as `source`, at most `told` a second; none: it may not.
    pub fn alone(
        bus: Bus,
        source: Source,
        told: Option<u32>,
        log: Arc<logging::GuestLog>,
        refused: &TotalBy,
    ) -> Self {
        Self {
            messaging: None,
            keyvalue: None,
            memory: None,
            grpc: None,
            http: None,
            events: events::Ctx::new(bus, source, told, log.clone(), refused),
            logging: logging::Ctx::new(log.clone()),
            config: config::Ctx::default(),
            cli: cli::Ctx::new(log),
            random: random::Ctx::new(0),
        }
    }

    /// What a guest logs and tells is heard from now on, as far as its limits allow.
    pub(crate) fn hear(&mut self, limits: &Limits) {
        self.logging.allow(limits.log_lines_per_second);
        self.events.allow(limits.events_per_second);
    }
}

/// A linker that provides every interface of this room; `wasi:http`, and a `wasi:io` that waits, to those that send requests.
pub(crate) fn linker(engine: &Engine, sends_requests: bool) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker(&mut linker)?;
    messaging::add_to_linker(&mut linker)?;
    memory::add_to_linker(&mut linker)?;
    grpc::add_to_linker(&mut linker)?;
    events::add_to_linker(&mut linker)?;
    logging::add_to_linker(&mut linker)?;
    config::add_to_linker(&mut linker)?;
    program::add_to_linker(&mut linker)?;
    keyvalue::add_to_linker(&mut linker)?;
    cli::add_to_linker(&mut linker)?;
    clocks::add_to_linker(&mut linker)?;
    filesystem::add_to_linker(&mut linker)?;
    if sends_requests {
        http::io::add_to_linker(&mut linker)?;
        http::add_to_linker(&mut linker)?;
    } else {
        io::add_to_linker(&mut linker)?;
    }
    random::add_to_linker(&mut linker)?;
    Ok(linker)
}
