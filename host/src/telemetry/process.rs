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

/// The memory that this process can have, in bytes: the machine's, or less where a control group says so;
/// none where the system does not tell.
pub fn memory_bytes_max() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups).into_iter();
    // `max`, and the nearly endless number of the first version, leave what the machine has.
    let limits = limits.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    machine.into_iter().chain(limits).min()
}

/// What a node takes for itself, with nothing in it, in bytes. Measured: a debug program has 100 MiB of its own and 84
/// of its file, a release one 91 and 34. The file counts: where its pages do not fit, every thread waits for the disk.
const OWN_BYTES: u64 = 192 << 20;

/// The part of what this process can have that is for what it holds for others, in bytes: all but its own, and at
/// least half; none where the system does not tell.
pub fn room_bytes() -> Option<u64> {
    memory_bytes_max().map(room_of)
}

fn room_of(all: u64) -> u64 {
    all.saturating_sub(OWN_BYTES).max(all / 2)
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Where the limits of a process's control groups are, and of the groups around them.
fn limit_files(groups: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            some if some.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            found.push(format!("{root}{path}/{file}"));
            match path.rsplit_once('/') {
                Some((outer, _)) => path = outer,
                None => break,
            }
        }
    }
    found
}

fn open_files() -> Option<u64> {
    // Reading the folder opens it: that one is not counted.
    fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_all_groups_around_a_process_are_looked_up() {
        assert_eq!(
            limit_files("4:cpu,memory:/a/b\n1:name=systemd:/x\n0::/\n"),
            [
                "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(total_bytes("Foo: 1 kB\nMemTotal:       16 kB\n"), Some(16 * 1024));
        assert!(memory_bytes_max().is_some_and(|bytes| bytes > 64 << 20));
    }

    #[test]
    fn the_node_itself_has_room_also_where_there_is_little() {
        assert_eq!([64u64, 256, 512, 8192].map(|mib| room_of(mib << 20) >> 20), [32, 128, 320, 8000]);
    }
}
