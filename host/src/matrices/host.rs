//! What every Matrix of this node shares.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use crate::capabilities::logging::GuestLog;
use crate::capabilities::{Capabilities, random};
use crate::ids::MatrixName;
use crate::kv::Kv;
use crate::realm::Realm;
use crate::runtime::catalog::Catalog;
use crate::runtime::limits::LimitsConfig;
use crate::runtime::usage::Usages;
use crate::souls::Fleet;
use crate::tasks::Tasks;
use crate::telemetry::instruments::Metrics;
use crate::telemetry::logs::LogRing;
use crate::transport::bus::{Bus, Source};
use crate::transport::router::Router;

/// What the operator may set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MatricesConfig {
    /// Folder of the run logs; created with mode 0700 if missing.
    pub runs_dir: PathBuf,
    /// How many Matrices this node takes.
    pub matrices_max: usize,
    /// How long players have to answer a tick, in milliseconds, where the manifest says nothing.
    pub tick_deadline_ms: u32,
    /// Wall time of one call into the rules, in milliseconds: generous, for it is fuel that bounds rules.
    pub call_ms: u32,
    /// Fuel for each call into the rules, where the manifest says nothing.
    pub call_fuel: u64,
    /// How long a tick may wait while players who came back from an older state are told again what they
    /// missed, in milliseconds.
    pub catch_up_ms: u64,
    /// Bytes of a run log; a Matrix whose log reaches them fails, and goes on when there is more room.
    pub run_log_bytes_max: u64,
    /// How much of the rules' work may have to be done again when a Matrix is brought back, in milliseconds of their
    /// own time: after so much of it a checkpoint is kept beside the run log; 0: after every tick. Where a checkpoint
    /// takes long it is kept less often, so that a twentieth of the time at most goes into checkpoints.
    pub checkpoint_work_ms: u64,
    /// How many nodes hold the run log of a Matrix that runs here, this one counted, where the realm has so many
    /// (1 to 5).
    pub copies: usize,
    /// How many run logs are gone through at once, to bring a Matrix back, to look at one that is over, or to
    /// compare.
    pub replays_max: usize,
}

impl Default for MatricesConfig {
    fn default() -> Self {
        Self {
            runs_dir: PathBuf::from("data/runs"),
            matrices_max: 1_000,
            tick_deadline_ms: 1_000,
            call_ms: 10_000,
            call_fuel: 100_000_000_000,
            catch_up_ms: 60_000,
            run_log_bytes_max: 4 << 30,
            checkpoint_work_ms: 1_000,
            copies: 2,
            replays_max: 2,
        }
    }
}

/// The rooms below that a Matrix needs.
#[derive(Debug)]
pub struct MatrixHost {
    /// Who plays.
    pub souls: Fleet,
    /// The other nodes.
    pub realm: Realm,
    /// This node's number.
    pub node: u64,
    /// Knows components.
    pub components: Catalog,
    /// Keeps what should run.
    pub kv: Kv,
    /// Tells what happens.
    pub bus: Bus,
    /// Brings messages to rules, and their replies back.
    pub router: Router,
    /// Keeps log lines.
    pub logs: LogRing,
    /// Counts.
    pub metrics: Metrics,
    /// What manifests may ask for.
    pub limits: LimitsConfig,
    /// Where Matrices run.
    pub tasks: Tasks,
    /// What goes on behind them: it ends after them.
    pub background: Tasks,
    /// What the operator set.
    pub config: MatricesConfig,
    /// What their rules use, by the Matrix's name.
    pub usages: Usages,
}

impl MatrixHost {
    /// The disk under the run logs.
    pub(crate) fn disk(&self) -> Disk {
        Disk::new(self.realm.on_fatal())
    }

    /// What rules may do. Nobody hears them yet: most go again through what was.
    pub(crate) fn capabilities(&self, matrix: &MatrixName, seed: u64) -> Capabilities {
        let source = Source::Matrix(matrix.clone());
        let refused = &self.metrics.refusals;
        let log = Arc::new(GuestLog::new(self.logs.clone(), &source.to_string(), 0, refused));
        Capabilities {
            random: random::Ctx::new(seed),
            ..Capabilities::alone(self.bus.clone(), source, Some(0), log, refused)
        }
    }

    /// The run log of a run.
    pub(crate) fn run_log(&self, run: &str) -> PathBuf {
        self.config.runs_dir.join(format!("{run}.log"))
    }
}

/// Tells the world something about a Matrix.
pub(crate) fn report(bus: &Bus, kind: &'static str, matrix: &MatrixName, detail: &impl Serialize) {
    bus.report(kind, Source::Matrix(matrix.clone()), detail);
}
