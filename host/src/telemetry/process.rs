//! What the operating system knows about this process.

use std::fs;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::metrics;
use crate::clock;

/// Observes the process under the names that Prometheus' own clients use, and tells what was built.
pub(super) fn observe(meter: &Meter) {
    let started = clock::now_ms() / 1000;
    let description = "When the node started, in seconds since the Unix epoch.";
    metrics::observe(meter, "process_start_time_seconds", description, move || started);
    let description = "Resident memory, in bytes.";
    metrics::observe(meter, "process_resident_memory_bytes", description, || resident_bytes().unwrap_or(0));
    let description = "Open file descriptors.";
    metrics::observe(meter, "process_open_fds", description, || open_files().unwrap_or(0));
    let version = KeyValue::new("version", env!("CARGO_PKG_VERSION"));
    let gauge = meter.u64_observable_gauge("matrix_build_info").with_description("What was built; always 1.");
    gauge.with_callback(move |observer| observer.observe(1, std::slice::from_ref(&version))).build();
}

/// The memory of this process that is in RAM, in bytes; none where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn open_files() -> Option<u64> {
    // Reading the folder opens it: that one is not counted.
    fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as u64).saturating_sub(1))
}
