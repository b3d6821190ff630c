//! Swaps of Souls, as callers see them.

use matrix_proto::v1;

use crate::souls::swap::{Cause, Side, Swapped, Trial, Version, Versions};

/// What became of a swap.
pub(in crate::admin) fn swapped(swapped: Swapped) -> v1::SwapSoulResponse {
    v1::SwapSoulResponse {
        changed: swapped.changed,
        before: swapped.before.to_string(),
        version: Some(version(&swapped.version)),
        pause_us: swapped.pause_us,
        trial: None,
    }
}

/// What a dry run showed.
pub(in crate::admin) fn trial(trial: Trial, before: String) -> v1::SwapSoulResponse {
    let difference = |difference: crate::souls::swap::Difference| v1::TrialDifference {
        input: difference.input,
        what: difference.what,
        old: difference.old,
        new: difference.new,
    };
    let trial = v1::SwapTrial {
        refusal: trial.refusal,
        fallback: trial.fallback,
        inputs: trial.inputs,
        differences: trial.differences.into_iter().map(difference).collect(),
        more: trial.more,
        old: Some(side(trial.old)),
        new: Some(side(trial.new)),
    };
    v1::SwapSoulResponse { before, trial: Some(trial), ..v1::SwapSoulResponse::default() }
}

/// Which code a Soul has had; `running`: what its node runs.
pub(in crate::admin) fn history(of: &Versions, running: String) -> v1::SoulHistoryResponse {
    let wanted = of.last_two().0.map(|version| version.component.to_string());
    let versions = of.list.iter().map(version).collect();
    let origin = of.origin.as_ref().map(|origin| v1::SoulOrigin {
        soul: origin.soul.to_string(),
        realm: origin.realm.clone(),
        lesson: origin.lesson.unwrap_or(0),
        state: origin.state.to_string(),
        at_ms: origin.at_ms,
    });
    v1::SoulHistoryResponse { running, wanted: wanted.unwrap_or_default(), versions, origin }
}

fn version(version: &Version) -> v1::SoulVersion {
    let cause = match version.cause {
        Cause::Spawn => v1::SoulVersionCause::Spawn,
        Cause::Swap => v1::SoulVersionCause::Swap,
        Cause::Rollback => v1::SoulVersionCause::Rollback,
        Cause::Persona => v1::SoulVersionCause::Persona,
    };
    v1::SoulVersion {
        number: version.number,
        component: version.component.to_string(),
        cause: cause.into(),
        at_ms: version.at_ms,
        schema: version.schema.clone(),
        state: version.state.to_string(),
        state_bytes: version.size,
        generation: version.generation,
        fallback: version.fallback.clone(),
    }
}

fn side(side: Side) -> v1::TrialSide {
    let Side { schema, state_bytes, fuel, memory_bytes, crash } = side;
    v1::TrialSide { schema, state_bytes, fuel, memory_bytes, crash }
}
