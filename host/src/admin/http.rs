//! HTTP for machines that watch: `/metrics`, `/livez`, `/readyz`. No secrets, no changes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::desk::Desk;
use crate::telemetry::Telemetry;

/// The media type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone)]
struct Shown {
    desk: Arc<Desk>,
    telemetry: Arc<Telemetry>,
}

/// The pages.
pub(super) fn pages(desk: Arc<Desk>, telemetry: Arc<Telemetry>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(Shown { desk, telemetry })
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.telemetry.render() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn readyz(State(shown): State<Shown>) -> Response {
    let readiness = shown.desk.readiness.borrow().clone();
    if readiness.ready {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", readiness.reason)).into_response()
}
