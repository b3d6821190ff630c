//! `matrix status`.

use matrix_proto::v1::{RaftStatus, SoulCounts, StatusRequest, StatusResponse};
use serde_json::{Value, json};

use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::{table, text};

/// Shows how the node is.
pub(crate) async fn run(session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let status =
        node.call("the node", StatusRequest {}, async |request| node.cluster().status(request).await).await?;
    session.output.show(&json(&status), |style| human(style, &status))
}

fn json(status: &StatusResponse) -> Value {
    let souls = status.souls.unwrap_or_default();
    let raft = status.raft.clone().unwrap_or_default();
    json!({
        "node_id": status.node_id,
        "version": status.version,
        "uptime_ms": status.uptime_ms,
        "ready": status.ready,
        "reason": status.reason,
        "souls": {
            "running": souls.running,
            "passive": souls.passive,
            "backing_off": souls.backing_off,
            "stopped": souls.stopped,
            "failed": souls.failed,
        },
        "matrices": status.matrices,
        "components": status.components,
        "raft": {
            "role": raft.role,
            "term": raft.term,
            "applied": raft.applied,
            "revision": raft.revision,
        },
        "addresses": status.addresses,
        "event_sequence": status.event_sequence,
        "resident_bytes": status.resident_bytes,
        "data_dir": status.data_dir,
        "messages": status.messages,
        "guest_memory_bytes": status.guest_memory_bytes,
        "guest_memory_bytes_max": status.guest_memory_bytes_max,
        "realm": status.realm,
        "node": status.node,
        "nodes": status.nodes,
        "nodes_alive": status.nodes_alive,
        "peers_connected": status.peers_connected,
        "peer_addresses": status.peer_addresses,
        "links_down": status.links_down,
    })
}

fn human(style: &Style, status: &StatusResponse) -> String {
    let ready = if status.ready { "ready" } else { "not ready" };
    let reason = if status.reason.is_empty() { String::new() } else { format!(": {}", status.reason) };
    table::fields(
        style,
        [
            ("node", status.node_id.clone()),
            ("state", format!("{ready}{reason}")),
            ("realm", realm(status)),
            ("version", status.version.clone()),
            ("uptime", text::duration(status.uptime_ms)),
            ("souls", souls(&status.souls.unwrap_or_default())),
            ("matrices", status.matrices.to_string()),
            ("components", status.components.to_string()),
            ("messages", status.messages.to_string()),
            ("kv", status.raft.as_ref().map(raft).unwrap_or_default()),
            ("events", status.event_sequence.to_string()),
            ("memory", text::bytes(status.resident_bytes)),
            ("of guests", guests(status)),
            ("data", status.data_dir.clone()),
            ("listens", status.addresses.join(", ")),
            ("peers", peers(status)),
        ],
    )
}

fn peers(status: &StatusResponse) -> String {
    match status.peer_addresses.is_empty() {
        true => String::new(),
        false => {
            let down = match status.links_down {
                0 => String::new(),
                down => format!(", {down} links down"),
            };
            format!("{} connected{down}, on {}", status.peers_connected, status.peer_addresses.join(", "))
        }
    }
}

fn realm(status: &StatusResponse) -> String {
    match status.nodes {
        0 => String::new(),
        nodes => format!("{}, {} of {nodes} nodes alive", status.realm, status.nodes_alive),
    }
}

fn guests(status: &StatusResponse) -> String {
    let [used, max] = [status.guest_memory_bytes, status.guest_memory_bytes_max].map(text::bytes);
    format!("{used} of {max}")
}

fn souls(counts: &SoulCounts) -> String {
    let all = [
        ("running", counts.running),
        ("passive", counts.passive),
        ("backing off", counts.backing_off),
        ("stopped", counts.stopped),
        ("failed", counts.failed),
    ];
    let present: Vec<_> =
        all.iter().filter(|(_, count)| *count > 0).map(|(state, count)| format!("{count} {state}")).collect();
    if present.is_empty() { "0".to_owned() } else { present.join(", ") }
}

fn raft(raft: &RaftStatus) -> String {
    format!("{}, term {}, applied {}, revision {}", raft.role, raft.term, raft.applied, raft.revision)
}
