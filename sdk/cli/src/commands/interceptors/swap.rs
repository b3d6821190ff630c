//! `matrix interceptors swap`, `rollback` and `history`.

use std::time::Duration;

use matrix_proto::v1::{
    InterceptorHistoryRequest, InterceptorHistoryResponse, InterceptorTrial, InterceptorVersion,
    RollbackInterceptorRequest, SwapInterceptorRequest, SwapInterceptorResponse,
};
use serde_json::{Value, json};

use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::table::{self, Table};
use crate::{request, text};

/// How long it may take beside the trial: components are fetched and compiled first, on every node.
const DEADLINE: Duration = Duration::from_secs(180);

/// New code for an interceptor.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SwapArgs {
    /// What the chain calls it, or its place
    name: String,
    /// The new component: a digest or a name that the node knows
    component: String,
    /// Only tell what would differ: both codes judge what came to this place on the node last
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    trial: TrialArgs,
}

/// The code of an interceptor before the present one.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RollbackArgs {
    /// What the chain calls it, or its place
    name: String,
    #[command(flatten)]
    trial: TrialArgs,
}

/// How new code is tried.
#[derive(Debug, Clone, clap::Args)]
struct TrialArgs {
    /// How long it judges with the code before at its back, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = text::parse_seconds)]
    watch: Duration,
}

impl TrialArgs {
    fn millis(&self) -> u32 {
        u32::try_from(self.watch.as_millis()).unwrap_or(u32::MAX).max(1)
    }
}

/// Swaps, or tells what a swap would change.
pub(super) async fn swap(args: SwapArgs, session: &Session<'_>) -> Result<(), Error> {
    let SwapArgs { name, component, dry_run, trial } = args;
    let (place, watch_ms) = (format!("interceptor {name}"), trial.millis());
    let message = SwapInterceptorRequest { name, component, dry_run, watch_ms, request_id: request::id()? };
    let node = session.node().await?;
    let swap = async |request| node.interceptors().swap(request).await;
    let swapped = request::retried(message, node.deadline(DEADLINE), swap).await;
    show(&swapped.map_err(|status| Error::node(status, place))?, session)
}

/// Goes back to the code before.
pub(super) async fn roll_back(args: RollbackArgs, session: &Session<'_>) -> Result<(), Error> {
    let RollbackArgs { name, trial } = args;
    let (place, watch_ms) = (format!("interceptor {name}"), trial.millis());
    let message = RollbackInterceptorRequest { name, watch_ms, request_id: request::id()? };
    let node = session.node().await?;
    let roll_back = async |request| node.interceptors().rollback(request).await;
    let swapped = request::retried(message, node.deadline(DEADLINE), roll_back).await;
    show(&swapped.map_err(|status| Error::node(status, place))?, session)
}

/// Shows which code an interceptor has had.
pub(super) async fn history(name: String, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let (place, message) = (format!("interceptor {name}"), InterceptorHistoryRequest { name });
    let history = async |request| node.interceptors().history(request).await;
    let history = node.call(place, message, history).await?;
    let InterceptorHistoryResponse { running, wanted, versions } = &history;
    let version = |it: &InterceptorVersion| json!({ "number": it.number, "component": it.component, "cause": it.cause, "at_ms": it.at_ms });
    let all: Vec<_> = versions.iter().map(version).collect();
    let json = json!({ "running": running, "wanted": wanted, "versions": all });
    session.output.show(&json, |style| {
        let mut table = Table::new(["VERSION", "SINCE", "BY", "COMPONENT"]);
        for it in versions {
            table.row([
                it.number.to_string(),
                if it.at_ms == 0 { "-".to_owned() } else { text::moment(it.at_ms) },
                it.cause.clone(),
                text::short_digest(&it.component),
            ]);
        }
        let runs = [("running", running.clone()), ("wanted", wanted.clone())];
        format!("{}{}", table::fields(style, runs), table.render(style, "no versions"))
    })
}

fn show(swapped: &SwapInterceptorResponse, session: &Session<'_>) -> Result<(), Error> {
    if let Some(trial) = &swapped.trial {
        return session.output.show(&trial_json(trial), |style| trial_human(style, trial));
    }
    let SwapInterceptorResponse { changed, before, chain, .. } = swapped;
    let chain = chain.clone().unwrap_or_default();
    let json = json!({ "changed": changed, "before": before, "chain": super::json(&chain) });
    session.output.show(&json, |style| {
        let done = if *changed { style.green("swapped") } else { style.dim("unchanged") };
        format!("{done}\n{}", super::human(style, &chain))
    })
}

fn trial_json(trial: &InterceptorTrial) -> Value {
    let differences = trial.differences.iter();
    let differences: Vec<_> = differences
        .map(|it| json!({ "message": it.message, "said": it.said, "what": it.what, "old": it.old, "new": it.new }))
        .collect();
    json!({
        "refusal": trial.refusal,
        "messages": trial.messages,
        "differences": differences,
        "more": trial.more,
    })
}

fn trial_human(style: &Style, trial: &InterceptorTrial) -> String {
    let would = match trial.refusal.as_str() {
        "" => style.green("would be done"),
        _ => style.red("would be refused"),
    };
    let count = trial.differences.len() + trial.more as usize;
    let mut told = format!("{would} {} messages judged by both, {count} differences\n", trial.messages);
    if !trial.refusal.is_empty() {
        told += &format!("{} {}\n", style.yellow("note"), text::one_line(&trial.refusal));
    }
    let mut table = Table::new(["MESSAGE", "SAID", "WHAT", "OLD", "NEW"]);
    for it in &trial.differences {
        table.row([it.message.to_string(), it.said.clone(), it.what.clone(), it.old.clone(), it.new.clone()]);
    }
    if count > 0 {
        told += &table.render(style, "");
    }
    told
}
