//! Matrices: manifests on their way in, views and errors on their way out.

use matrix_proto::v1;
use tonic::{Code, Status};

use super::{Failure, bad_id, content_to, missing};
use crate::ids::{Digest, SoulName};
use crate::matrices::{
    Difference, LogError, MatrixError, MatrixManifest, MatrixState, MatrixView, Rehearsal, ReplayProgress,
    Switch,
};

/// The manifest that a caller gives; `rules` is the digest that its rules' name stands for. What is too
/// long or too large is found by `MatrixManifest::check`.
pub(in crate::admin) fn matrix_manifest(
    given: v1::MatrixManifest,
    rules: Digest,
) -> Result<MatrixManifest, Status> {
    let player = |(place, name): (usize, &String)| {
        name.parse::<SoulName>().map_err(|error| bad_id(&format!("manifest.players[{place}]"), &error))
    };
    Ok(MatrixManifest {
        name: given.name.parse().map_err(|error| bad_id("manifest.name", &error))?,
        rules,
        players: given.players.iter().enumerate().map(player).collect::<Result<_, _>>()?,
        config: given.config,
        seed: given.seed,
        tick_deadline_ms: given.tick_deadline_ms,
        call_fuel: given.call_fuel,
        memory_bytes: given.memory_bytes,
        tick_interval_ms: given.tick_interval_ms,
    })
}

/// The manifest of a message, which must have one that names its rules.
pub(in crate::admin) fn required_matrix(
    given: Option<v1::MatrixManifest>,
) -> Result<v1::MatrixManifest, Status> {
    let manifest = given.ok_or_else(|| missing("manifest"))?;
    if manifest.rules.is_empty() { Err(missing("manifest.rules")) } else { Ok(manifest) }
}

/// A Matrix as callers see it.
pub(in crate::admin) fn matrix(view: &MatrixView) -> v1::Matrix {
    let manifest = &view.manifest;
    let metric = |(name, value): (&String, &f64)| v1::Metric { name: name.clone(), value: *value };
    v1::Matrix {
        manifest: Some(v1::MatrixManifest {
            name: manifest.name.to_string(),
            rules: manifest.rules.to_string(),
            players: manifest.players.iter().map(ToString::to_string).collect(),
            config: manifest.config.clone(),
            seed: manifest.seed,
            tick_deadline_ms: manifest.tick_deadline_ms,
            call_fuel: manifest.call_fuel,
            memory_bytes: manifest.memory_bytes,
            tick_interval_ms: manifest.tick_interval_ms,
        }),
        state: state(view.state).into(),
        reason: view.reason.clone(),
        tick: view.tick,
        signals: view.signals.iter().map(metric).collect(),
        state_hash: view.state_hash.to_string(),
        missed_actions: view.missed_actions,
        result: view.result.as_ref().map(content_to),
        node: view.home.node,
        copies: view.home.copies.iter().copied().collect(),
        generation: view.home.generation,
        switches: view.switches.iter().map(switch).collect(),
    }
}

fn switch(switch: &Switch) -> v1::RulesSwitch {
    v1::RulesSwitch {
        tick: switch.tick,
        before: switch.before.to_string(),
        after: switch.after.to_string(),
        state_hash: switch.state.to_string(),
    }
}

/// What would come of a swap, for callers.
pub(in crate::admin) fn rehearsal(found: &Rehearsal) -> v1::Rehearsal {
    let difference = |found: &Difference| v1::RehearsalDifference {
        tick: found.tick,
        what: found.what.to_owned(),
        before: found.before.clone(),
        after: found.after.clone(),
    };
    v1::Rehearsal {
        from: found.from,
        ticks: found.ticks,
        differences: found.differences.iter().map(difference).collect(),
        left_out: found.left_out,
    }
}

/// How a replay goes, for callers.
pub(in crate::admin) fn replayed(progress: &ReplayProgress) -> v1::ReplayMatrixResponse {
    v1::ReplayMatrixResponse {
        tick: progress.tick,
        ticks: progress.ticks,
        done: progress.done,
        first_difference: progress.first_difference,
        state_hash: progress.state_hash.to_string(),
    }
}

const fn state(state: MatrixState) -> v1::MatrixState {
    match state {
        MatrixState::Paused => v1::MatrixState::Paused,
        MatrixState::Running => v1::MatrixState::Running,
        MatrixState::Finished => v1::MatrixState::Finished,
        MatrixState::Stopped => v1::MatrixState::Stopped,
        MatrixState::Failed => v1::MatrixState::Failed,
    }
}

impl From<MatrixError> for Status {
    fn from(error: MatrixError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        let wrong = |reason, field: &str| failure(Code::InvalidArgument, reason).field(field);
        let cannot = |reason| failure(Code::FailedPrecondition, reason);
        match &error {
            MatrixError::Unknown(name) => failure(Code::NotFound, "MATRIX_UNKNOWN").resource("matrix", name),
            MatrixError::Exists(name) => {
                failure(Code::AlreadyExists, "MATRIX_EXISTS").resource("matrix", name)
            }
            MatrixError::Field { field, .. } => wrong("MANIFEST_INVALID", &format!("manifest.{field}")),
            MatrixError::Limit(limit) => wrong("MANIFEST_INVALID", &format!("manifest.{}", limit.field)),
            MatrixError::TooMany(_) => {
                failure(Code::ResourceExhausted, "MATRICES_TOO_MANY").limit("matrices.matrices_max")
            }
            MatrixError::MissingPlayer(soul) => {
                wrong("PLAYER_UNKNOWN", "manifest.players").resource("soul", soul)
            }
            MatrixError::Players { .. } => wrong("PLAYERS_OUT_OF_BOUNDS", "manifest.players"),
            MatrixError::WrongWorld { .. } => wrong("COMPONENT_WRONG_WORLD", "manifest.rules"),
            MatrixError::Refused(_) | MatrixError::Crashed(_) => cannot("GUEST_FAILED"),
            MatrixError::Contract(_) => cannot("GUEST_CONTRACT_BROKEN"),
            MatrixError::Differs(_) => failure(Code::DataLoss, "RUN_DIFFERS"),
            MatrixError::State { matrix, .. } => cannot("MATRIX_STATE").resource("matrix", matrix),
            MatrixError::Log(LogError::Damaged { .. }) => failure(Code::DataLoss, "RUN_LOG_DAMAGED"),
            MatrixError::Log(LogError::Full(_)) => {
                failure(Code::ResourceExhausted, "RUN_LOG_FULL").limit("matrices.run_log_bytes_max")
            }
            MatrixError::Log(LogError::Io { .. }) => failure(Code::Internal, "RUN_LOG_FAILED"),
            MatrixError::Moved(matrix) => {
                failure(Code::Unavailable, "MATRIX_MOVED").resource("matrix", matrix)
            }
            MatrixError::NotSwapped { matrix, .. } => cannot("MATRIX_NOT_SWAPPED").resource("matrix", matrix),
            MatrixError::CannotMove { matrix, .. } => cannot("MATRIX_CANNOT_MOVE").resource("matrix", matrix),
            MatrixError::Away { matrix, .. } => {
                failure(Code::Unavailable, "MATRIX_AWAY").resource("matrix", matrix)
            }
            MatrixError::Stopping => return super::stopping(),
            MatrixError::Component(_) | MatrixError::Kv(_) => return below(error),
        }
        .status()
    }
}

/// What befell a room below, while it worked for a Matrix.
fn below(error: MatrixError) -> Status {
    match error {
        MatrixError::Component(error) => error.into(),
        MatrixError::Kv(error) => error.into(),
        other => super::internal(&other),
    }
}
