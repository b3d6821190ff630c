//! One span a call, and one count.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status};
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::telemetry::instruments::AdminMetrics;
use crate::telemetry::trace::{SpanPlace, set_parent};

/// Every method of `matrix.v1`, as `Service/Method`: what a caller writes must not become a label.
const METHODS: [&str; 60] = [
    "Cluster/Status",
    "Cluster/ListNodes",
    "Cluster/Invite",
    "Cluster/Drain",
    "Cluster/Resume",
    "Cluster/Remove",
    "Cluster/Backup",
    "Components/Upload",
    "Components/Get",
    "Components/List",
    "Components/Delete",
    "Components/Rollout",
    "Components/Download",
    "Events/Subscribe",
    "Interceptors/SetChain",
    "Interceptors/GetChain",
    "Interceptors/Swap",
    "Interceptors/Rollback",
    "Interceptors/History",
    "Kv/Get",
    "Kv/Put",
    "Kv/Delete",
    "Kv/CompareAndSwap",
    "Kv/Range",
    "Kv/Watch",
    "Kv/GrantLease",
    "Kv/KeepAlive",
    "Kv/RevokeLease",
    "Logs/Tail",
    "Matrices/Create",
    "Matrices/Get",
    "Matrices/List",
    "Matrices/Start",
    "Matrices/Pause",
    "Matrices/Step",
    "Matrices/Stop",
    "Matrices/Move",
    "Matrices/Swap",
    "Matrices/Rollback",
    "Matrices/Delete",
    "Matrices/View",
    "Matrices/Replay",
    "Observe/Usage",
    "Observe/Limits",
    "Souls/Spawn",
    "Souls/Get",
    "Souls/List",
    "Souls/Stop",
    "Souls/Delete",
    "Souls/Send",
    "Souls/Ask",
    "Souls/Converse",
    "Souls/Move",
    "Souls/Swap",
    "Souls/Rollback",
    "Souls/History",
    "Souls/Checkpoint",
    "Souls/DeadLetters",
    "Souls/Resend",
    "Souls/Drop",
];
/// What stands for any other method.
const OTHER: &str = "other";
/// Methods that answer with a stream: how long they take says nothing.
const STREAMING: [&str; 8] = [
    "Cluster/Backup",
    "Components/Rollout",
    "Components/Download",
    "Events/Subscribe",
    "Kv/Watch",
    "Logs/Tail",
    "Matrices/Replay",
    "Souls/Converse",
];

/// Runs a call in a span of its own, the child of the caller's if it names one, and counts it. A call
/// that is given up before it answers counts as `CANCELLED`.
pub(super) async fn observe(
    State(metrics): State<Arc<AdminMetrics>>,
    request: Request,
    next: Next,
) -> Response {
    let method = label(request.uri().path());
    let span = tracing::info_span!("request", method, caller = Empty, code = Empty);
    if let Some(place) = trace_parent(request.headers()) {
        set_parent(&span, place);
    }
    let mut count = Count { metrics, method, started: Instant::now(), code: Code::Cancelled };
    async move {
        let response = next.run(request).await;
        // What goes wrong in the midst of a stream is told at its end, and counted as begun.
        count.code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
        drop(count);
        response
    }
    .instrument(span)
    .await
}

/// Counts a call when it is dropped, however it ended.
struct Count {
    metrics: Arc<AdminMetrics>,
    method: &'static str,
    started: Instant,
    code: Code,
}

impl Drop for Count {
    fn drop(&mut self) {
        let code = matrix_proto::code_name(self.code);
        tracing::Span::current().record("code", code);
        let elapsed = self.started.elapsed();
        tracing::debug!(code, micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), "answered");
        self.metrics.requests.add(code, 1);
        if !STREAMING.contains(&self.method) {
            self.metrics.request_seconds.record(self.method, elapsed);
        }
    }
}

fn label(path: &str) -> &'static str {
    let method = path.strip_prefix("/matrix.v1.").unwrap_or_default();
    METHODS.iter().find(|known| **known == method).copied().unwrap_or(OTHER)
}

/// The caller's span, as the header `traceparent` of W3C trace context gives it.
fn trace_parent(headers: &HeaderMap) -> Option<SpanPlace> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = [version.len(), trace.len(), span.len(), flags.len()];
    let sound = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if !sound || lengths != [2, 32, 16, 2] || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let place = SpanPlace {
        trace_id: u128::from_str_radix(trace, 16).ok()?,
        span_id: u64::from_str_radix(span, 16).ok()?,
        flags: u8::from_str_radix(flags, 16).ok()?,
    };
    (place.trace_id != 0 && place.span_id != 0).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interface, service by service.
    const PROTOS: [&str; 9] = [
        include_str!("../../../proto/matrix/v1/cluster.proto"),
        include_str!("../../../proto/matrix/v1/components.proto"),
        include_str!("../../../proto/matrix/v1/events.proto"),
        include_str!("../../../proto/matrix/v1/interceptors.proto"),
        include_str!("../../../proto/matrix/v1/kv.proto"),
        include_str!("../../../proto/matrix/v1/logs.proto"),
        include_str!("../../../proto/matrix/v1/matrices.proto"),
        include_str!("../../../proto/matrix/v1/observe.proto"),
        include_str!("../../../proto/matrix/v1/souls.proto"),
    ];

    #[test]
    fn every_method_of_the_interface_has_its_label() {
        let (mut methods, mut streaming) = (Vec::new(), Vec::new());
        for proto in PROTOS {
            let name = |line: &str, head: &str| {
                let rest = line.trim().strip_prefix(head)?;
                Some(rest.split([' ', '(']).next().unwrap_or_default().to_owned())
            };
            let service = proto.lines().find_map(|line| name(line, "service ")).expect("a service");
            for line in proto.lines() {
                let Some(method) = name(line, "rpc ") else { continue };
                let method = format!("{service}/{method}");
                if line.contains("returns (stream") {
                    streaming.push(method.clone());
                }
                methods.push(method);
            }
        }
        assert_eq!(methods, METHODS);
        assert_eq!(streaming, STREAMING);
    }

    #[test]
    fn what_a_caller_writes_is_no_label() {
        assert_eq!(label("/matrix.v1.Souls/Ask"), "Souls/Ask");
        assert_eq!((label("/matrix.v1.Souls/Asks"), label("/"), label("")), (OTHER, OTHER, OTHER));
    }

    #[test]
    fn a_trace_parent_is_read_as_w3c_has_it() {
        let parse = |text: &str| {
            let headers = HeaderMap::from_iter([(
                tonic::codegen::http::HeaderName::from_static("traceparent"),
                text.parse().expect("a header"),
            )]);
            trace_parent(&headers)
        };
        let place = parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").expect("sound");
        assert_eq!((place.span_id, place.flags), (0xb7ad_6b71_6920_3331, 1));
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-+7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
