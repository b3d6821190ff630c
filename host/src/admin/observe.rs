//! One span a call, and one count.

use std::sync::Arc;
use std::time::Instant;

use tonic::codegen::http::{HeaderMap, Response};
use tonic::{Code, Status};
use tracing::Span;
use tracing::field::Empty;

use super::auth::Caller;
use super::roles::Method;
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

impl Observer {
    /// The span of a call, the child of its caller's if that names one, and the call's count.
    pub(super) fn watch(
        self: &Arc<Self>,
        method: Option<&Method>,
        caller: Option<&Caller>,
        headers: &HeaderMap,
    ) -> (Span, Count) {
        let (method, streams) = method.map_or((OTHER, false), |method| (method.name, method.streams));
        let caller = caller.map(|caller| caller.as_str());
        let span = tracing::info_span!("request", method, caller, code = Empty);
        if let Some(place) = trace_parent(headers) {
            set_parent(&span, place);
        }
        let observer = Arc::clone(self);
        (span, Count { observer, method, streams, started: Instant::now(), code: Code::Cancelled })
    }
}

/// Counts a call when it is dropped, however it ended: one that is given up before it answers counts as `CANCELLED`.
pub(super) struct Count {
    observer: Arc<Observer>,
    method: &'static str,
    streams: bool,
    started: Instant,
    code: Code,
}

impl Count {
    /// The call was answered. What goes wrong in the midst of a stream is told at its end, and counted as begun.
    pub(super) fn answered<B>(mut self, response: &Response<B>) {
        self.code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
    }
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
