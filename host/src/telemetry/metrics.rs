//! What metrics are made of. Which there are is in `instruments.rs`.
//!
//! A contended atomic costs more than handling a message. So whoever counts in a hot loop counts in a
//! plain number of its own, and adds it here once a batch; and what can be looked up is not counted
//! at all, but observed when it is asked for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{AsyncInstrument, Counter, Histogram, Meter};
use opentelemetry::{KeyValue, StringValue};
use prometheus::local::LocalHistogram;

/// Upper bounds, in seconds, of what calls into guests take: from 1 µs, the least that a call costs, to
/// 10 s, beyond which every deadline lies.
pub const CALL_SECONDS: [f64; 15] =
    [1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 1.0, 10.0];

/// Upper bounds, in seconds, of what involves a disk, a network or a compiler.
pub const SLOW_SECONDS: [f64; 13] =
    [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

/// After so many calls a [`Stopwatch`] passes on what it holds: often enough for a scrape, seldom enough
/// to cost nothing.
const STOPWATCH_CALLS_MAX: u32 = 256;

/// A figure that only grows. Clones add to the same figure.
#[derive(Debug, Clone)]
pub struct Total(Counter<u64>);

impl Total {
    pub(super) fn new(meter: &Meter, name: &'static str, description: &'static str) -> Self {
        Self(meter.u64_counter(name).with_description(description).build())
    }

    /// Adds `n`: once a batch, where it is hot.
    pub fn add(&self, n: u64) {
        if n > 0 {
            self.0.add(n, &[]);
        }
    }
}

/// Figures that only grow, told apart by one label. Its values are fixed in the program: what a guest
/// or a peer can choose must not become a label of what is counted, for each value costs memory for ever.
#[derive(Debug, Clone)]
pub struct TotalBy {
    counter: Counter<u64>,
    label: &'static str,
}

impl TotalBy {
    pub(super) fn new(
        meter: &Meter,
        name: &'static str,
        label: &'static str,
        description: &'static str,
    ) -> Self {
        Self { counter: meter.u64_counter(name).with_description(description).build(), label }
    }

    /// Adds `n` to the figure of this label value.
    pub fn add(&self, value: &'static str, n: u64) {
        if n > 0 {
            self.counter.add(n, &[KeyValue::new(self.label, value)]);
        }
    }
}

/// As [`TotalBy`], told apart by two labels.
#[derive(Debug, Clone)]
pub struct TotalByTwo {
    counter: Counter<u64>,
    labels: [&'static str; 2],
}

impl TotalByTwo {
    pub(super) fn new(
        meter: &Meter,
        name: &'static str,
        labels: [&'static str; 2],
        description: &'static str,
    ) -> Self {
        Self { counter: meter.u64_counter(name).with_description(description).build(), labels }
    }

    /// Adds `n` to the figure of these label values.
    pub fn add(&self, values: [&'static str; 2], n: u64) {
        let [first, second] = self.labels;
        if n > 0 {
            self.counter.add(n, &[KeyValue::new(first, values[0]), KeyValue::new(second, values[1])]);
        }
    }
}

/// As [`TotalByTwo`], the first label a name out of the node's configuration: there are few, and no guest adds one.
#[derive(Debug, Clone)]
pub(super) struct TotalByName {
    counter: Counter<u64>,
    labels: [&'static str; 2],
}

impl TotalByName {
    pub(super) fn new(
        meter: &Meter,
        name: &'static str,
        labels: [&'static str; 2],
        description: &'static str,
    ) -> Self {
        Self { counter: meter.u64_counter(name).with_description(description).build(), labels }
    }

    /// Adds one to the figure of this name and label value.
    pub(super) fn count(&self, name: &Arc<str>, value: &'static str) {
        let [first, second] = self.labels;
        let name = KeyValue::new(first, StringValue::from(name.clone()));
        self.counter.add(1, &[name, KeyValue::new(second, value)]);
    }
}

/// How long something took, told apart by one label with fixed values. For what takes its time: each
/// record costs a lock.
#[derive(Debug, Clone)]
pub struct SecondsBy {
    histogram: Histogram<f64>,
    label: &'static str,
}

impl SecondsBy {
    pub(super) fn new(
        meter: &Meter,
        name: &'static str,
        label: &'static str,
        description: &'static str,
    ) -> Self {
        let histogram = meter.f64_histogram(name).with_boundaries(SLOW_SECONDS.to_vec());
        Self { histogram: histogram.with_description(description).build(), label }
    }

    /// Records that something of this label value took `elapsed`.
    pub fn record(&self, value: &'static str, elapsed: Duration) {
        self.histogram.record(elapsed.as_secs_f64(), &[KeyValue::new(self.label, value)]);
    }
}

/// As [`SecondsBy`], the label a name out of the node's configuration.
#[derive(Debug, Clone)]
pub(super) struct SecondsByName(SecondsBy);

impl SecondsByName {
    pub(super) fn new(
        meter: &Meter,
        name: &'static str,
        label: &'static str,
        description: &'static str,
    ) -> Self {
        Self(SecondsBy::new(meter, name, label, description))
    }

    /// Records that something of this name took `elapsed`.
    pub(super) fn record(&self, name: &Arc<str>, elapsed: Duration) {
        let SecondsBy { histogram, label } = &self.0;
        histogram.record(elapsed.as_secs_f64(), &[KeyValue::new(*label, StringValue::from(name.clone()))]);
    }
}

/// How long calls took that are too quick for [`SecondsBy`].
#[derive(Debug, Clone)]
pub struct CallSeconds(prometheus::Histogram);

impl CallSeconds {
    /// `registry` is given directly: OpenTelemetry knows no histogram that is filled a batch at a time.
    pub(super) fn new(
        registry: &prometheus::Registry,
        name: &str,
        description: &str,
    ) -> Result<Self, prometheus::Error> {
        let options = prometheus::HistogramOpts::new(name, description).buckets(CALL_SECONDS.to_vec());
        let histogram = prometheus::Histogram::with_opts(options)?;
        registry.register(Box::new(histogram.clone()))?;
        Ok(Self(histogram))
    }

    /// A stopwatch for one owner, such as an actor.
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch { local: self.0.local(), held: 0 }
    }
}

/// How long something took that is too quick for [`SecondsBy`], told apart by one label with fixed values.
#[derive(Debug, Clone)]
pub struct QuickSecondsBy(prometheus::HistogramVec);

impl QuickSecondsBy {
    /// `registry` is given directly, as for [`CallSeconds`]; `bounds` are the buckets' upper ones, in seconds.
    pub(super) fn new(
        registry: &prometheus::Registry,
        name: &str,
        label: &'static str,
        description: &str,
        bounds: &[f64],
    ) -> Result<Self, prometheus::Error> {
        let options = prometheus::HistogramOpts::new(name, description).buckets(bounds.to_vec());
        let histograms = prometheus::HistogramVec::new(options, &[label])?;
        registry.register(Box::new(histograms.clone()))?;
        Ok(Self(histograms))
    }

    /// A stopwatch for what has this label value.
    pub fn stopwatch(&self, value: &'static str) -> Stopwatch {
        Stopwatch { local: self.0.with_label_values(&[value]).local(), held: 0 }
    }
}

/// One owner's share of a histogram: plain numbers, passed on after every 256 calls, by
/// [`Stopwatch::flush`], and when dropped.
pub struct Stopwatch {
    local: LocalHistogram,
    held: u32,
}

impl Stopwatch {
    /// Records a call that took `elapsed`.
    pub fn record(&mut self, elapsed: Duration) {
        self.local.observe(elapsed.as_secs_f64());
        self.held += 1;
        if self.held >= STOPWATCH_CALLS_MAX {
            self.flush();
        }
    }

    /// Passes on what it holds: before its owner goes to sleep.
    pub fn flush(&mut self) {
        if self.held > 0 {
            self.local.flush();
            self.held = 0;
        }
    }
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopwatch").field("held", &self.held).finish_non_exhaustive()
    }
}

/// A gauge that is looked up at each scrape: `look` must neither wait nor take a lock that is held for
/// long. It is kept as long as the telemetry: it must not keep its room alive (`Weak`).
pub(super) fn observe(
    meter: &Meter,
    name: &'static str,
    description: &'static str,
    look: impl Fn() -> u64 + Send + Sync + 'static,
) {
    let gauge = meter.u64_observable_gauge(name).with_description(description);
    gauge.with_callback(move |observer| observer.observe(look(), &[])).build();
}

/// As [`observe`], for several values of one label.
pub(super) fn observe_by<I: IntoIterator<Item = (&'static str, u64)>>(
    meter: &Meter,
    name: &'static str,
    label: &'static str,
    description: &'static str,
    look: impl Fn() -> I + Send + Sync + 'static,
) {
    let gauge = meter.u64_observable_gauge(name).with_description(description);
    gauge.with_callback(each(label, look)).build();
}

/// The same for figures that only grow.
pub(super) fn observe_total_by<I: IntoIterator<Item = (&'static str, u64)>>(
    meter: &Meter,
    name: &'static str,
    label: &'static str,
    description: &'static str,
    look: impl Fn() -> I + Send + Sync + 'static,
) {
    let counter = meter.u64_observable_counter(name).with_description(description);
    counter.with_callback(each(label, look)).build();
}

fn each<I: IntoIterator<Item = (&'static str, u64)>>(
    label: &'static str,
    look: impl Fn() -> I + Send + Sync + 'static,
) -> impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static {
    move |observer| {
        for (value, figure) in look() {
            observer.observe(figure, &[KeyValue::new(label, value)]);
        }
    }
}
