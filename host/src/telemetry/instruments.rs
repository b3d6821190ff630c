//! Every metric of the node: one struct a room. `_total` is added to the names of what only grows.

mod learning;
mod links;
mod messages;
mod outside;

use opentelemetry::metrics::Meter;

pub use self::learning::LearningMetrics;
pub use self::links::{LinkFigures, LinkMetrics};
pub use self::messages::{InterceptorMetrics, TransportFigures, TransportMetrics};
pub use self::outside::OutsideMetrics;
use super::metrics::{
    CallSeconds, QuickSecondsBy, SLOW_SECONDS, SecondsBy, Total, TotalBy, observe, observe_by,
    observe_total_by,
};

/// What every room may count.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// `matrix_refusals_total{limit}`: what was refused because a limit forbade it. The label is the
    /// limit's name in the manifest or in the node's configuration, such as `mailbox_messages`.
    pub refusals: TotalBy,
    /// Living Souls.
    pub souls: SoulMetrics,
    /// Souls that learn.
    pub learning: LearningMetrics,
    /// Running Matrices.
    pub matrices: MatrixMetrics,
    /// Wasm.
    pub runtime: RuntimeMetrics,
    /// Messages and events.
    pub transport: TransportMetrics,
    /// What judges messages.
    pub interceptors: InterceptorMetrics,
    /// Services outside the realm.
    pub grpc: OutsideMetrics,
    /// Hosts outside the realm.
    pub http: OutsideMetrics,
    /// The replicated KV.
    pub kv: KvMetrics,
    /// The realm's.
    pub realm: RealmMetrics,
    /// The links to other nodes.
    pub links: LinkMetrics,
    /// The operator's door.
    pub admin: AdminMetrics,
    /// The process.
    pub process: ProcessMetrics,
}

impl Metrics {
    pub(super) fn new(meter: &Meter, registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let refusals = "What was refused because a limit forbade it, by the limit's name.";
        Ok(Self {
            refusals: TotalBy::new(meter, "matrix_refusals", "limit", refusals),
            souls: SoulMetrics::new(meter),
            learning: LearningMetrics::new(meter),
            matrices: MatrixMetrics::new(meter, registry)?,
            runtime: RuntimeMetrics::new(meter, registry)?,
            transport: TransportMetrics::new(meter),
            interceptors: InterceptorMetrics::new(meter, registry)?,
            grpc: OutsideMetrics::grpc(meter),
            http: OutsideMetrics::http(meter),
            kv: KvMetrics::new(meter),
            realm: RealmMetrics::new(meter),
            links: LinkMetrics::new(meter),
            admin: AdminMetrics::new(meter),
            process: ProcessMetrics { meter: meter.clone() },
        })
    }
}

/// Souls by what they are doing, as `Cluster.Status` has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoulStates {
    /// In memory.
    pub running: u64,
    /// Out of memory until the next message.
    pub passive: u64,
    /// Crashed, to be restarted.
    pub backing_off: u64,
    /// Stopped by an operator.
    pub stopped: u64,
    /// Crashed too often.
    pub failed: u64,
}

/// What `souls` counts.
#[derive(Debug, Clone)]
pub struct SoulMetrics {
    meter: Meter,
    /// `matrix_soul_turns_total`: messages and other calls that Souls handled.
    pub turns: Total,
    /// `matrix_soul_failures_total{reason}`: turns that the Soul's instance did not survive.
    pub failures: TotalBy,
    /// `matrix_soul_dead_letters_total{reason}`: messages that their Souls did not survive.
    pub dead_letters: TotalBy,
    /// `matrix_soul_checkpoints_total{result}`: states saved, by `saved`, `unchanged` or `failed`.
    pub checkpoints: TotalBy,
    /// `matrix_soul_memory_total{operation}`: episodes, by `remembered`, `recalled`, `forgotten` or `consolidated` for want
    /// of room, or `dropped` by the Soul itself or by an operator.
    pub memory: TotalBy,
    /// `matrix_soul_swaps_total{result}`: exchanges of code or persona, by `swapped`, `rolled-back`,
    /// `persona-set` or `failed`.
    pub swaps: TotalBy,
    /// `matrix_soul_swap_seconds`: how long a Soul was held up for one.
    pub swap_seconds: SecondsBy,
}

impl SoulMetrics {
    fn new(meter: &Meter) -> Self {
        Self {
            meter: meter.clone(),
            turns: Total::new(meter, "matrix_soul_turns", "Calls that Souls handled."),
            failures: TotalBy::new(meter, "matrix_soul_failures", "reason", "Turns that failed."),
            dead_letters: TotalBy::new(
                meter,
                "matrix_soul_dead_letters",
                "reason",
                "Messages that Souls did not survive.",
            ),
            checkpoints: TotalBy::new(meter, "matrix_soul_checkpoints", "result", "States of Souls saved."),
            memory: TotalBy::new(
                meter,
                "matrix_soul_memory",
                "operation",
                "Episodes of Souls, by what became of them.",
            ),
            swaps: TotalBy::new(meter, "matrix_soul_swaps", "result", "Exchanges of Souls' code."),
            swap_seconds: SecondsBy::new(
                meter,
                "matrix_soul_swap_seconds",
                "result",
                "How long Souls were held up while their code was exchanged.",
            ),
        }
    }

    /// `matrix_souls{state}`: looked up by `look` at each scrape. It must neither wait nor keep its room
    /// alive, as goes for every `observe` here.
    pub fn observe(&self, look: impl Fn() -> SoulStates + Send + Sync + 'static) {
        observe_by(&self.meter, "matrix_souls", "state", "Souls, by what they are doing.", move || {
            let SoulStates { running, passive, backing_off, stopped, failed } = look();
            [
                ("running", running),
                ("passive", passive),
                ("backing_off", backing_off),
                ("stopped", stopped),
                ("failed", failed),
            ]
        });
    }
}

/// What `matrices` counts.
#[derive(Debug, Clone)]
pub struct MatrixMetrics {
    meter: Meter,
    /// `matrix_ticks_total`: ticks of all Matrices.
    pub ticks: Total,
    /// `matrix_actions_total{result}`: what players were asked for, by `given`, `late` or `failed`.
    pub actions: TotalBy,
    /// `matrix_rules_swaps_total{result}`: rules that were `swapped` in a running Matrix, and that were not: `failed`.
    pub swaps: TotalBy,
    /// `matrix_tick_seconds{part}`: how long a tick took, by `ask`, `step` or `log`.
    pub tick_seconds: QuickSecondsBy,
}

impl MatrixMetrics {
    fn new(meter: &Meter, registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let seconds = "How long the parts of a tick took.";
        Ok(Self {
            meter: meter.clone(),
            ticks: Total::new(meter, "matrix_ticks", "Ticks of all Matrices."),
            actions: TotalBy::new(meter, "matrix_actions", "result", "Actions that players were asked for."),
            swaps: TotalBy::new(meter, "matrix_rules_swaps", "result", "Rules swapped in Matrices."),
            tick_seconds: QuickSecondsBy::new(
                registry,
                "matrix_tick_seconds",
                "part",
                seconds,
                &SLOW_SECONDS,
            )?,
        })
    }

    /// `matrix_matrices`: Matrices that run, looked up by `look`.
    pub fn observe(&self, look: impl Fn() -> u64 + Send + Sync + 'static) {
        observe(&self.meter, "matrix_matrices", "Matrices that run.", look);
    }
}

/// What the Wasm instances of a node take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuntimeFigures {
    /// Live instances.
    pub instances: u64,
    /// Linear memory of all instances, in bytes.
    pub memory_bytes: u64,
    /// The most that it may be, in bytes.
    pub memory_bytes_max: u64,
    /// Components that are compiled and in memory.
    pub components: u64,
    /// Bytes of their machine code.
    pub code_bytes: u64,
}

/// What `runtime` counts.
#[derive(Debug, Clone)]
pub struct RuntimeMetrics {
    meter: Meter,
    /// `matrix_call_seconds`: how long calls into guests took.
    pub call_seconds: CallSeconds,
    /// `matrix_instantiations_total`: instances made.
    pub instantiations: Total,
    /// `matrix_components_refused_total`: components that were not admitted.
    pub refused: Total,
    /// `matrix_guest_cpu_microseconds_total{kind}` and `matrix_guest_fuel_total{kind}`: what all guests used, by `soul`,
    /// `rules` or `interceptor`.
    pub guests: [TotalBy; 2],
    /// `matrix_slow_calls_total`: calls into guests that were made on the threads for long ones.
    pub slow_calls: Total,
}

impl RuntimeMetrics {
    fn new(meter: &Meter, registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let (calls, refused) = ("How long calls into guests took.", "Components that were not admitted.");
        Ok(Self {
            meter: meter.clone(),
            call_seconds: CallSeconds::new(registry, "matrix_call_seconds", calls)?,
            instantiations: Total::new(meter, "matrix_instantiations", "Instances made."),
            refused: Total::new(meter, "matrix_components_refused", refused),
            guests: [
                TotalBy::new(meter, "matrix_guest_cpu_microseconds", "kind", "Processor time in guests."),
                TotalBy::new(meter, "matrix_guest_fuel", "kind", "Fuel used by guests."),
            ],
            slow_calls: Total::new(meter, "matrix_slow_calls", "Calls made on the threads for long ones."),
        })
    }

    /// `matrix_instances`, `matrix_guest_memory_bytes`, `matrix_guest_memory_bytes_max`,
    /// `matrix_components_loaded`, `matrix_component_code_bytes`: looked up by `look`.
    pub fn observe(&self, look: impl Fn() -> RuntimeFigures + Clone + Send + Sync + 'static) {
        let (instances, memory, most, components) = (look.clone(), look.clone(), look.clone(), look.clone());
        observe(&self.meter, "matrix_instances", "Live instances.", move || instances().instances);
        let description = "Linear memory of all instances.";
        observe(&self.meter, "matrix_guest_memory_bytes", description, move || memory().memory_bytes);
        let description = "The most linear memory that all instances may have.";
        observe(&self.meter, "matrix_guest_memory_bytes_max", description, move || most().memory_bytes_max);
        let description = "Components that are compiled and in memory.";
        observe(&self.meter, "matrix_components_loaded", description, move || components().components);
        let description = "Machine code of components in memory.";
        observe(&self.meter, "matrix_component_code_bytes", description, move || look().code_bytes);
    }
}

/// How the replicated KV stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KvFigures {
    /// The Raft term.
    pub term: u64,
    /// Index of the last log entry applied.
    pub applied: u64,
    /// 1: this node leads.
    pub leader: u64,
    /// Keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Mutations asked for.
    pub writes: u64,
    /// Mutations refused or failed.
    pub writes_failed: u64,
    /// Keys and pages read.
    pub reads: u64,
    /// Transactions of the log written and synced.
    pub fsyncs: u64,
    /// Snapshots taken or installed.
    pub snapshots: u64,
}

/// What `kv` counts.
#[derive(Debug, Clone)]
pub struct KvMetrics {
    meter: Meter,
}

impl KvMetrics {
    fn new(meter: &Meter) -> Self {
        Self { meter: meter.clone() }
    }

    /// `matrix_kv_state{figure}` and `matrix_kv_operations_total{operation}`: the fields of
    /// [`KvFigures`], looked up by `look`.
    pub fn observe(&self, look: impl Fn() -> KvFigures + Clone + Send + Sync + 'static) {
        let state = look.clone();
        observe_by(&self.meter, "matrix_kv_state", "figure", "How the KV stands.", move || {
            let KvFigures { term, applied, leader, keys, bytes, .. } = state();
            [("term", term), ("applied", applied), ("leader", leader), ("keys", keys), ("bytes", bytes)]
        });
        let description = "What the KV was asked for, and what it did on disk.";
        observe_total_by(&self.meter, "matrix_kv_operations", "operation", description, move || {
            let KvFigures { writes, writes_failed, reads, fsyncs, snapshots, .. } = look();
            [
                ("write", writes),
                ("write_failed", writes_failed),
                ("read", reads),
                ("fsync", fsyncs),
                ("snapshot", snapshots),
            ]
        });
    }
}

/// How the realm stands, as this node sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RealmFigures {
    /// Nodes of the realm.
    pub nodes: u64,
    /// Those that are alive.
    pub alive: u64,
    /// Peers that this node is connected with.
    pub connected: u64,
    /// Nodes that decide over the KV.
    pub voters: u64,
    /// 1: this node holds its lease.
    pub lease: u64,
    /// On the leader: how many entries of the log the node that is furthest behind has yet to get.
    pub lag: u64,
}

/// What `realm` counts.
#[derive(Debug, Clone)]
pub struct RealmMetrics {
    meter: Meter,
}

impl RealmMetrics {
    fn new(meter: &Meter) -> Self {
        Self { meter: meter.clone() }
    }

    /// `matrix_realm{figure}`: the fields of [`RealmFigures`], looked up by `look`.
    pub fn observe(&self, look: impl Fn() -> RealmFigures + Send + Sync + 'static) {
        observe_by(&self.meter, "matrix_realm", "figure", "How the realm stands.", move || {
            let RealmFigures { nodes, alive, connected, voters, lease, lag } = look();
            [
                ("nodes", nodes),
                ("alive", alive),
                ("connected", connected),
                ("voters", voters),
                ("lease", lease),
                ("lag", lag),
            ]
        });
    }
}

/// What `admin` counts.
#[derive(Debug, Clone)]
pub struct AdminMetrics {
    /// `matrix_requests_total{code}`: calls answered, by gRPC status code.
    pub requests: TotalBy,
    /// `matrix_request_seconds{method}`: how long unary calls took, by `Service/Method`.
    pub request_seconds: SecondsBy,
}

impl AdminMetrics {
    fn new(meter: &Meter) -> Self {
        let seconds = "How long unary calls took.";
        Self {
            requests: TotalBy::new(meter, "matrix_requests", "code", "Calls answered."),
            request_seconds: SecondsBy::new(meter, "matrix_request_seconds", "method", seconds),
        }
    }
}

/// What concerns the process as a whole.
#[derive(Debug, Clone)]
pub struct ProcessMetrics {
    meter: Meter,
}

impl ProcessMetrics {
    /// `matrix_tasks`: asynchronous tasks that have not ended, looked up by `look`.
    pub fn observe_tasks(&self, look: impl Fn() -> u64 + Send + Sync + 'static) {
        observe(&self.meter, "matrix_tasks", "Asynchronous tasks that have not ended.", look);
    }
}
