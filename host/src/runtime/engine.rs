//! How wasmtime is set up: one engine a process, and the thread that keeps its time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::limits::{MEMORIES_MAX, TABLES_MAX};
use crate::telemetry::process;

/// How often the engine's epoch grows. A guest's deadline is noticed within one of these: short enough
/// that other Souls on the same thread do not stall, long enough that the ticker costs nothing.
pub const EPOCH: Duration = Duration::from_millis(2);

/// How much of a memory stays in RAM for the next instance, in bytes: what a small guest touches. A new page
/// costs the kernel more than clearing an old one. At most 64 memories wait like that.
const KEPT_BYTES: usize = 256 * 1024;

/// What the operator may set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// How many components may be in memory at once. Each takes about six of the kernel's memory
    /// mappings, of which a process has `vm.max_map_count` (65,530 unless raised).
    pub live_instances_max: u32,
    /// The most linear memory that any component may be given, in bytes.
    pub memory_bytes_max: u64,
    /// The most linear memory that all live instances may have together, in bytes: what would exceed it is
    /// refused. 0, the default: two thirds of what the machine has, or of what the node's control group
    /// may have where that is less, without 192 MiB for the node itself; the rest is for the KV, for mailboxes and for
    /// the system.
    pub guest_memory_bytes_max: u64,
    /// Stack of a guest, in bytes: deep recursion traps.
    pub stack_bytes: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            live_instances_max: 10_500,
            memory_bytes_max: 64 << 20,
            guest_memory_bytes_max: 0,
            stack_bytes: 512 * 1024,
        }
    }
}

impl EngineConfig {
    /// The most linear memory of all live instances, in bytes. Reads what the system tells, once.
    pub fn guest_memory_bytes(&self) -> u64 {
        match self.guest_memory_bytes_max {
            0 => process::room_bytes().map_or(u64::MAX, |room| room / 3 * 2),
            set => set,
        }
    }
}

/// How components are compiled: the same in the node and in the compile child.
pub fn config(settings: &EngineConfig) -> Config {
    let mut config = Config::new();
    // Lets a call into a guest that imports nothing that waits run on the caller's stack.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.consume_fuel(true);
    // The same bytes must give the same results on any machine.
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    // What no guest needs yet is a way in that nobody watches.
    config.wasm_gc(false);
    config.wasm_exceptions(false);
    config.wasm_function_references(false);
    config.gc_support(false);
    config.wasm_threads(false);
    config.wasm_memory64(false);
    config.wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable);
    config.max_wasm_stack(settings.stack_bytes);
    // Twice: a stage of the transport judges what a guest on a stack of its own sends, and has its own full measure.
    config.async_stack_size(2 * settings.stack_bytes + 512 * 1024);
    config.memory_init_cow(true);
    config
}

/// The engine that components live in. Its memory is reserved up front, so that an instance costs
/// no system call that takes the process's lock on its mappings.
pub fn engine(settings: &EngineConfig) -> wasmtime::Result<Engine> {
    let mut config = config(settings);
    config.allocation_strategy(pooling(settings));
    Engine::new(&config)
}

fn pooling(settings: &EngineConfig) -> InstanceAllocationStrategy {
    let live = settings.live_instances_max;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(live)
        .total_core_instances(live.saturating_mul(6))
        .total_memories(live)
        .total_tables(live.saturating_mul(3))
        .total_stacks(live)
        .max_memories_per_component(MEMORIES_MAX as u32)
        .max_tables_per_component(TABLES_MAX as u32)
        .max_core_instances_per_component(super::limits::CORE_INSTANCES_MAX as u32)
        .table_elements(super::limits::TABLE_ELEMENTS_MAX)
        .max_memory_size(usize::try_from(settings.memory_bytes_max).unwrap_or(usize::MAX))
        .max_unused_warm_slots(64);
    // Only where the kernel tells which pages were written: without that all of them would be, at every use.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEPT_BYTES);
    }
    InstanceAllocationStrategy::Pooling(pool)
}

/// Grows the engine's epoch from a thread of its own, for as long as the engine lives: a busy
/// asynchronous runtime must not be able to stop the clock that guards it.
pub fn start_ticker(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("epoch".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            #[expect(clippy::disallowed_methods, reason = "the thread does nothing but keep this time")]
            std::thread::sleep(EPOCH);
        }
    })?;
    Ok(())
}
