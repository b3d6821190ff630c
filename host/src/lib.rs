//! The Matrix OS node: a minimal host of Wasm components.
//!
//! The rooms, from the door down; nothing below names anything above.
//!
//! - [`admin`]: the operator's door, gRPC and HTTP.
//! - [`backup`]: a realm in one file.
//! - [`matrices`]: running Matrices; [`learning`]: Souls that are trained; [`souls`]: living Souls.
//! - [`runtime`]: from uploaded bytes to live instances; [`capabilities`]: what these may ask for.
//! - [`portable`]: Souls that begin as others are, here or by way of a file.
//! - [`bench`]: components one at a time, outside any realm.
//! - [`realm`]: the nodes that share one KV.
//! - [`transport`]: where a message goes, and the event bus.
//! - [`kv`]: the replicated key-value store; [`p2p`]: the other nodes.
//! - [`rollout`]: new code for many users, a few first.
//! - [`telemetry`], [`ids`], [`tasks`], [`clock`]: below all.
//!
//! A message: `capabilities::messaging` → `transport::router` → `transport::mailbox` → `souls::actor` →
//! `runtime::soul`. A tick: `matrices` → `souls` → `runtime::soul`, then `runtime::rules`. [`node`] joins
//! the rooms, and is the only file that names them all.

/// Messages are many small blocks that one thread makes and another frees, which this allocator is built for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod node;

pub mod admin;
pub mod config;

pub mod backup;
pub mod bench;
pub mod portable;

pub mod learning;
pub mod matrices;
pub mod souls;

pub mod capabilities;
pub mod runtime;

pub mod memory;
pub mod realm;
pub mod transport;

pub mod kv;
pub mod p2p;

pub mod clock;
pub mod ids;
pub mod rollout;
pub mod tasks;
pub mod telemetry;
