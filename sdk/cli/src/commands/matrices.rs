//! `matrix matrices`.

mod create;
mod show;
mod swap;

use std::path::{Path, PathBuf};
use std::time::Duration;

use matrix_proto::v1::{
    CreateMatrixRequest, DeleteMatrixRequest, GetMatrixRequest, ListMatricesRequest, Matrix,
    MoveMatrixRequest, PauseMatrixRequest, ReplayMatrixRequest, StartMatrixRequest, StepMatrixRequest,
    StopMatrixRequest, ViewMatrixRequest,
};
use serde_json::json;

pub(crate) use self::show::{json, name, state_name, summary};
use super::{all_pages, show_deleted};
use crate::connection::Node;
use crate::content;
use crate::errors::Error;
use crate::progress::{Progress, Unit};
use crate::session::Session;
use crate::wait::{self, Wait};
use crate::{request, text};

/// How long some steps may take: the most ticks of one call, at a few milliseconds each.
const STEP_DEADLINE: Duration = Duration::from_secs(3600);

/// What to do with Matrices.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Creates a Matrix
    Create(Box<create::Args>),
    /// Lists Matrices
    #[command(visible_alias = "ls")]
    List,
    /// Shows one Matrix
    Show(NameArgs),
    /// Lets a Matrix run
    Start {
        #[command(flatten)]
        matrix: NameArgs,
        /// Wait until it is over, and show the result
        #[arg(short, long)]
        wait: bool,
    },
    /// Halts a Matrix between two ticks
    Pause(NameArgs),
    /// Advances a Matrix that does not run
    Step {
        #[command(flatten)]
        matrix: NameArgs,
        /// By how many ticks
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        ticks: u32,
    },
    /// Ends a Matrix for good; its run log is kept
    Stop(NameArgs),
    /// Lets another node go on with a Matrix
    Move {
        #[command(flatten)]
        matrix: NameArgs,
        /// The node's number
        to: u64,
    },
    /// Lets other rules take over a Matrix, between two ticks
    Swap(swap::Args),
    /// Lets the rules before the present ones take over again
    Rollback(NameArgs),
    /// Deletes a Matrix and its run log
    Rm(NameArgs),
    /// Shows the present state, as the rules draw it
    View {
        #[command(flatten)]
        matrix: NameArgs,
        /// Where to write the picture [default: stdout]
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Runs a Matrix again from its run log, and compares the state after every tick
    Replay(NameArgs),
}

/// Which Matrix.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NameArgs {
    /// The Matrix's name
    #[arg(value_parser = parse_name)]
    name: String,
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let show = |matrix: &Matrix| session.output.show(&json(matrix), |style| show::human(style, matrix));
    let request_id = request::id()?;
    match command {
        Command::Create(args) => create(&node, *args, session).await,
        Command::List => list(&node, session).await,
        Command::Show(NameArgs { name }) => show(&get(&node, &name).await?),
        Command::Start { matrix: NameArgs { name }, wait } => start(&node, name, wait, session).await,
        Command::Pause(NameArgs { name }) => {
            let place = place(&name);
            let message = PauseMatrixRequest { name, request_id };
            let pause = async |request| node.matrices().pause(request).await;
            show(&node.call(place, message, pause).await?)
        }
        Command::Step { matrix: NameArgs { name }, ticks } => {
            let message = StepMatrixRequest { name: name.clone(), ticks, request_id };
            let deadline = node.deadline(STEP_DEADLINE);
            let step = async |request| node.matrices().step(request).await;
            let stepped = request::retried(message, deadline, step).await;
            show(&stepped.map_err(|status| Error::node(status, place(&name)))?)
        }
        Command::Stop(NameArgs { name }) => show(&stop(&node, &name).await?),
        Command::Move { matrix: NameArgs { name }, to } => {
            let place = place(&name);
            let message = MoveMatrixRequest { name, node: to, request_id };
            let move_to = async |request| node.matrices().r#move(request).await;
            show(&node.call(place, message, move_to).await?)
        }
        Command::Swap(args) => swap::swap(&node, args, session).await,
        Command::Rollback(NameArgs { name }) => swap::roll_back(&node, name, session).await,
        Command::Rm(NameArgs { name }) => {
            delete(&node, &name).await?;
            show_deleted(session, "matrix", &name)
        }
        Command::View { matrix: NameArgs { name }, out } => view(&node, name, out.as_deref(), session).await,
        Command::Replay(NameArgs { name }) => replay(&node, name, session).await,
    }
}

/// Asks for a Matrix.
pub(crate) async fn get(node: &Node, name: &str) -> Result<Matrix, Error> {
    let message = GetMatrixRequest { name: name.to_owned() };
    node.call(place(name), message, async |request| node.matrices().get(request).await).await
}

/// Creates a Matrix.
pub(crate) async fn create_matrix(node: &Node, message: CreateMatrixRequest) -> Result<Matrix, Error> {
    let name = message.manifest.as_ref().map(|manifest| manifest.name.as_str()).unwrap_or_default();
    node.call(place(name), message, async |request| node.matrices().create(request).await).await
}

/// Ends a Matrix for good.
pub(crate) async fn stop(node: &Node, name: &str) -> Result<Matrix, Error> {
    let message = StopMatrixRequest { name: name.to_owned(), request_id: request::id()? };
    node.call(place(name), message, async |request| node.matrices().stop(request).await).await
}

/// Deletes a Matrix.
pub(crate) async fn delete(node: &Node, name: &str) -> Result<(), Error> {
    let message = DeleteMatrixRequest { name: name.to_owned(), request_id: request::id()? };
    node.call(place(name), message, async |request| node.matrices().delete(request).await).await?;
    Ok(())
}

async fn create(node: &Node, args: create::Args, session: &Session<'_>) -> Result<(), Error> {
    let wait = args.waits();
    let message = CreateMatrixRequest::try_from(args)?;
    let name = message.manifest.as_ref().map(|manifest| manifest.name.clone()).unwrap_or_default();
    if wait {
        let wait = Wait::prepare(node, &name).await;
        create_matrix(node, message).await?;
        return wait::show(session.output, &wait.until_over(node, session.output).await?);
    }
    let matrix = create_matrix(node, message).await?;
    session.output.show(&json(&matrix), |style| show::human(style, &matrix))
}

async fn start(node: &Node, name: String, waits: bool, session: &Session<'_>) -> Result<(), Error> {
    let wait = if waits { Some(Wait::prepare(node, &name).await) } else { None };
    let place = place(&name);
    let message = StartMatrixRequest { name, request_id: request::id()? };
    let matrix = node.call(place, message, async |request| node.matrices().start(request).await).await?;
    match wait {
        Some(wait) => wait::show(session.output, &wait.until_over(node, session.output).await?),
        None => session.output.show(&json(&matrix), |style| show::human(style, &matrix)),
    }
}

async fn list(node: &Node, session: &Session<'_>) -> Result<(), Error> {
    let matrices = all_pages(async |page| {
        let message = ListMatricesRequest { page: Some(page) };
        let list = async |request| node.matrices().list(request).await;
        let page = node.call("matrices", message, list).await?;
        Ok((page.matrices, page.next_page_token))
    })
    .await?;
    let all = json!({ "matrices": matrices.iter().map(json).collect::<Vec<_>>() });
    session.output.show(&all, |style| show::table(style, &matrices))
}

async fn view(node: &Node, name: String, out: Option<&Path>, session: &Session<'_>) -> Result<(), Error> {
    let place = place(&name);
    let message = ViewMatrixRequest { name };
    let view = node.call(place, message, async |request| node.matrices().view(request).await).await?;
    let picture = view.content.unwrap_or_default();
    let Some(path) = out else {
        let json = json!({ "tick": view.tick, "content": content::json(&picture) });
        return match session.output.is_json() {
            true => session.output.show(&json, |_| String::new()),
            false => content::show(session.output, &picture),
        };
    };
    let failed = |error| Error::file("cannot write the file", path, error);
    std::fs::write(path, &picture.body).map_err(failed)?;
    let shown = path.display().to_string();
    let json = json!({ "tick": view.tick, "content_type": picture.content_type, "file": shown });
    session.output.show(&json, |style| {
        let size = text::bytes(picture.body.len() as u64);
        format!("{} {shown} (tick {}, {size})\n", style.green("wrote"), view.tick)
    })
}

async fn replay(node: &Node, name: String, session: &Session<'_>) -> Result<(), Error> {
    let place = place(&name);
    let message = ReplayMatrixRequest { name: name.clone() };
    let mut steps =
        node.stream(&place, message, async |request| node.matrices().replay(request).await).await?;
    let progress = Progress::start(session.output, format!("Replaying {name}"), Unit::Ticks, None);
    let end = loop {
        let step = steps.message().await.map_err(|status| Error::node(status, &place))?;
        let step = step.ok_or(Error::Answer("end of the replay"))?;
        progress.set(step.tick, Some(step.ticks));
        if step.done {
            break step;
        }
    };
    progress.finish(end.tick);
    let json = json!({
        "name": name,
        "ticks": end.ticks,
        "same": end.first_difference.is_none(),
        "first_difference": end.first_difference,
        "state_hash": end.state_hash,
    });
    session.output.show(&json, |style| match end.first_difference {
        None => {
            format!(
                "{} {name}: {} ticks, {}\n",
                style.green("same"),
                end.tick,
                text::one_line(&end.state_hash)
            )
        }
        Some(tick) => format!("{} {name}: from tick {tick} of {}\n", style.red("different"), end.ticks),
    })?;
    match end.first_difference {
        None => Ok(()),
        Some(tick) => Err(Error::Difference { matrix: name, tick }),
    }
}

/// A Matrix's name, with or without `matrix:` before it.
fn parse_name(text: &str) -> Result<String, String> {
    match text.strip_prefix("matrix:").unwrap_or(text) {
        "" => Err("give the name of a Matrix".to_owned()),
        name => Ok(name.to_owned()),
    }
}

fn place(name: &str) -> String {
    format!("matrix {name}")
}
