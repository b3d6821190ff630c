//! `matrix souls swap`, `rollback` and `history`.

use matrix_proto::v1::{
    ProgressRequest, RollbackSoulRequest, RollbackState, SoulHistoryRequest, SoulHistoryResponse, SoulOrigin,
    SoulVersion, SoulVersionCause, SwapSoulRequest, SwapSoulResponse, SwapTrial, TrialSide,
};
use serde_json::{Value, json};

use super::super::train;
use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::table::{self, Table};
use crate::{request, text};

/// New code for a Soul.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SwapArgs {
    /// Its name
    #[arg(value_parser = super::parse_name)]
    name: String,
    /// The new component: a digest or a name that the node knows
    component: String,
    /// Only tell what would differ: try the new code on a copy of the state, with what the Soul handled last
    #[arg(long)]
    dry_run: bool,
    /// Let a turn under way take so many milliseconds before what it waits for is given up [default: 5000]
    #[arg(long, value_name = "MS", default_value_t = 0, hide_default_value = true)]
    turn_ms: u32,
}

/// The code of a Soul before the present one.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RollbackArgs {
    /// Its name
    #[arg(value_parser = super::parse_name)]
    name: String,
    /// Go on with the present state, and not with the one in which the earlier code was left
    #[arg(long)]
    present: bool,
    /// Let a turn under way take so many milliseconds before what it waits for is given up [default: 5000]
    #[arg(long, value_name = "MS", default_value_t = 0, hide_default_value = true)]
    turn_ms: u32,
}

/// Swaps, or tells what a swap would change.
pub(crate) async fn swap(args: SwapArgs, session: &Session<'_>) -> Result<(), Error> {
    let SwapArgs { name, component, dry_run, turn_ms } = args;
    let message =
        SwapSoulRequest { name: name.clone(), component, dry_run, turn_ms, request_id: request::id()? };
    let node = session.node().await?;
    let swap = async |request| node.souls().swap(request).await;
    let swapped = node.call(format!("soul {name}"), message, swap).await?;
    show(&swapped, session)
}

/// Goes back to the code before.
pub(crate) async fn rollback(args: RollbackArgs, session: &Session<'_>) -> Result<(), Error> {
    let RollbackArgs { name, present, turn_ms } = args;
    let state = if present { RollbackState::Present } else { RollbackState::Kept };
    let message =
        RollbackSoulRequest { name: name.clone(), state: state.into(), turn_ms, request_id: request::id()? };
    let node = session.node().await?;
    let rollback = async |request| node.souls().rollback(request).await;
    let swapped = node.call(format!("soul {name}"), message, rollback).await?;
    show(&swapped, session)
}

/// Shows which code a Soul has had.
pub(crate) async fn history(name: String, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let message = SoulHistoryRequest { name: name.clone() };
    let history = async |request| node.souls().history(request).await;
    let history = node.call(format!("soul {name}"), message, history).await?;
    let SoulHistoryResponse { running, wanted, versions, origin } = &history;
    // A node of an earlier version knows of no lessons.
    let message = ProgressRequest { name: name.clone(), after: 0 };
    let progress = async |request| node.learning().progress(request).await;
    let learnt = node.call(format!("soul {name}"), message, progress).await;
    let lessons = learnt.map(|progress| progress.lessons).unwrap_or_default();
    let all: Vec<_> = versions.iter().map(version_json).collect();
    let learnt: Vec<_> = lessons.iter().map(train::lesson_json).collect();
    let from = origin.as_ref().map(|of| {
        let lesson = Some(of.lesson).filter(|lesson| *lesson > 0);
        json!({ "soul": of.soul, "realm": of.realm, "lesson": lesson, "state": of.state, "at_ms": of.at_ms })
    });
    let json =
        json!({ "running": running, "wanted": wanted, "origin": from, "versions": all, "lessons": learnt });
    session.output.show(&json, |style| {
        let mut table =
            Table::new(["VERSION", "SINCE", "BY", "COMPONENT", "SCHEMA", "STATE", "GENERATION", "NOTE"]);
        for version in versions {
            table.row([
                version.number.to_string(),
                if version.at_ms == 0 { "-".to_owned() } else { text::moment(version.at_ms) },
                cause_name(version.cause()).to_owned(),
                text::short_digest(&version.component),
                version.schema.clone(),
                text::bytes(version.state_bytes),
                version.generation.to_string(),
                version.fallback.clone(),
            ]);
        }
        let mut runs = vec![("running", running.clone()), ("wanted", wanted.clone())];
        runs.extend(origin.as_ref().map(|of| ("comes from", ancestor(of))));
        let lineage = train::lineage(style, &lessons);
        format!("{}{}{lineage}", table::fields(style, runs), table.render(style, "no versions"))
    })
}

fn ancestor(of: &SoulOrigin) -> String {
    let lesson = if of.lesson > 0 { format!(" after lesson {}", of.lesson) } else { String::new() };
    let realm = if of.realm.is_empty() { String::new() } else { format!(" of realm {}", of.realm) };
    format!("{}{realm}{lesson}, {}, state {}", of.soul, text::moment(of.at_ms), text::short_digest(&of.state))
}

pub(super) fn show(swapped: &SwapSoulResponse, session: &Session<'_>) -> Result<(), Error> {
    match &swapped.trial {
        Some(trial) => session.output.show(&trial_json(trial), |style| trial_human(style, trial)),
        None => session.output.show(&json(swapped), |style| human(style, swapped)),
    }
}

fn json(swapped: &SwapSoulResponse) -> Value {
    json!({
        "changed": swapped.changed,
        "before": swapped.before,
        "version": swapped.version.as_ref().map(version_json),
        "pause_us": swapped.pause_us,
    })
}

fn version_json(version: &SoulVersion) -> Value {
    json!({
        "number": version.number,
        "component": version.component,
        "cause": cause_name(version.cause()),
        "at_ms": version.at_ms,
        "schema": version.schema,
        "state": version.state,
        "state_bytes": version.state_bytes,
        "generation": version.generation,
        "fallback": version.fallback,
    })
}

fn human(style: &Style, swapped: &SwapSoulResponse) -> String {
    let version = swapped.version.clone().unwrap_or_default();
    let code = text::short_digest(&version.component);
    if !swapped.changed {
        return format!("{} it is so already, with {code}\n", style.dim("unchanged"));
    }
    let (done, before) = (style.green("swapped"), text::short_digest(&swapped.before));
    let pause = swapped.pause_us as f64 / 1_000.0;
    let (done, what) = match version.cause() {
        SoulVersionCause::Persona => (style.green("born anew"), format!("with {code}")),
        _ => (done, format!("{before} → {code}")),
    };
    let mut told = format!("{done} {what}, version {}, held up {pause:.2} ms\n", version.number);
    if !version.fallback.is_empty() {
        let why = text::one_line(&version.fallback);
        told += &format!("{} the state is that of the last checkpoint: {why}\n", style.yellow("note"));
    }
    told
}

fn trial_json(trial: &SwapTrial) -> Value {
    let side = |side: &Option<TrialSide>| {
        let side = side.clone().unwrap_or_default();
        json!({
            "schema": side.schema,
            "state_bytes": side.state_bytes,
            "fuel": side.fuel,
            "memory_bytes": side.memory_bytes,
            "crash": side.crash,
        })
    };
    let differences = trial.differences.iter();
    let differences: Vec<_> = differences
        .map(|it| json!({ "input": it.input, "what": it.what, "old": it.old, "new": it.new }))
        .collect();
    json!({
        "refusal": trial.refusal,
        "fallback": trial.fallback,
        "inputs": trial.inputs,
        "differences": differences,
        "more": trial.more,
        "old": side(&trial.old),
        "new": side(&trial.new),
    })
}

fn trial_human(style: &Style, trial: &SwapTrial) -> String {
    if !trial.refusal.is_empty() {
        return format!("{} {}\n", style.red("would be refused"), text::one_line(&trial.refusal));
    }
    let count = trial.differences.len() + trial.more as usize;
    let mut told =
        format!("{} {} inputs replayed, {count} differences\n", style.green("would be done"), trial.inputs);
    if !trial.fallback.is_empty() {
        let why = text::one_line(&trial.fallback);
        told += &format!("{} from the last checkpoint: {why}\n", style.yellow("note"));
    }
    let mut differences = Table::new(["INPUT", "WHAT", "OLD", "NEW"]);
    for it in &trial.differences {
        differences.row([it.input.to_string(), it.what.clone(), it.old.clone(), it.new.clone()]);
    }
    if count > 0 {
        told += &differences.render(style, "");
    }
    let mut sides = Table::new(["CODE", "SCHEMA", "STATE", "FUEL", "MEMORY", "CRASH"]);
    for (name, side) in [("old", &trial.old), ("new", &trial.new)] {
        let side = side.clone().unwrap_or_default();
        sides.row([
            name.to_owned(),
            side.schema,
            text::bytes(side.state_bytes),
            side.fuel.to_string(),
            text::bytes(side.memory_bytes),
            side.crash,
        ]);
    }
    told + &sides.render(style, "")
}

const fn cause_name(cause: SoulVersionCause) -> &'static str {
    match cause {
        SoulVersionCause::Unspecified => "-",
        SoulVersionCause::Spawn => "spawn",
        SoulVersionCause::Swap => "swap",
        SoulVersionCause::Rollback => "rollback",
        SoulVersionCause::Persona => "persona",
    }
}
