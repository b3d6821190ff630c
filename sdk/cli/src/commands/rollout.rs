//! `matrix components rollout`.

use std::time::Duration;

use matrix_proto::v1::rollout_progress::Event;
use matrix_proto::v1::{ComponentKind, RolloutProgress, RolloutRequest};
use serde_json::{Value, json};

use crate::errors::Error;
use crate::progress::{Progress, Unit};
use crate::session::Session;
use crate::text;

/// The most failures that are listed for programs; people see all.
const FAILURES_MAX: usize = 100;

/// New code for all Souls, Matrices or nodes that use a component.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The component's name: users of any earlier code of it are concerned, Souls, Matrices or nodes with interceptors
    name: String,
    /// The new component: a digest or a name that the node knows
    component: String,
    /// How many users in a hundred come first
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    canary: u32,
    /// How long those are watched before the others follow, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = text::parse_seconds)]
    watch: Duration,
    /// How many get it at the same time [default: 16 Souls, 8 Matrices, or 1 node]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: Option<u32>,
    /// How many users may fail before all get their old code again
    #[arg(long, value_name = "N", default_value_t = 0)]
    failures_max: u32,
    /// Of Souls: let a turn under way take so many milliseconds before what it waits for is given up [default: 5000]
    #[arg(long, value_name = "MS", default_value_t = 0, hide_default_value = true)]
    turn_ms: u32,
}

/// Rolls out, and shows how it goes.
pub(super) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let Args { name, component, canary, watch, batch, failures_max, turn_ms } = args;
    let message = RolloutRequest {
        name: name.clone(),
        component,
        canary_percent: canary,
        watch_ms: u32::try_from(watch.as_millis()).unwrap_or(u32::MAX),
        batch: batch.unwrap_or(0),
        failures_max,
        turn_ms,
    };
    let place = format!("component {name}");
    let node = session.node().await?;
    let rollout = async |request| node.components().rollout(request).await;
    let mut steps = node.stream(&place, message, rollout).await?;
    let progress = Progress::start(session.output, format!("Rolling out {name}"), Unit::Users, None);
    let mut failures = Vec::new();
    let end = loop {
        let step = steps.message().await.map_err(|status| Error::node(status, &place))?;
        let step = step.ok_or(Error::Answer("end of the rollout"))?;
        progress.set(step.swapped, Some(step.total));
        match &step.event {
            Some(Event::Failure(failure)) => {
                let (user, reason) = (text::one_line(&failure.user), text::one_line(&failure.reason));
                session.output.note(&format!("{user}: {reason}"));
                if failures.len() < FAILURES_MAX {
                    failures.push(json!({ "user": failure.user, "reason": failure.reason }));
                }
            }
            Some(Event::TakingBack(reason)) => {
                session.output.note(&format!("taking back: {}", text::one_line(reason)));
            }
            Some(Event::Ended(all)) => break (*all, step),
            None => {}
        }
    };
    progress.finish(end.1.swapped);
    show(&name, end, failures, session)
}

fn show(
    name: &str,
    (all, end): (bool, RolloutProgress),
    failures: Vec<Value>,
    session: &Session<'_>,
) -> Result<(), Error> {
    let kind = end.kind();
    let RolloutProgress { total, swapped, failed, rolled_back, .. } = end;
    let (users, try_it) = match kind {
        ComponentKind::Rules => ("Matrices", "matrices swap NAME --component COMPONENT --dry-run"),
        ComponentKind::Transport => ("nodes", "interceptors swap NAME COMPONENT --dry-run"),
        _ => ("Souls", "souls swap NAME COMPONENT --dry-run"),
    };
    let json = json!({
        "name": name,
        "users": users,
        "all": all,
        "total": total,
        "swapped": swapped,
        "failed": failed,
        "rolled_back": rolled_back,
        "failures": failures,
    });
    session.output.show(&json, |style| {
        let done = if all { style.green("rolled out") } else { style.red("not rolled out") };
        format!(
            "{done} {name}: {swapped} of {total} {users} swapped, {failed} failed, {rolled_back} taken back\n"
        )
    })?;
    if all {
        return Ok(());
    }
    Err(Error::Conflict {
        what: format!("not all {users} got on with the new code"),
        place: format!("component {name}"),
        change: format!("see why above; try it on one of them by `matrix {try_it}`"),
    })
}
