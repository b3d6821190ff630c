//! New code for all users of a component: the part of `matrix.v1.Components` that rolls it out.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::rollout_progress::Event;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::convert;
use super::desk::{AdminHost, Answers, Desk};
use super::swaps::turn;
use crate::ids::ComponentName;
use crate::runtime::inspect::Kind;
use crate::souls::swap::{BATCH_MAX, Plan, Step, Tally, WATCH_MAX};

/// What is told before a client has read it.
const STEPS_MAX: usize = 64;
/// How many Souls in a hundred come first, where the caller says nothing.
const CANARY_PERCENT_DEFAULT: u32 = 5;
/// How long they are watched, where the caller says nothing, in milliseconds.
const WATCH_MS_DEFAULT: u32 = 5_000;
/// How many are swapped at the same time, where the caller says nothing.
const BATCH_DEFAULT: u32 = 64;

/// Rolls out, and tells how it goes.
pub(super) async fn roll_out(
    desk: &Arc<Desk>,
    request: Request<v1::RolloutRequest>,
) -> Result<Response<Answers<v1::RolloutProgress>>, Status> {
    let plan = plan(&desk.host, request.into_inner()).await?;
    let place = desk.stream()?;
    let (tell, told) = mpsc::channel(STEPS_MAX);
    let souls = desk.host.souls.clone();
    let ended = desk.tasks().spawn("admin.rollout", async move { souls.roll_out(plan, tell).await });
    let steps = stream::unfold(
        (told, Some(ended), Tally::default()),
        |(mut told, mut ended, mut tally)| async move {
            if let Some(step) = told.recv().await {
                let progress = progress(step, &mut tally);
                return Some((Ok(progress), (told, ended, tally)));
            }
            // Nothing more is told: why it never began is left.
            let failed = ended.take()?.await.ok()?.err()?;
            Some((Err(failed.into()), (told, None, tally)))
        },
    );
    Ok(desk.answers(place, steps))
}

async fn plan(host: &AdminHost, request: v1::RolloutRequest) -> Result<Plan, Status> {
    let name: ComponentName = request.name.parse().map_err(|error| convert::bad_id("name", &error))?;
    let to = host.catalog.resolve(&request.component).await;
    let to = to.map_err(|error| convert::component_at("component", error))?;
    let kind = host.catalog.record(to).await?.map(|record| record.info.kind);
    if kind.is_some_and(|kind| kind != Kind::Soul) {
        let problem = "is no Soul: rules are swapped by `Matrices.Swap`, interceptors by a new chain";
        return Err(convert::bad_field("component", problem));
    }
    let at_most = |field: &str, given: u32, default: u32, most: u128| match given {
        0 => Ok(default),
        given if u128::from(given) <= most => Ok(given),
        given => Err(convert::bad_field(field, &format!("is {given}: use at most {most}"))),
    };
    let watch = at_most("watch_ms", request.watch_ms, WATCH_MS_DEFAULT, WATCH_MAX.as_millis())?;
    let batch = at_most("batch", request.batch, BATCH_DEFAULT, BATCH_MAX as u128)?;
    let mut from = host.catalog.codes_of(&name).await?;
    from.remove(&to);
    Ok(Plan {
        from,
        to,
        canary_percent: at_most("canary_percent", request.canary_percent, CANARY_PERCENT_DEFAULT, 100)?,
        watch: Duration::from_millis(watch.into()),
        batch: usize::try_from(batch).unwrap_or(BATCH_MAX),
        failures_max: usize::try_from(request.failures_max).unwrap_or(usize::MAX),
        turn: turn(request.turn_ms)?,
    })
}

fn progress(step: Step, tally: &mut Tally) -> v1::RolloutProgress {
    let event = match step {
        Step::Progress(now) => {
            *tally = now;
            None
        }
        Step::Failed(soul, reason) => {
            Some(Event::Failure(v1::RolloutFailure { soul: soul.to_string(), reason }))
        }
        Step::TakingBack(reason) => Some(Event::TakingBack(reason)),
        Step::Ended(all, now) => {
            *tally = now;
            Some(Event::Ended(all))
        }
    };
    v1::RolloutProgress {
        total: tally.total as u64,
        swapped: tally.swapped as u64,
        failed: tally.failed as u64,
        rolled_back: tally.rolled_back as u64,
        event,
    }
}
