//! One service: the way to it, what bounds its calls, and how they end.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request};
use tracing::Instrument as _;

use super::codec::Raw;
use super::config::{Bounds, EndpointConfig, GrpcConfig, Method, TlsConfig, parts};
use super::files;
use super::headers::Headers;
use super::refusal::{Refusal, SetupError, shown};
use crate::capabilities::messaging::Waits;
use crate::runtime::bindings::matrix::node::grpc::Status;
use crate::telemetry::instruments::OutsideMetrics;
use crate::telemetry::metrics::TotalBy;
use crate::transport::envelope::TraceContext;

/// The longest text of a status that a guest is given, in bytes; a longer one is cut.
pub const STATUS_BYTES_MAX: usize = 4 << 10;
/// The headers, and the trailers, of one answer, in bytes.
const HEADERS_BYTES_MAX: u32 = 16 << 10;
/// How often a connection that answers nothing is asked whether it is alive, and how long it has for that.
const ALIVE: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(10)];
/// How tonic begins to say that an answer is larger than it may be.
const TOO_LARGE: &str = "Error, decoded message length too large";

/// All endpoints of a node. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(Arc<BTreeMap<String, Arc<Endpoint>>>);

impl Endpoints {
    /// Reads the files that the configuration names, and connects to nobody yet. Blocks on the disk.
    ///
    /// # Errors
    /// Names the setting or the file that is of no use.
    pub fn open(
        config: &GrpcConfig,
        metrics: &OutsideMetrics,
        refused: &TotalBy,
    ) -> Result<Self, SetupError> {
        config.check()?;
        let open = |(name, endpoint): (&String, &EndpointConfig)| {
            let opened = Endpoint::open(name, endpoint, config.bounds(endpoint), metrics, refused)?;
            Ok((name.clone(), Arc::new(opened)))
        };
        Ok(Self(Arc::new(config.endpoints.iter().map(open).collect::<Result<_, SetupError>>()?)))
    }

    /// Sees whether a node could have them. Blocks on the disk.
    ///
    /// # Errors
    /// As [`Endpoints::open`].
    pub fn check(config: &GrpcConfig) -> Result<(), SetupError> {
        config.check()?;
        config.endpoints.iter().try_for_each(|(name, endpoint)| {
            Headers::open(&endpoint.headers, &|part| setting(name, part))?;
            way(name, endpoint, config.bounds(endpoint)).map(drop)
        })
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn find(&self, name: &str) -> Result<Arc<Endpoint>, Refusal> {
        self.0.get(name).cloned().ok_or_else(|| Refusal::unknown(name))
    }
}

/// A call that may be made.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) request: Bytes,
    pub(super) timeout: Duration,
    pub(super) trace: Option<TraceContext>,
}

/// One service.
#[derive(Debug)]
pub(super) struct Endpoint {
    name: Arc<str>,
    methods: Vec<Method>,
    bounds: Bounds,
    slots: Semaphore,
    headers: Headers,
    way: tonic::transport::Endpoint,
    /// Made for the first call; it connects again by itself.
    channel: OnceLock<Channel>,
    metrics: OutsideMetrics,
    refused: TotalBy,
}

impl Endpoint {
    fn open(
        name: &str,
        config: &EndpointConfig,
        bounds: Bounds,
        metrics: &OutsideMetrics,
        refused: &TotalBy,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            name: name.into(),
            methods: config.methods.iter().filter_map(|method| Method::parse(method)).collect(),
            bounds,
            slots: Semaphore::new(bounds.calls),
            headers: Headers::open(&config.headers, &|part| setting(name, part))?,
            way: way(name, config, bounds)?,
            channel: OnceLock::new(),
            metrics: metrics.clone(),
            refused: refused.clone(),
        })
    }

    /// Whether the operator lets this method be called with so much.
    pub(super) fn admits(&self, method: &str, bytes: usize) -> Result<(), Refusal> {
        let name = &self.name;
        let Some((service, function)) = parts(method) else {
            let text = format!("`{}` is no method: write `package.Service/Method`", shown(method));
            return Err(Refusal::new(Code::InvalidArgument, text));
        };
        if !self.methods.iter().any(|known| known.covers(service, function)) {
            return Err(Refusal::denied(format!(
                "`{method}` is not among `grpc.endpoints.{name}.methods` of the node's configuration"
            )));
        }
        if bytes > self.bounds.request_bytes {
            self.refused.add("grpc_request_bytes", 1);
            let most = self.bounds.request_bytes;
            return Err(Refusal::exhausted(format!(
                "a request of {bytes} bytes: the endpoint `{name}` takes {most} (`grpc.request_bytes_max`)"
            )));
        }
        Ok(())
    }

    /// How long a call may take, where the guest gives it so long; 0: as long as may be.
    pub(super) fn timeout(&self, asked_ms: u32) -> Duration {
        let asked = (asked_ms > 0).then(|| Duration::from_millis(asked_ms.into()));
        asked.map_or(self.bounds.timeout, |asked| asked.min(self.bounds.timeout))
    }

    /// A place among the calls that are under way.
    pub(super) fn slot(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.slots.try_acquire().map_err(|_| {
            self.refused.add("grpc_calls", 1);
            let (name, most) = (&self.name, self.bounds.calls);
            Refusal::exhausted(format!(
                "{most} calls to the endpoint `{name}` are under way, and no more may be (`grpc.calls_max`): try later"
            ))
        })
    }

    /// Makes a call, and waits for its end as long as `waits` lets it.
    pub(super) async fn call(&self, call: Call, waits: Waits) -> Result<Bytes, Status> {
        let (start, timeout) = (Instant::now(), call.timeout);
        let span = tracing::debug_span!("grpc", endpoint = %self.name, method = %call.method);
        let made = async {
            tokio::select! {
                answer = tokio::time::timeout(timeout, self.make(call)) => {
                    answer.unwrap_or_else(|_| Err(self.late(timeout).into()))
                }
                why = waits.ended() => Err(Refusal::new(Code::Cancelled, why).into()),
            }
        };
        let answer = made.instrument(span).await.map_err(|status| {
            // Who ends a call that is late, this end or the other, is chance.
            if start.elapsed() >= timeout { self.late(timeout).into() } else { status }
        });
        let code = answer.as_ref().err().map_or(0, |status| status.code);
        self.metrics.asked(&self.name, code_name(code), start.elapsed());
        answer
    }

    fn late(&self, timeout: Duration) -> Refusal {
        let (name, ms) = (&self.name, timeout.as_millis());
        Refusal::new(Code::DeadlineExceeded, format!("the service `{name}` gave no answer within {ms} ms"))
    }

    async fn make(&self, call: Call) -> Result<Bytes, Status> {
        let Call { method, request, timeout, trace } = call;
        let mut request = Request::new(request);
        *request.metadata_mut() = self.headers.read().await;
        request.set_timeout(timeout);
        if let Some(trace) = trace {
            let place = format!("00-{:032x}-{:016x}-{:02x}", trace.trace_id, trace.span_id, trace.flags);
            // Hexadecimal digits and dashes are a value.
            let _ = place.parse().map(|place| request.metadata_mut().insert("traceparent", place));
        }
        let path = PathAndQuery::try_from(format!("/{method}"));
        let path = path.map_err(|error| Refusal::new(Code::InvalidArgument, error.to_string()))?;
        let channel = self.channel.get_or_init(|| self.way.connect_lazy()).clone();
        let mut client =
            tonic::client::Grpc::new(channel).max_decoding_message_size(self.bounds.response_bytes);
        client.ready().await.map_err(|error| self.unreached(&detailed(&error)))?;
        match client.unary(request, path, Raw).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(self.failed(&status)),
        }
    }

    fn unreached(&self, why: &str) -> Refusal {
        Refusal::new(Code::Unavailable, format!("the service `{}` cannot be reached: {why}", self.name))
    }

    /// What became of a call that has no answer: as the service says, or as this end of it found.
    fn failed(&self, status: &tonic::Status) -> Status {
        let name = &self.name;
        if status.code() == Code::OutOfRange && status.message().starts_with(TOO_LARGE) {
            self.refused.add("grpc_response_bytes", 1);
            let most = self.bounds.response_bytes;
            return Refusal::exhausted(format!(
                "the answer of the service `{name}` has more than {most} bytes (`grpc.response_bytes_max`)"
            ))
            .into();
        }
        if status.source().is_some() {
            return self.unreached(&detailed(status)).into();
        }
        let message = cut(status.message());
        if message.len() < status.message().len() {
            self.refused.add("grpc_status_bytes", 1);
        }
        Status { code: status.code() as u32, message: message.to_owned(), by_node: false }
    }
}

/// An error with its causes: tonic's own texts leave them out.
fn detailed(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.chars().take(400).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// As much of a text as a guest is given.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(STATUS_BYTES_MAX)]
}

/// A status as gRPC names it: a label, so one of these and no other.
fn code_name(code: u32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(code as usize).copied().unwrap_or("UNKNOWN")
}

/// The place of a setting of an endpoint, under `[grpc]`.
fn setting(name: &str, part: &str) -> String {
    format!("endpoints.{name}.{part}")
}

/// The way to a service, which nobody goes yet.
fn way(
    name: &str,
    config: &EndpointConfig,
    bounds: Bounds,
) -> Result<tonic::transport::Endpoint, SetupError> {
    let unusable = |part: &str, problem: String| SetupError::Setting {
        setting: setting(name, part),
        problem: format!("cannot be used: {problem}"),
    };
    let way = tonic::transport::Endpoint::from_shared(config.url.clone());
    let way = way
        .map_err(|error| unusable("url", detailed(&error)))?
        .connect_timeout(bounds.timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(ALIVE[0])
        .keep_alive_timeout(ALIVE[1])
        .http2_max_header_list_size(HEADERS_BYTES_MAX);
    let Some(tls) = &config.tls else { return Ok(way) };
    let read = tls_config(tls, &|part| setting(name, part))?;
    way.tls_config(read).map_err(|error| unusable("tls", detailed(&error)))
}

fn tls_config(tls: &TlsConfig, setting: &dyn Fn(&str) -> String) -> Result<ClientTlsConfig, SetupError> {
    let ca = files::read(&setting("tls.ca"), &tls.ca)?;
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        let cert = files::read(&setting("tls.cert"), cert)?;
        config = config.identity(Identity::from_pem(cert, files::read_secret(&setting("tls.key"), key)?));
    }
    if let Some(name) = &tls.server_name {
        config = config.domain_name(name);
    }
    Ok(config)
}
