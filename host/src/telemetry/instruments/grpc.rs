//! What is counted of calls to services outside the realm.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::Meter;

use crate::telemetry::metrics::{SecondsByName, TotalByName};

/// What `capabilities/grpc` counts. The labels are names of the node's configuration, and codes of gRPC: no guest can add one.
#[derive(Debug, Clone)]
pub struct GrpcMetrics {
    calls: TotalByName,
    seconds: SecondsByName,
}

impl GrpcMetrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let calls = "Calls that Souls made to services, by what came of them.";
        let seconds = "How long calls to services took.";
        Self {
            calls: TotalByName::new(meter, "matrix_grpc_calls", ["endpoint", "code"], calls),
            seconds: SecondsByName::new(meter, "matrix_grpc_call_seconds", "endpoint", seconds),
        }
    }

    /// A call to an endpoint has ended: `matrix_grpc_calls_total{endpoint,code}`, `matrix_grpc_call_seconds{endpoint}`.
    pub fn called(&self, endpoint: &Arc<str>, code: &'static str, took: Duration) {
        self.calls.count(endpoint, code);
        self.seconds.record(endpoint, took);
    }
}
