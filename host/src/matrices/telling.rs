//! What a run has to tell of its ticks: kept back until they are in the hands of the operating system.

use std::collections::BTreeMap;

use serde::Serialize;

use super::course::News;
use super::host::report;
use crate::clock;
use crate::ids::{MatrixName, StateHash};
use crate::telemetry::instruments::MatrixMetrics;
use crate::telemetry::metrics::Stopwatch;
use crate::transport::bus::{Bus, Source};

/// A tick that was done.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its number: how many ticks were done after it.
    pub(crate) tick: u64,
    /// The hash of the rules' state after it.
    pub(crate) state: StateHash,
    /// Choices that its actions had, and that they lacked.
    pub(crate) given: u64,
    pub(crate) missed: u64,
    /// How many of these are missing because a player failed, and was not merely late.
    pub(crate) failed: u64,
    /// What the rules told.
    pub(crate) news: News,
}

/// How long the parts of a tick take.
#[derive(Debug)]
pub(crate) struct Clocks {
    pub(crate) ask: Stopwatch,
    pub(crate) step: Stopwatch,
    pub(crate) log: Stopwatch,
}

impl Clocks {
    pub(crate) fn new(metrics: &MatrixMetrics) -> Self {
        let part = |part| metrics.tick_seconds.stopwatch(part);
        Self { ask: part("ask"), step: part("step"), log: part("log") }
    }

    /// Passes on what it holds.
    pub(crate) fn flush(&mut self) {
        [&mut self.ask, &mut self.step, &mut self.log].into_iter().for_each(Stopwatch::flush);
    }
}

/// The event `matrix.tick`.
#[derive(Serialize)]
struct TickDetail {
    missed: u64,
    state_hash: String,
    tick: u64,
}

/// The event `matrix.signal`.
#[derive(Serialize)]
struct SignalDetail {
    signals: BTreeMap<String, f64>,
    tick: u64,
}

/// Publishes ticks that are written down, and counts them.
pub(crate) fn tell_all(bus: &Bus, matrix: &MatrixName, metrics: &MatrixMetrics, ticks: Vec<Done>) {
    metrics.ticks.add(ticks.len() as u64);
    let sum = |figure: fn(&Done) -> u64| ticks.iter().map(figure).sum();
    metrics.actions.add("given", sum(|done| done.given));
    metrics.actions.add("failed", sum(|done| done.failed));
    // Choices that were too long are among the late ones.
    metrics.actions.add("late", sum(|done| done.missed.saturating_sub(done.failed)));
    for Done { tick, state, missed, news, .. } in ticks {
        tell(bus, matrix, tick, news);
        report(bus, "matrix.tick", matrix, &TickDetail { missed, state_hash: state.to_string(), tick });
    }
}

/// Publishes what rules told.
pub(crate) fn tell(bus: &Bus, matrix: &MatrixName, tick: u64, news: News) {
    if news.dropped > 0 {
        tracing::warn!(%matrix, tick, dropped = news.dropped, "events or signals of rules were dropped");
    }
    for (kind, content) in news.events {
        bus.publish(format!("guest.{kind}"), Source::Matrix(matrix.clone()), content, clock::now_ms());
    }
    if !news.signals.is_empty() {
        let signals = news.signals.into_iter().collect();
        report(bus, "matrix.signal", matrix, &SignalDetail { signals, tick });
    }
}
