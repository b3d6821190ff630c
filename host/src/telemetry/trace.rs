//! Where the node's spans and events go: to standard error, to the log ring, and, if asked, over OTLP.

use std::time::Duration;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, fmt};

use super::logs::{LogRing, MirrorLayer};
use super::{LogFormat, TelemetryConfig, TelemetryError};

/// How long one export may take before it is given up: a collector that hangs must not pile up spans.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Libraries that the exporter itself stands on: were their spans exported, each export would make
/// more of them.
const EXPORTERS_OWN: [&str; 6] = ["h2", "hyper", "hyper_util", "tonic", "tower", "opentelemetry"];

/// A span's place in a trace, as W3C trace context has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanPlace {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span; never 0.
    pub span_id: u64,
    /// Bit 0: the trace is recorded.
    pub flags: u8,
}

/// The place of the span that the caller is in; none if it is in none, or if nothing is exported.
pub fn current_place() -> Option<SpanPlace> {
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| SpanPlace {
        trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(span.span_id().to_bytes()),
        flags: span.trace_flags().to_u8(),
    })
}

/// Makes `span` a child of a span elsewhere, perhaps on another node. Before `span` is entered; without
/// effect where nothing is exported.
pub fn set_parent(span: &Span, parent: SpanPlace) {
    let context = SpanContext::new(
        TraceId::from_bytes(parent.trace_id.to_be_bytes()),
        SpanId::from_bytes(parent.span_id.to_be_bytes()),
        TraceFlags::new(parent.flags),
        true,
        TraceState::NONE,
    );
    // An error means that nobody records the span.
    let _unrecorded = span.set_parent(opentelemetry::Context::new().with_remote_span_context(context));
}

/// The provider of spans that are exported, if an endpoint is configured. Needs a Tokio runtime.
pub(super) fn provider(
    config: &TelemetryConfig,
    resource: Resource,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    if !endpoint.starts_with("http://") {
        return Err(TelemetryError::Endpoint(endpoint.clone()));
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.otlp_ratio)));
    let builder = SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler);
    Ok(Some(builder.with_resource(resource).build()))
}

/// Libraries tell more of themselves than an operator wants to know, unless the configuration asks for it.
const LIBRARIES: [&str; 3] = ["openraft", "libp2p", "opentelemetry"];

/// Openraft warns of every heartbeat, and of every message, that a node does not answer: ten a second of a node that is gone.
/// That it is gone is told once, by this node itself.
const OF_EACH_MESSAGE: [&str; 3] =
    ["openraft::core::heartbeat", "openraft::replication", "openraft::engine::handler::replication_handler"];

/// What is shown of each library at most.
fn quiet() -> impl Iterator<Item = (&'static str, LevelFilter)> {
    let of_each_message = OF_EACH_MESSAGE.map(|target| (target, LevelFilter::ERROR));
    LIBRARIES.map(|library| (library, LevelFilter::WARN)).into_iter().chain(of_each_message)
}

/// What the node keeps of its own lines, for whoever tails them.
fn mirrored() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_targets(quiet())
}

/// What receives the process's spans and events.
pub(super) fn subscriber(
    config: &TelemetryConfig,
    logs: LogRing,
    provider: Option<&SdkTracerProvider>,
) -> Result<impl Subscriber + Send + Sync + use<>, TelemetryError> {
    let shown = shown(config)?;
    let exported = provider.map(|provider| {
        let off = EXPORTERS_OWN.map(|library| (library, LevelFilter::OFF));
        let filter = Targets::new().with_default(LevelFilter::INFO).with_targets(off);
        tracing_opentelemetry::layer().with_tracer(provider.tracer("matrixd")).with_filter(filter)
    });
    Ok(Registry::default()
        .with(printer(config.log_format, shown))
        .with(MirrorLayer::new(logs).with_filter(mirrored()))
        .with(exported))
}

/// Which lines are printed.
enum Shown {
    /// Those of a level, by where they come from.
    Targets(Box<Targets>),
    /// By the spans around them too, which costs something at each step into a span and out of it.
    Spans(Box<EnvFilter>),
}

fn shown(config: &TelemetryConfig) -> Result<Shown, TelemetryError> {
    let level = |source| TelemetryError::Level { given: config.log_level.clone(), source };
    let quiet = quiet().map(|(target, level)| format!("{target}={level}"));
    // To targets, a directive of no letters is one.
    let given = config.log_level.split(',').map(str::trim).filter(|one| !one.is_empty());
    let directives = quiet.chain(given.map(str::to_owned)).collect::<Vec<_>>().join(",");
    if config.log_level.contains('[') {
        let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
        return Ok(Shown::Spans(Box::new(filter.parse(directives).map_err(level)?)));
    }
    let targets: Targets = directives.parse().map_err(level)?;
    let default = targets.default_level().unwrap_or(LevelFilter::INFO);
    Ok(Shown::Targets(Box::new(targets.with_default(default))))
}

fn printer<S>(format: LogFormat, shown: Shown) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = match format {
        LogFormat::Human => layer.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    match shown {
        Shown::Targets(targets) => layer.with_filter(*targets).boxed(),
        Shown::Spans(filter) => layer.with_filter(*filter).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_chosen_by_where_they_come_from_unless_spans_are_asked_for() {
        let shown =
            |log_level: &str| shown(&TelemetryConfig { log_level: log_level.into(), ..Default::default() });
        let Ok(Shown::Targets(targets)) = shown("matrixd::kv=debug") else { panic!("no span is named") };
        let debug = tracing::Level::DEBUG;
        assert_eq!(targets.default_level(), Some(LevelFilter::INFO), "as where nothing is said");
        assert!(
            targets.would_enable("matrixd::kv", &debug) && !targets.would_enable("matrixd::admin", &debug)
        );
        assert!(!targets.would_enable("openraft::engine", &tracing::Level::INFO));
        let Ok(Shown::Targets(targets)) = shown("debug,openraft=info") else { panic!("no span is named") };
        assert!(
            targets.would_enable("matrixd::admin", &debug) && !targets.would_enable("libp2p::swarm", &debug)
        );
        assert!(
            targets.would_enable("openraft::engine", &tracing::Level::INFO),
            "whoever asks for it has it"
        );
        for nothing in ["", " ,", "matrixd=debug, "] {
            let Ok(Shown::Targets(targets)) = shown(nothing) else { panic!("no span is named") };
            assert_eq!(targets.default_level(), Some(LevelFilter::INFO), "{nothing}");
        }
        assert!(matches!(shown("info,[request{caller=local}]=debug"), Ok(Shown::Spans(_))));
        assert!(shown("matrixd=loud").is_err());
    }
}
