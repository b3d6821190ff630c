//! Who may name whom.

use crate::rust::{code, paths};
use crate::tree::File;

/// The rooms of `host/src`, from the top down; rooms in one row are neighbours. A room may name what
/// lies in rows below its own.
const ROWS: [&[&str]; 14] = [
    &["main", "lib"],
    &["node"],
    &["config"],
    &["admin"],
    &["backup", "portable", "bench"],
    &["matrices", "learning"],
    &["souls"],
    &["runtime", "capabilities"],
    &["realm", "memory"],
    &["transport"],
    &["kv"],
    &["p2p"],
    &["telemetry", "rollout"],
    &["ids", "tasks", "clock"],
];

/// Neighbours that may name each other: the generated bindings lie in the one, their bodies in the
/// other.
const ENTWINED: [&str; 2] = ["runtime", "capabilities"];

/// Libraries, and the only places in `host/src` that may name them.
const CRATES: [(&[&str], &[&str]); 9] = [
    (&["wasmtime", "wasmtime_wasi"], &["runtime/", "capabilities/"]),
    (&["wasmtime_wasi_http", "http_body_util"], &["capabilities/http/"]),
    (&["hyper", "hyper_util"], &["capabilities/http/", "admin/serving.rs"]),
    (&["openraft", "redb"], &["kv/"]),
    (&["libp2p", "libp2p_stream"], &["p2p/"]),
    (
        &["tonic", "tonic_health", "tonic_reflection", "tonic_types"],
        &["admin/", "admin.rs", "capabilities/grpc/"],
    ),
    // What is said at the door, and what nodes say to each other.
    (
        &["matrix_proto"],
        &[
            "admin/",
            "backup/",
            "portable/",
            "p2p/",
            "kv/",
            "transport/",
            "realm/",
            "memory/",
            "runtime/exchange.rs",
            "runtime/signatures.rs",
            "runtime/components.rs",
            "runtime/catalog.rs",
            "souls/",
            "matrices/copies/",
            "learning/",
        ],
    ),
    (&["anyhow"], &["main.rs", "node.rs", "node/", "config.rs"]),
    (&["opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp", "prometheus"], &["telemetry/"]),
];

/// What decides over votes, leases and connections, and must not see the wall clock.
const TIMELESS: [&str; 5] = ["kv/", "p2p/", "realm/lease.rs", "realm/membership.rs", "matrices/copies/"];

/// The one place where tasks are spawned.
const SPAWNER: &str = "host/src/tasks.rs";

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&room))
}

/// The file's place in `host/src`.
fn place(file: &File) -> &str {
    file.path.strip_prefix("host/src/").unwrap_or(&file.path)
}

/// The modules that lead to the file: `kv/log/reader.rs` is `kv`, `log`, `reader`.
fn modules(file: &File) -> Vec<&str> {
    let mut modules: Vec<_> = place(file).trim_end_matches(".rs").split('/').collect();
    modules.pop_if(|last| *last == "mod");
    modules
}

/// Where a room names one that is not below it.
pub(crate) fn imports_upward(file: &File) -> Vec<String> {
    let modules = modules(file);
    let from = modules[0];
    let Some(from_row) = row(from) else {
        return vec![file.finding(1, &format!("the room `{from}` is unknown: give it its row in ROWS"))];
    };
    let mut found = vec![];
    for path in paths(&code(&file.text)) {
        let supers = path.segments.iter().take_while(|segment| *segment == "super").count();
        let named = match path.segments[0].as_str() {
            "crate" => path.segments.get(1),
            "super" if supers >= modules.len() => path.segments.get(supers),
            _ => None,
        };
        let Some((to, to_row)) = named.and_then(|to| row(to).map(|row| (to.as_str(), row))) else { continue };
        let entwined = ENTWINED.contains(&from) && ENTWINED.contains(&to);
        if to != from && to_row <= from_row && !entwined {
            found.push(file.finding(path.line, &format!("`{from}` names `{to}`, which is not below it")));
        }
    }
    found
}

/// Where a library is named outside the rooms that own it.
pub(crate) fn crates_outside(file: &File) -> Vec<String> {
    let mut found = vec![];
    for path in paths(&code(&file.text)) {
        let name = path.segments[0].as_str();
        let Some((_, owners)) = CRATES.iter().find(|(names, _)| names.contains(&name)) else { continue };
        // A name alone may be a variable or a module of the room's own; `use` of it is seen below.
        let is_path = path.segments.len() > 1 || used_alone(file, path.line, name);
        if is_path && !owners.iter().any(|owner| place(file).starts_with(owner)) {
            found.push(file.finding(path.line, &format!("`{name}` belongs in {}", owners.join(", "))));
        }
    }
    found
}

fn used_alone(file: &File, line: usize, name: &str) -> bool {
    let text = file.text.lines().nth(line - 1).unwrap_or_default().trim_start().trim_start_matches("pub ");
    text.strip_prefix("use ").is_some_and(|used| used.starts_with(name))
}

/// Where a task is spawned past `tasks.rs`.
pub(crate) fn spawns(file: &File) -> Vec<String> {
    if file.path == SPAWNER {
        return vec![];
    }
    let spawns = |segments: &[String]| {
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        matches!(
            segments[..],
            ["tokio", "spawn"]
                | ["tokio", "task", "spawn" | "spawn_local"]
                | ["task", "spawn" | "spawn_local"]
        )
    };
    named(file, spawns, "a task is spawned here")
}

/// Where a channel has no bound.
pub(crate) fn unbounded(file: &File) -> Vec<String> {
    let unbounded = |segments: &[String]| {
        let last = segments.last().map_or("", String::as_str);
        matches!(last, "unbounded_channel" | "UnboundedSender" | "UnboundedReceiver" | "unbounded")
            || segments.join("::").ends_with("std::sync::mpsc::channel")
    };
    named(file, unbounded, "a channel without bound")
}

/// Where what must not see the wall clock reads it.
pub(crate) fn reads_the_clock(file: &File) -> Vec<String> {
    if !TIMELESS.iter().any(|room| place(file).starts_with(room)) {
        return vec![];
    }
    let reads = |segments: &[String]| {
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        segments.starts_with(&["crate", "clock"]) || segments.contains(&"SystemTime")
    };
    named(file, reads, "the wall clock is read here")
}

fn named(file: &File, wanted: impl Fn(&[String]) -> bool, what: &str) -> Vec<String> {
    let hits = paths(&code(&file.text)).into_iter().filter(|path| wanted(&path.segments));
    hits.map(|path| file.finding(path.line, what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sample;

    #[test]
    fn a_name_from_above_is_found() {
        let bad = sample(
            "host/src/kv/mod.rs",
            "use crate::{ids::Digest,\n souls::Soul};\nfn f(x: super::admin::X) {}",
        );
        assert_eq!(
            imports_upward(&bad),
            [
                "host/src/kv/mod.rs:2: `kv` names `souls`, which is not below it",
                "host/src/kv/mod.rs:3: `kv` names `admin`, which is not below it",
            ]
        );
        let good = "use crate::p2p::X; use super::admin; // crate::souls\nconst A: &str = \"crate::node\";";
        assert!(imports_upward(&sample("host/src/kv/log/reader.rs", good)).is_empty());
        assert_eq!(imports_upward(&sample("host/src/p2p/mod.rs", good)).len(), 1);
        let bindings = "use crate::runtime::bindings; use crate::capabilities::kv;";
        assert!(imports_upward(&sample("host/src/capabilities/events.rs", bindings)).is_empty());
        assert_eq!(imports_upward(&sample("host/src/attic.rs", "")).len(), 1);
    }

    #[test]
    fn a_library_outside_its_room_is_found() {
        let text = "use wasmtime;\nfn f(redb: u8) { redb + 1; anyhow::bail!(\"tonic::x\") }\nuse tonic as t;";
        let lines = |path| crates_outside(&sample(path, text)).len();
        assert_eq!((lines("host/src/souls/actor.rs"), lines("host/src/runtime/engine.rs")), (3, 2));
        assert_eq!((lines("host/src/capabilities/grpc/mod.rs"), lines("host/src/node.rs")), (1, 2));
    }

    #[test]
    fn a_lease_that_reads_the_clock_is_found() {
        let text =
            "use crate::clock;\nuse std::time::{Duration, SystemTime};\nfn f() { crate::clock::now_ms() }";
        let lines = |path| reads_the_clock(&sample(path, text)).len();
        assert_eq!((lines("host/src/realm/lease.rs"), lines("host/src/kv/lease.rs")), (3, 3));
        assert_eq!(lines("host/src/realm/join.rs"), 0);
    }

    #[test]
    fn spawning_and_unbounded_channels_are_found() {
        let text = "tokio::spawn(f);\nuse tokio::{task::spawn, sync::mpsc::unbounded_channel};\n\
                    tasks.spawn(g); std::sync::mpsc::channel(); std::sync::mpsc::sync_channel(1);";
        let file = sample("host/src/souls/actor.rs", text);
        assert_eq!((spawns(&file).len(), unbounded(&file).len()), (2, 2));
        assert!(spawns(&sample(SPAWNER, text)).is_empty());
    }
}
