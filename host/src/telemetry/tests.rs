//! Telemetry as a whole.

use std::time::Duration;

use super::instruments::{KvFigures, RuntimeFigures, SoulStates, TransportFigures};
use super::trace::{SpanPlace, current_place, set_parent};
use super::*;

fn telemetry() -> Telemetry {
    Telemetry::new(TelemetryConfig::default(), "n1").expect("the default works")
}

fn assert_shows(telemetry: &Telemetry, lines: &[&str]) {
    let text = telemetry.render().expect("every metric is sound");
    for line in lines {
        assert!(text.lines().any(|shown| shown == *line), "no line `{line}` in:\n{text}");
    }
}

#[test]
fn every_counter_has_its_name() {
    let telemetry = telemetry();
    let metrics = telemetry.metrics();
    metrics.refusals.add("mailbox_messages", 2);
    metrics.souls.turns.add(64);
    metrics.souls.turns.add(0);
    metrics.souls.failures.add("trap", 1);
    metrics.souls.checkpoints.add("saved", 1);
    metrics.matrices.ticks.add(5);
    metrics.matrices.actions.add("late", 1);
    metrics.runtime.instantiations.add(1);
    metrics.runtime.refused.add(1);
    metrics.runtime.slow_calls.add(1);
    metrics.transport.delivered.add(64);
    metrics.transport.delivered.clone().add(64);
    metrics.transport.undelivered.add("denied", 1);
    metrics.admin.requests.add("NOT_FOUND", 1);
    let shown = [
        r#"matrix_refusals_total{limit="mailbox_messages"} 2"#,
        "# TYPE matrix_soul_turns_total counter",
        "matrix_soul_turns_total 64",
        r#"matrix_soul_failures_total{reason="trap"} 1"#,
        r#"matrix_soul_checkpoints_total{result="saved"} 1"#,
        "matrix_ticks_total 5",
        r#"matrix_actions_total{result="late"} 1"#,
        "matrix_instantiations_total 1",
        "matrix_components_refused_total 1",
        "matrix_slow_calls_total 1",
        "matrix_messages_delivered_total 128",
        r#"matrix_messages_undelivered_total{reason="denied"} 1"#,
        r#"matrix_requests_total{code="NOT_FOUND"} 1"#,
        r#"matrix_build_info{version="0.1.0"} 1"#,
    ];
    assert_shows(&telemetry, &shown);
}

#[test]
fn gauges_are_looked_up_when_asked_for() {
    let telemetry = telemetry();
    let metrics = telemetry.metrics();
    metrics.souls.observe(|| SoulStates { running: 3, failed: 1, ..SoulStates::default() });
    metrics.matrices.observe(|| 4);
    metrics.runtime.observe(|| RuntimeFigures {
        instances: 5,
        memory_bytes: 6,
        memory_bytes_max: 13,
        components: 7,
        code_bytes: 14,
    });
    metrics.transport.observe(|| TransportFigures { waiting: 8, events: 9, subscribers: 10 });
    metrics.kv.observe(|| KvFigures { term: 11, leader: 1, fsyncs: 2, ..KvFigures::default() });
    metrics.process.observe_tasks(|| 12);
    let shown = [
        r#"matrix_souls{state="running"} 3"#,
        r#"matrix_souls{state="passive"} 0"#,
        r#"matrix_souls{state="failed"} 1"#,
        "matrix_matrices 4",
        "matrix_instances 5",
        "matrix_guest_memory_bytes 6",
        "matrix_guest_memory_bytes_max 13",
        "matrix_components_loaded 7",
        "matrix_component_code_bytes 14",
        "matrix_mailbox_messages 8",
        "matrix_events 9",
        "matrix_event_subscribers 10",
        r#"matrix_kv_state{figure="term"} 11"#,
        r#"matrix_kv_state{figure="leader"} 1"#,
        r#"matrix_kv_operations_total{operation="fsync"} 2"#,
        "matrix_tasks 12",
    ];
    assert_shows(&telemetry, &shown);
    let text = telemetry.render().expect("every metric is sound");
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"] {
        let figure = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        assert!(figure.is_some_and(|figure| figure > 1.0), "{name}: {figure:?}");
    }
}

#[test]
fn a_stopwatch_passes_on_what_it_holds() {
    let telemetry = telemetry();
    let mut stopwatch = telemetry.metrics().runtime.call_seconds.stopwatch();
    for _ in 0..255 {
        stopwatch.record(Duration::from_nanos(1500));
    }
    assert_shows(&telemetry, &["matrix_call_seconds_count 0"]);
    stopwatch.record(Duration::from_millis(30));
    let shown = [
        r#"matrix_call_seconds_bucket{le="0.000001"} 0"#,
        r#"matrix_call_seconds_bucket{le="0.000002"} 255"#,
        r#"matrix_call_seconds_bucket{le="0.05"} 256"#,
        "matrix_call_seconds_count 256",
    ];
    assert_shows(&telemetry, &shown);
    stopwatch.record(Duration::from_secs(60));
    drop(stopwatch);
    assert_shows(&telemetry, &[r#"matrix_call_seconds_bucket{le="+Inf"} 257"#]);
}

#[test]
fn slow_steps_are_recorded_by_label() {
    let telemetry = telemetry();
    let metrics = telemetry.metrics();
    metrics.matrices.tick_seconds.stopwatch("ask").record(Duration::from_millis(20));
    metrics.admin.request_seconds.record("Souls/Spawn", Duration::from_micros(120));
    let shown = [
        r#"matrix_tick_seconds_count{part="ask"} 1"#,
        r#"matrix_request_seconds_bucket{method="Souls/Spawn",le="0.0001"} 0"#,
        r#"matrix_request_seconds_bucket{method="Souls/Spawn",le="0.00025"} 1"#,
    ];
    assert_shows(&telemetry, &shown);
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let config = TelemetryConfig { otlp_endpoint: Some("https://x:1".into()), ..Default::default() };
    let error = Telemetry::new(config, "n1").expect_err("no TLS here");
    assert!(error.to_string().starts_with("`otlp_endpoint` is `https://x:1`"), "{error}");
    let config = TelemetryConfig { log_level: "=,[".into(), ..Default::default() };
    let telemetry = Telemetry::new(config, "n1").expect("read later");
    let error = telemetry.install().expect_err("no level");
    assert!(error.to_string().starts_with("`log_level` is `=,[`"), "{error}");
    assert!(toml::from_str::<TelemetryConfig>("log_format = \"json\"").is_ok());
    assert!(toml::from_str::<TelemetryConfig>("log_colour = 1").is_err());
}

#[test]
fn a_trace_goes_on_from_node_to_node() {
    let exporter = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let config = TelemetryConfig { log_level: "off".into(), ..Default::default() };
    let subscriber = trace::subscriber(&config, telemetry().logs, Some(&exporter)).expect("sound");
    tracing::subscriber::with_default(subscriber, || {
        assert_eq!(current_place(), None);
        let span = tracing::info_span!("receive");
        set_parent(&span, SpanPlace { trace_id: 1 << 100, span_id: 7, flags: 1 });
        let place = span.in_scope(current_place).expect("in a span");
        assert_eq!((place.trace_id, place.flags), (1 << 100, 1));
        assert_ne!(place.span_id, 7);
        let noise = tracing::info_span!(target: "h2::codec", "frame");
        assert_eq!(noise.in_scope(current_place), None);
    });
}
