//! `matrix memory`.

mod import;

use matrix_proto::v1::{
    Episode, ExportMemoryRequest, ForgetRequest, ListEpisodesRequest, RecallRequest, RecallResponse,
    RememberRequest,
};
use serde_json::{Value, json};

use super::all_pages;
use super::souls::parse_name;
use crate::connection::Node;
use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::table::Table;
use crate::{request, text};

/// Episodes that are forgotten with one call.
const AT_ONCE: usize = 1_000;

/// What to do with what a Soul remembers.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Lists what a Soul remembers, oldest first
    #[command(visible_alias = "ls")]
    List {
        /// The Soul's name
        #[arg(value_parser = parse_name)]
        name: String,
    },
    /// Shows what a Soul would recall
    Recall {
        /// The Soul's name
        #[arg(value_parser = parse_name)]
        name: String,
        /// What is looked for, in words; none: what is most recent and important
        #[arg(default_value = "")]
        cue: String,
        /// How many episodes, at most 64
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        limit: u32,
    },
    /// Lets a Soul remember something
    Remember {
        /// The Soul's name
        #[arg(value_parser = parse_name)]
        name: String,
        /// What, in words
        text: String,
        /// From 0 (trivial) to 1 (life-changing)
        #[arg(long, value_name = "WEIGHT", default_value_t = 0.5)]
        importance: f32,
        /// A word under which it is found as well; may be given again
        #[arg(long = "tag", value_name = "WORD")]
        tags: Vec<String>,
    },
    /// Lets a Soul forget episodes
    Forget {
        /// The Soul's name
        #[arg(value_parser = parse_name)]
        name: String,
        /// The episodes, as `list` shows them
        #[arg(value_name = "ID", required_unless_present = "all")]
        ids: Vec<u64>,
        /// All of them
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Lets a Soul remember what a file says, in the form that `export` writes: what happened when, and not that it was
    /// recalled since
    Import(import::Args),
    /// Writes all that a Soul remembers to stdout, one JSON object a line
    Export {
        /// The Soul's name
        #[arg(value_parser = parse_name)]
        name: String,
    },
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    match command {
        Command::List { name } => {
            let episodes = episodes(&node, &name).await?;
            let shown = json!({ "episodes": episodes.iter().map(json).collect::<Vec<_>>() });
            session.output.show(&shown, |style| table(style, episodes.iter().map(|episode| (episode, None))))
        }
        Command::Recall { name, cue, limit } => {
            let message = RecallRequest { name: name.clone(), cue, embedding: Vec::new(), limit };
            let recall = async |request| node.memory().recall(request).await;
            let found = node.call(format!("soul {name}"), message, recall).await?;
            session.output.show(&recalled_json(&found), |style| recalled_human(style, &found))
        }
        Command::Remember { name, text, importance, tags } => {
            let episode = Some(Episode { text, importance, tags, ..Episode::default() });
            let message = RememberRequest { name: name.clone(), episode, request_id: request::id()? };
            let remember = async |request| node.memory().remember(request).await;
            let id = node.call(format!("soul {name}"), message, remember).await?.id;
            let shown = json!({ "name": name, "id": id });
            session.output.show(&shown, |style| format!("{} {id}\n", style.green("remembered")))
        }
        Command::Forget { name, ids, all } => {
            let ids = if all { episodes(&node, &name).await?.iter().map(|it| it.id).collect() } else { ids };
            forget(&node, name, &ids, session).await
        }
        Command::Import(args) => import::run(&node, args, session).await,
        Command::Export { name } => {
            let message = ExportMemoryRequest { name: name.clone() };
            let export = async |request| node.memory().export(request).await;
            let place = format!("soul {name}");
            let mut episodes = node.stream(&place, message, export).await?;
            while let Some(episode) =
                episodes.message().await.map_err(|status| Error::node(status, &place))?
            {
                session.output.raw(format!("{}\n", exported(&episode)).as_bytes())?;
            }
            Ok(())
        }
    }
}

async fn episodes(node: &Node, name: &str) -> Result<Vec<Episode>, Error> {
    all_pages(async |page| {
        let message = ListEpisodesRequest { name: name.to_owned(), page: Some(page) };
        let list = async |request| node.memory().list(request).await;
        let page = node.call(format!("soul {name}"), message, list).await?;
        Ok((page.episodes, page.next_page_token))
    })
    .await
}

async fn forget(node: &Node, name: String, ids: &[u64], session: &Session<'_>) -> Result<(), Error> {
    let mut forgotten = Vec::new();
    for ids in ids.chunks(AT_ONCE) {
        let message = ForgetRequest { name: name.clone(), ids: ids.to_vec(), request_id: request::id()? };
        let forget = async |request| node.memory().forget(request).await;
        forgotten.extend(node.call(format!("soul {name}"), message, forget).await?.forgotten);
    }
    session.output.show(&json!({ "name": name, "forgotten": forgotten }), |style| {
        let lines = forgotten.iter().map(|id| format!("{} {id}\n", style.green("forgotten")));
        lines.collect()
    })
}

fn table<'a>(style: &Style, episodes: impl Iterator<Item = (&'a Episode, Option<f32>)>) -> String {
    let mut table =
        Table::new(["ID", "SCORE", "REMEMBERED", "TIMES", "RECALLED", "IMPORTANCE", "TAGS", "TEXT"]);
    for (episode, score) in episodes {
        let recalled = episode.recalled_at_ms > episode.last_at_ms;
        table.row([
            episode.id.to_string(),
            score.map(|score| format!("{score:.3}")).unwrap_or_default(),
            text::moment(episode.at_ms),
            if episode.times > 1 { episode.times.to_string() } else { String::new() },
            if recalled { text::moment(episode.recalled_at_ms) } else { String::new() },
            format!("{:.2}", episode.importance),
            text::one_line(&episode.tags.join(", ")),
            text::one_line(&episode.text),
        ]);
    }
    table.render(style, "nothing is remembered: a Soul needs the grant `memory`, and code that uses it")
}

fn recalled_human(style: &Style, found: &RecallResponse) -> String {
    let shown = found.recollections.iter().filter_map(|it| Some((it.episode.as_ref()?, Some(it.score))));
    let extent = found.extent.unwrap_or_default();
    let (bytes, most) = (text::bytes(extent.bytes), text::bytes(extent.bytes_max));
    let usage = format!("{} of {} episodes, {bytes} of {most}", extent.episodes, extent.episodes_max);
    format!("{}{}\n", table(style, shown), style.dim(&usage))
}

fn recalled_json(found: &RecallResponse) -> Value {
    let recollection = |found: &matrix_proto::v1::Recollection| json!({ "score": found.score, "episode": found.episode.as_ref().map(json) });
    let extent = found.extent.unwrap_or_default();
    json!({
        "recollections": found.recollections.iter().map(recollection).collect::<Vec<_>>(),
        "episodes": extent.episodes,
        "episodes_max": extent.episodes_max,
        "bytes": extent.bytes,
        "bytes_max": extent.bytes_max,
    })
}

fn json(episode: &Episode) -> Value {
    json!({
        "id": episode.id,
        "at_ms": episode.at_ms,
        "recalled_at_ms": episode.recalled_at_ms,
        "text": episode.text,
        "importance": episode.importance,
        "tags": episode.tags,
        "times": episode.times,
        "last_at_ms": episode.last_at_ms,
    })
}

/// An episode with all that there is of it.
fn exported(episode: &Episode) -> Value {
    let mut shown = json(episode);
    shown["embedding"] = json!(episode.embedding);
    shown
}
