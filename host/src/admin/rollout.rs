//! New code for all users of a component: the part of `matrix.v1.Components` that rolls it out.
//!
//! A component is of one world, so its users are of one kind: Souls, Matrices by their rules ([`worlds`]), or nodes by
//! their interceptors ([`chains`]).

mod chains;
mod worlds;

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::rollout_progress::Event;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

pub(super) use self::chains::Chains;
use self::worlds::Worlds;
use super::convert;
use super::desk::{Answers, Desk, open};
use super::roles;
use super::swaps::turn;
use crate::ids::ComponentName;
use crate::matrices;
use crate::rollout::{self, BATCH_MAX, Plan, Step, Tally, Users, WATCH_MAX};
use crate::runtime::inspect::Kind;

/// What is told before a client has read it.
const STEPS_MAX: usize = 64;
/// How many users in a hundred come first, where the caller says nothing.
const CANARY_PERCENT_DEFAULT: u32 = 5;
/// How long they are watched, where the caller says nothing, in milliseconds.
const WATCH_MS_DEFAULT: u32 = 5_000;

/// Rolls out, and tells how it goes.
pub(super) async fn roll_out(
    desk: &Arc<Desk>,
    request: Request<v1::RolloutRequest>,
) -> Result<Response<Answers<v1::RolloutProgress>>, Status> {
    let (caller, request) = open(request)?;
    let host = desk.host.clone();
    let name: ComponentName = request.name.parse().map_err(|error| convert::bad_id("name", &error))?;
    let to = host.catalog.resolve(&request.component).await;
    let to = to.map_err(|error| convert::component_at("component", error))?;
    let kind = host.catalog.get(to).await?.info().kind;
    let (plan, turn) = (plan(&request, kind)?, turn(request.turn_ms)?);
    let mut from = host.catalog.codes_of(&name).await?;
    from.remove(&to);
    let place = desk.stream()?;
    let told = match kind {
        Kind::Soul => begin(desk, host.souls.renewal(to, turn), host.souls.with_code(&from).await?, plan),
        Kind::Rules => {
            let ruled = matrices::ruled_by(&host.kv, &from).await?;
            begin(desk, Worlds::new(desk, caller, to), ruled, plan)
        }
        Kind::Transport => {
            // What may be swapped only by a stronger role one by one, may not be swapped by a weaker one all at once.
            caller.may("Components/Rollout of an interceptor", roles::role_of("Interceptors/Swap"))?;
            let change = host.interceptors.change_all(&from, to).await?;
            let chains = Chains::new(desk, caller, change);
            let nodes = chains.nodes();
            begin(desk, chains, nodes, plan)
        }
    };
    let kind = convert::kind(kind);
    let steps = stream::unfold((told, Tally::default()), move |(mut told, mut tally)| async move {
        let progress = progress(told.recv().await?, &mut tally, kind);
        Some((Ok(progress), (told, tally)))
    });
    Ok(desk.answers(place, steps))
}

fn begin<U: Users + 'static>(
    desk: &Arc<Desk>,
    users: U,
    all: Vec<U::User>,
    plan: Plan,
) -> mpsc::Receiver<Step>
where
    U::User: 'static,
    U::Before: 'static,
{
    let (tell, told) = mpsc::channel(STEPS_MAX);
    desk.tasks().spawn("admin.rollout", async move { rollout::roll_out(&users, all, plan, tell).await });
    told
}

fn plan(request: &v1::RolloutRequest, kind: Kind) -> Result<Plan, Status> {
    let at_most = |field: &str, given: u32, default: u32, most: u128| match given {
        0 => Ok(default),
        given if u128::from(given) <= most => Ok(given),
        given => Err(convert::bad_field(field, &format!("is {given}: use at most {most}"))),
    };
    let together = match kind {
        Kind::Soul => 16,
        Kind::Rules => 8,
        Kind::Transport => 1,
    };
    let watch = at_most("watch_ms", request.watch_ms, WATCH_MS_DEFAULT, WATCH_MAX.as_millis())?;
    let batch = at_most("batch", request.batch, together, BATCH_MAX as u128)?;
    Ok(Plan {
        canary_percent: at_most("canary_percent", request.canary_percent, CANARY_PERCENT_DEFAULT, 100)?,
        watch: Duration::from_millis(watch.into()),
        batch: usize::try_from(batch).unwrap_or(BATCH_MAX),
        failures_max: usize::try_from(request.failures_max).unwrap_or(usize::MAX),
    })
}

fn progress(step: Step, tally: &mut Tally, kind: v1::ComponentKind) -> v1::RolloutProgress {
    let event = match step {
        Step::Progress(now) => {
            *tally = now;
            None
        }
        Step::Failed(user, reason) => Some(Event::Failure(v1::RolloutFailure { user, reason })),
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
        kind: kind.into(),
    }
}
