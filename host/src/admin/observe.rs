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

use super::roles;
use crate::tasks::{alert, post};
use crate::telemetry::instruments::AdminMetrics;
use crate::telemetry::trace::{SpanPlace, set_parent};

/// What stands for any other method: what a caller writes must not become a label.
const OTHER: &str = "other";

/// What it takes to observe.
#[derive(Debug)]
pub(super) struct Observer {
    pub(super) metrics: AdminMetrics,
    /// Whether spans are exported: nobody else reads how a call ended there.
    pub(super) exports_spans: bool,
}

/// Runs a call in a span of its own, the child of the caller's if it names one, and counts it. A call
/// that is given up before it answers counts as `CANCELLED`.
pub(super) async fn observe(State(observer): State<Arc<Observer>>, request: Request, next: Next) -> Response {
    alert::stir();
    let known = roles::method(request.uri().path());
    let (method, streams) = known.map_or((OTHER, false), |known| (known.name, known.streams));
    let span = tracing::info_span!("request", method, caller = Empty, code = Empty);
    if let Some(place) = trace_parent(request.headers()) {
        set_parent(&span, place);
    }
    let mut count = Count { observer, method, streams, started: Instant::now(), code: Code::Cancelled };
    let answered = async move {
        let response = next.run(request).await;
        // What goes wrong in the midst of a stream is told at its end, and counted as begun.
        count.code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
        drop(count);
        response
    };
    post::by_post(answered).instrument(span).await
}

/// Counts a call when it is dropped, however it ended.
struct Count {
    observer: Arc<Observer>,
    method: &'static str,
    streams: bool,
    started: Instant,
    code: Code,
}

impl Drop for Count {
    fn drop(&mut self) {
        let code = matrix_proto::code_name(self.code);
        let Observer { metrics, exports_spans } = &*self.observer;
        if *exports_spans {
            tracing::Span::current().record("code", code);
        }
        let elapsed = self.started.elapsed();
        tracing::debug!(code, micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), "answered");
        metrics.requests.add(code, 1);
        // How long a stream takes says nothing.
        if !self.streams {
            metrics.request_seconds.record(self.method, elapsed);
        }
    }
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
