//! How the node tells what it does: metrics, the log, traces. Lies below every other room.

pub mod instruments;
pub mod logs;
pub mod metrics;
pub mod pattern;
pub mod process;
pub mod ring;
pub mod trace;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing_subscriber::util::SubscriberInitExt as _;

use instruments::Metrics;
use logs::LogRing;

/// What is told, and where.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How lines on standard error are written. Default human.
    pub log_format: LogFormat,
    /// Which of the node's own lines are written there: a level, or directives such as
    /// `info,matrixd::kv=debug`. Default `info`.
    pub log_level: String,
    /// Lines kept for `Logs.Tail`, at most. Default 10,000.
    pub log_lines: usize,
    /// Memory that these lines take, at most, in bytes. Default 8 MiB.
    pub log_bytes: usize,
    /// Where spans are exported to by OTLP over gRPC, such as `http://127.0.0.1:4317`. None, the
    /// default: they are not.
    pub otlp_endpoint: Option<String>,
    /// The share of traces begun here that is exported, from 0 to 1. Default 1.
    pub otlp_ratio: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Human,
            log_level: "info".to_owned(),
            log_lines: 10_000,
            log_bytes: 8 << 20,
            otlp_endpoint: None,
            otlp_ratio: 1.0,
        }
    }
}

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Why there is no telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A metric cannot be registered.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(String),
    /// The level is none.
    #[error(
        "`log_level` is `{given}`, which cannot be read ({source}): write `info`, or `info,matrixd=debug`"
    )]
    Level {
        /// What the configuration says.
        given: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The endpoint is none.
    #[error(
        "`otlp_endpoint` is `{0}`: it must begin with `http://`; for TLS, export to a collector beside the node"
    )]
    Endpoint(String),
    /// The exporter refuses its settings.
    #[error("`otlp_endpoint` cannot be exported to: {0}")]
    Exporter(String),
    /// Something else in this process receives traces already.
    #[error("traces of this process go elsewhere already: install telemetry once a process")]
    Installed,
    /// The last spans could not be exported.
    #[error("the last spans were not exported: {0}")]
    Flush(String),
}

/// The node's telemetry.
#[derive(Debug)]
pub struct Telemetry {
    config: TelemetryConfig,
    registry: prometheus::Registry,
    meters: SdkMeterProvider,
    spans: Option<SdkTracerProvider>,
    metrics: Metrics,
    logs: LogRing,
}

impl Telemetry {
    /// Telemetry of the node that calls itself `node` in traces. It touches nothing outside itself:
    /// several nodes can live in one process. With an endpoint it needs a Tokio runtime.
    pub fn new(config: TelemetryConfig, node: &str) -> Result<Self, TelemetryError> {
        let resource = Resource::builder_empty()
            .with_service_name("matrixd")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", node.to_owned()),
            ])
            .build();
        let refused = |error: &dyn std::fmt::Display| TelemetryError::Metrics(error.to_string());
        let registry = prometheus::Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(|error| refused(&error))?;
        let meters = SdkMeterProvider::builder().with_reader(reader).with_resource(resource.clone()).build();
        let meter = meters.meter("matrixd");
        let metrics = Metrics::new(&meter, &registry).map_err(|error| refused(&error))?;
        process::observe(&meter);
        let spans = trace::provider(&config, resource)?;
        let logs = LogRing::new(config.log_lines, config.log_bytes);
        Ok(Self { config, registry, meters, spans, metrics, logs })
    }

    /// Whether spans are exported.
    pub const fn exports_spans(&self) -> bool {
        self.spans.is_some()
    }

    /// Makes this telemetry receive the process's spans and events. Once a process.
    pub fn install(&self) -> Result<(), TelemetryError> {
        let subscriber = trace::subscriber(&self.config, self.logs.clone(), self.spans.as_ref())?;
        subscriber.try_init().map_err(|_| TelemetryError::Installed)
    }

    /// What the rooms count with. Clones count the same.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The log that `Logs.Tail` reads.
    pub fn logs(&self) -> &LogRing {
        &self.logs
    }

    /// Every metric in Prometheus' text format 0.0.4 (`text/plain; version=0.0.4`).
    pub fn render(&self) -> Result<String, TelemetryError> {
        prometheus::TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .map_err(|error| TelemetryError::Metrics(error.to_string()))
    }

    /// Exports the last spans, and ends. It blocks, for some five seconds at most: call it outside the
    /// runtime's threads, while the runtime still runs.
    pub fn shutdown(&self) -> Result<(), TelemetryError> {
        let spans = self.spans.as_ref().map_or(Ok(()), SdkTracerProvider::shutdown);
        // Nothing is pushed from the meters: their end cannot lose anything.
        let _ended = self.meters.shutdown();
        spans.map_err(|error| TelemetryError::Flush(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
