//! What is counted of what Souls ask of services and hosts outside the realm.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::Meter;

use crate::telemetry::metrics::{SecondsByName, TotalByName};

/// What `capabilities/grpc` counts, or `capabilities/http`. The labels are names of the node's configuration, and codes that this node
/// names: no guest can add one.
#[derive(Debug, Clone)]
pub struct OutsideMetrics {
    asked: TotalByName,
    seconds: SecondsByName,
}

impl OutsideMetrics {
    /// Of calls to services: `matrix_grpc_calls_total{endpoint,code}`, `matrix_grpc_call_seconds{endpoint}`.
    pub(super) fn grpc(meter: &Meter) -> Self {
        let calls = "Calls that Souls made to services, by what came of them.";
        let seconds = "How long calls to services took.";
        Self {
            asked: TotalByName::new(meter, "matrix_grpc_calls", ["endpoint", "code"], calls),
            seconds: SecondsByName::new(meter, "matrix_grpc_call_seconds", "endpoint", seconds),
        }
    }

    /// Of requests to hosts: `matrix_http_requests_total{host,code}`, `matrix_http_request_seconds{host}`, to the headers of the answer.
    /// The host is the configuration's pattern.
    pub(super) fn http(meter: &Meter) -> Self {
        let requests = "Requests that Souls sent to hosts, by the class of their answers.";
        let seconds = "How long hosts took to begin to answer.";
        Self {
            asked: TotalByName::new(meter, "matrix_http_requests", ["host", "code"], requests),
            seconds: SecondsByName::new(meter, "matrix_http_request_seconds", "host", seconds),
        }
    }

    /// Something that was asked of `whom` has ended so.
    pub fn asked(&self, whom: &Arc<str>, code: &'static str, took: Duration) {
        self.asked.count(whom, code);
        self.seconds.record(whom, took);
    }
}
