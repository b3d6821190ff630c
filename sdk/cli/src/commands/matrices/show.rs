//! Matrices as people and programs read them.

use matrix_proto::v1::{Matrix, MatrixState, RulesSwitch};
use serde_json::{Map, Value, json};

use crate::output::Style;
use crate::table::{self, Table};
use crate::{content, result, text};

/// A Matrix for programs.
pub(crate) fn json(matrix: &Matrix) -> Value {
    let manifest = matrix.manifest.clone().unwrap_or_default();
    let signals: Map<_, _> =
        matrix.signals.iter().map(|signal| (signal.name.clone(), json!(signal.value))).collect();
    let config = match manifest.config.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    };
    json!({
        "name": manifest.name,
        "rules": manifest.rules,
        "players": manifest.players,
        "config": config,
        "seed": manifest.seed,
        "tick_deadline_ms": manifest.tick_deadline_ms,
        "tick_interval_ms": manifest.tick_interval_ms,
        "call_fuel": manifest.call_fuel,
        "memory_bytes": manifest.memory_bytes,
        "state": state_name(matrix.state()),
        "reason": matrix.reason,
        "tick": matrix.tick,
        "signals": signals,
        "state_hash": matrix.state_hash,
        "missed_actions": matrix.missed_actions,
        "node": matrix.node,
        "copies": matrix.copies,
        "generation": matrix.generation,
        "switches": matrix.switches.iter().map(switch).collect::<Vec<_>>(),
        "result": matrix.result.as_ref().map(content::json),
    })
}

fn switch(switch: &RulesSwitch) -> Value {
    let RulesSwitch { tick, before, after, state_hash } = switch;
    json!({ "tick": tick, "before": before, "after": after, "state_hash": state_hash })
}

/// A Matrix for people: its manifest, its state, its result and its signals.
pub(super) fn human(style: &Style, matrix: &Matrix) -> String {
    let manifest = matrix.manifest.clone().unwrap_or_default();
    let copies: Vec<_> = matrix.copies.iter().map(ToString::to_string).collect();
    let switches = matrix.switches.iter().map(|switch| {
        let [before, after] = [&switch.before, &switch.after].map(|digest| text::short_digest(digest));
        format!("{before} to {after} after tick {}", switch.tick)
    });
    let fields = table::fields(
        style,
        [
            ("name", manifest.name),
            ("state", state_name(matrix.state()).to_owned()),
            ("reason", matrix.reason.clone()),
            ("tick", matrix.tick.to_string()),
            ("rules", manifest.rules),
            ("swapped", switches.collect::<Vec<_>>().join(", ")),
            ("players", manifest.players.join(", ")),
            ("config", manifest.config),
            ("seed", manifest.seed.to_string()),
            ("missed", matrix.missed_actions.to_string()),
            ("hash", matrix.state_hash.clone()),
            ("node", matrix.node.to_string()),
            ("copies", copies.join(", ")),
        ],
    );
    let found = matrix.result.as_ref().map(|result| result::human(style, result)).unwrap_or_default();
    let mut parts = vec![fields, found, result::signals(style, &matrix.signals)];
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// Matrices, one a row.
pub(super) fn table(style: &Style, matrices: &[Matrix]) -> String {
    let mut table =
        Table::new(["NAME", "NODE", "STATE", "TICK", "PLAYERS", "SEED", "MISSED", "RULES", "REASON"]);
    for matrix in matrices {
        let manifest = matrix.manifest.clone().unwrap_or_default();
        table.row([
            manifest.name,
            matrix.node.to_string(),
            state_name(matrix.state()).to_owned(),
            matrix.tick.to_string(),
            manifest.players.len().to_string(),
            manifest.seed.to_string(),
            matrix.missed_actions.to_string(),
            text::short_digest(&manifest.rules),
            matrix.reason.clone(),
        ]);
    }
    table.render(style, "no Matrices: `matrix matrices create` or `matrix apply` makes one")
}

/// A Matrix in one line.
pub(crate) fn summary(matrix: &Matrix) -> String {
    let state = state_name(matrix.state());
    let name = text::one_line(name(matrix));
    let hash = text::one_line(&matrix.state_hash);
    format!("{name} {state} at tick {}, {} missed, {hash}", matrix.tick, matrix.missed_actions)
}

/// A Matrix's name.
pub(crate) fn name(matrix: &Matrix) -> &str {
    matrix.manifest.as_ref().map(|manifest| manifest.name.as_str()).unwrap_or_default()
}

/// What a Matrix is doing, in a word.
pub(crate) const fn state_name(state: MatrixState) -> &'static str {
    match state {
        MatrixState::Unspecified => "-",
        MatrixState::Paused => "paused",
        MatrixState::Running => "running",
        MatrixState::Finished => "finished",
        MatrixState::Stopped => "stopped",
        MatrixState::Failed => "failed",
    }
}
