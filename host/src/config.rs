//! The node's configuration: each room owns its part, and this file only gathers them.

mod limits;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use crate::admin::AdminConfig;
use crate::capabilities::grpc::GrpcConfig;
use crate::capabilities::http::HttpConfig;
use crate::kv::KvConfig;
use crate::learning::LearningConfig;
use crate::matrices::MatricesConfig;
use crate::p2p::P2pConfig;
use crate::realm::{RealmConfig, Token};
use crate::runtime::components::ComponentsConfig;
use crate::runtime::engine::EngineConfig;
use crate::runtime::interceptors::InterceptorsConfig;
use crate::runtime::limits::LimitsConfig;
use crate::souls::host::SoulsConfig;
use crate::telemetry::TelemetryConfig;
use crate::transport::bus::BusConfig;
use crate::transport::router::TransportConfig;

/// The name of the configuration file in a data folder.
pub const CONFIG_FILE: &str = "matrixd.toml";

/// Everything that an operator may set. Unknown keys are errors; what is not set has the default that its
/// room documents.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept. Set by the command line, not by the file.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// Whether this node is alone in its process, and receives the process's log lines and spans. Set by the
    /// program, not by the file.
    #[serde(skip)]
    pub owns_process: bool,
    /// Threads that run guests. 0, the default: as many as there are processors.
    pub threads: usize,
    /// Threads that run guests whose calls take long. 0, the default: one fewer than there are processors,
    /// but one at least, so that a processor is left for all others.
    pub slow_threads: usize,
    /// How long a shutdown may take, in milliseconds.
    pub shutdown_ms: u64,
    /// An invitation into a realm, for a node that is in none yet. Set by the command line, not by the file.
    #[serde(skip)]
    pub join: Option<Token>,
    /// The operator's door.
    pub admin: AdminConfig,
    /// Running Matrices.
    pub matrices: MatricesConfig,
    /// Living Souls.
    pub souls: SoulsConfig,
    /// Souls that learn.
    pub learning: LearningConfig,
    /// What manifests may ask for.
    pub limits: LimitsConfig,
    /// Uploaded components.
    pub components: ComponentsConfig,
    /// The engine that runs them.
    pub engine: EngineConfig,
    /// Messages.
    pub transport: TransportConfig,
    /// What judges them.
    pub interceptors: InterceptorsConfig,
    /// Services outside the realm that Souls may be granted.
    pub grpc: GrpcConfig,
    /// Hosts outside the realm that Souls may be granted.
    pub http: HttpConfig,
    /// The event bus.
    pub bus: BusConfig,
    /// This node's place in its realm.
    pub realm: RealmConfig,
    /// The other nodes.
    pub p2p: P2pConfig,
    /// The replicated KV.
    pub kv: KvConfig,
    /// Logs, metrics, traces.
    pub telemetry: TelemetryConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            owns_process: false,
            threads: 0,
            slow_threads: 0,
            shutdown_ms: 10_000,
            join: None,
            admin: AdminConfig::default(),
            matrices: MatricesConfig::default(),
            souls: SoulsConfig::default(),
            learning: LearningConfig::default(),
            limits: LimitsConfig::default(),
            components: ComponentsConfig::default(),
            engine: EngineConfig::default(),
            transport: TransportConfig::default(),
            interceptors: InterceptorsConfig::default(),
            grpc: GrpcConfig::default(),
            http: HttpConfig::default(),
            bus: BusConfig::default(),
            realm: RealmConfig::default(),
            p2p: P2pConfig::default(),
            kv: KvConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Config {
    /// The configuration for a data folder: from `file`, else from `matrixd.toml` in the folder, else the
    /// defaults.
    pub fn load(data_dir: &Path, file: Option<&Path>) -> anyhow::Result<Self> {
        let in_folder = data_dir.join(CONFIG_FILE);
        let path = match file {
            Some(file) => Some(file),
            None => in_folder.exists().then_some(in_folder.as_path()),
        };
        let mut config = match path {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the configuration {}", path.display()))?;
                toml::from_str(&text)
                    .with_context(|| format!("the configuration {} is wrong", path.display()))?
            }
            None => Self::default(),
        };
        config.data_dir = data_dir.to_owned();
        Ok(config)
    }
}
