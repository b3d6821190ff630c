//! Wasm: from uploaded bytes to live instances.
//!
//! Bytes are read ([`inspect`]), compiled in a child process, kept, and joined to the host's
//! interfaces ([`component`]); an instance lives in a store of its own ([`guest`]), entered through
//! the typed worlds ([`soul`], [`rules`], [`stage`]). Only here and in `capabilities/` is wasmtime known.

pub mod batch;
pub mod bindings;
pub(crate) mod budget;
pub mod cache;
pub mod catalog;
pub mod chain;
pub mod code;
pub mod compile;
pub mod component;
pub mod components;
pub mod engine;
pub mod exchange;
mod functions;
pub mod guest;
pub mod inspect;
pub mod interceptors;
pub mod learner;
pub mod limits;
pub mod memory;
pub mod pace;
mod packing;
pub mod rules;
mod shared;
pub mod signatures;
pub mod soul;
pub(crate) mod stage;
pub mod state;
pub mod stateful;
pub mod store;
pub mod usage;
