//! Other rules for a running Matrix.

use std::time::Duration;

use matrix_proto::v1::{
    Matrix, Rehearsal, RehearsalDifference, RollbackMatrixRequest, SwapMatrixRequest, SwapMatrixResponse,
};
use serde_json::{Value, json};

use super::show;
use super::{NameArgs, place};
use crate::connection::Node;
use crate::errors::Error;
use crate::output::Style;
use crate::request;
use crate::session::Session;
use crate::table::Table;

/// How long it may take: rules are compiled first, and a dry run goes through the run log.
const DEADLINE: Duration = Duration::from_secs(180);

/// Which rules are to take over.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    matrix: NameArgs,
    /// The component of the new rules: its name or digest
    #[arg(short, long, value_name = "REF")]
    component: String,
    /// Only compare: give the new rules the last ticks too, and the present state; nothing is changed
    #[arg(long)]
    dry_run: bool,
    /// How many ticks a dry run goes through
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        requires = "dry_run",
        value_parser = clap::value_parser!(u32).range(1..=1_000)
    )]
    ticks: u32,
}

/// Lets other rules take over, or says what would come of it.
pub(super) async fn swap(node: &Node, args: Args, session: &Session<'_>) -> Result<(), Error> {
    let Args { matrix: NameArgs { name }, component, dry_run, ticks } = args;
    let place = place(&name);
    let message = SwapMatrixRequest { name, component, dry_run, ticks, request_id: request::id()? };
    let swap = async |request| node.matrices().swap(request).await;
    let swapped = request::retried(message, node.deadline(DEADLINE), swap).await;
    let SwapMatrixResponse { matrix, rehearsal } = swapped.map_err(|status| Error::node(status, place))?;
    match (matrix, rehearsal) {
        (_, Some(found)) if dry_run => session.output.show(&found_json(&found), |style| table(style, &found)),
        (Some(matrix), _) => shown(&matrix, session),
        (None, _) => Err(Error::Answer("Matrix")),
    }
}

/// Lets the rules before the present ones take over again.
pub(super) async fn roll_back(node: &Node, name: String, session: &Session<'_>) -> Result<(), Error> {
    let place = place(&name);
    let message = RollbackMatrixRequest { name, request_id: request::id()? };
    let roll_back = async |request| node.matrices().rollback(request).await;
    let swapped = request::retried(message, node.deadline(DEADLINE), roll_back).await;
    shown(&swapped.map_err(|status| Error::node(status, place))?, session)
}

fn shown(matrix: &Matrix, session: &Session<'_>) -> Result<(), Error> {
    session.output.show(&show::json(matrix), |style| show::human(style, matrix))
}

fn found_json(found: &Rehearsal) -> Value {
    let difference = |found: &RehearsalDifference| json!({ "tick": found.tick, "what": found.what, "before": found.before, "after": found.after });
    json!({
        "from": found.from,
        "ticks": found.ticks,
        "same": found.differences.is_empty(),
        "differences": found.differences.iter().map(difference).collect::<Vec<_>>(),
        "left_out": found.left_out,
    })
}

fn table(style: &Style, found: &Rehearsal) -> String {
    let (from, ticks) = (found.from, found.ticks);
    let over = format!("over {ticks} ticks from tick {from}; nothing was changed\n");
    if found.differences.is_empty() {
        return format!("{} {over}", style.green("same"));
    }
    let mut table = Table::new(["TICK", "WHAT", "BEFORE", "AFTER"]);
    for RehearsalDifference { tick, what, before, after } in &found.differences {
        table.row([tick.to_string(), what.clone(), before.clone(), after.clone()]);
    }
    let more = match found.left_out {
        0 => String::new(),
        more => format!("and {more} more\n"),
    };
    format!("{}{more}{} {over}", table.render(style, ""), style.red("different"))
}
