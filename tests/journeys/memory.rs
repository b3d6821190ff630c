//! Guests that want more memory than the system gives: the node refuses them, and the system need not end it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::Process;
use crate::project;

/// What the node's control group may have, in bytes.
const GROUP_BYTES: u64 = 1 << 30;
/// What guests may have of it: two thirds of what the node does not need itself.
const GUESTS_BYTES: u64 = (GROUP_BYTES - (192 << 20)) / 3 * 2;
/// Guests that would need more than that together: each touches all of its 16 MiB.
const SOULS: usize = 80;

/// A control group of this test, with a bound of memory; removed at the end.
struct Group(PathBuf);

impl Group {
    /// None: this machine, or whoever runs this, makes none.
    fn new(name: &str) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let (folder, bound) = match root.join("memory").is_dir() {
            true => (root.join("memory").join(name), "memory.limit_in_bytes"),
            false => (root.join(name), "memory.max"),
        };
        std::fs::create_dir(&folder).ok()?;
        let group = Self(folder);
        std::fs::write(group.0.join(bound), GROUP_BYTES.to_string()).ok()?;
        Some(group)
    }

    fn processes(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It is empty once the node has ended.
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn bytes(status: &Value, field: &str) -> u64 {
    status[field].as_u64().unwrap_or_else(|| panic!("{field}: {status}"))
}

#[test]
fn guests_cannot_make_the_system_end_the_node() {
    let Some(group) = Group::new(&format!("matrix-test-{}", std::process::id())) else {
        println!("left out: no control group can be made here");
        return;
    };
    let node = Process::start_in(&group.processes());
    let status = || node.matrix(&["status"]).remove(0);
    assert_eq!(bytes(&status(), "guest_memory_bytes_max"), GUESTS_BYTES, "it knows what it may have");
    let rogue = project().join("tests/programs/out/rogue.wasm");
    node.matrix(&["components", "push", &rogue.to_string_lossy(), "--name", "rogue"]);
    let mut refused = 0;
    for number in 0..SOULS {
        let soul = format!("hoarder-{number}");
        let spawned = node.command(&["souls", "spawn", &soul, "--component", "rogue"]).output();
        let grown = node.command(&["ask", &soul, "grow"]).output().expect("matrix can be run");
        let said = [spawned.expect("matrix can be run").stderr, grown.stderr].concat();
        if String::from_utf8_lossy(&said).contains("engine.guest_memory_bytes_max") {
            refused += 1;
        }
    }
    let (used, resident) = (bytes(&status(), "guest_memory_bytes"), bytes(&status(), "resident_bytes"));
    println!(
        "{refused} of {SOULS} were refused; guests have {} MiB, the node {} MiB",
        used >> 20,
        resident >> 20
    );
    assert!(refused > SOULS / 4 && used <= GUESTS_BYTES && resident < GROUP_BYTES);
    let top = node.matrix(&["top", "--once", "--sort", "memory", "-n", "5", "-i", "0.1"]).remove(0);
    let most = &top["guests"][0];
    assert!(bytes(most, "memory_bytes") > 14 << 20, "{most}");
    node.stop();
}
