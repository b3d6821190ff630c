//! The commands, one file a group. Each has, in this order: its arguments, `run`, what it does, and
//! how its results are shown.

pub(crate) mod access;
pub(crate) mod apply;
pub(crate) mod ask;
mod backup;
pub(crate) mod build;
pub(crate) mod chat;
pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod completion;
pub(crate) mod components;
pub(crate) mod dev;
pub(crate) mod events;
pub(crate) mod interceptors;
pub(crate) mod kv;
pub(crate) mod limits;
pub(crate) mod logs;
pub(crate) mod matrices;
pub(crate) mod memory;
pub(crate) mod new;
pub(crate) mod nodes;
mod rollout;
pub(crate) mod send;
pub(crate) mod souls;
pub(crate) mod status;
pub(crate) mod teach;
pub(crate) mod test;
pub(crate) mod top;
pub(crate) mod train;

use matrix_proto::v1::PageRequest;

use crate::args::Command;
use crate::errors::Error;
use crate::session::Session;

/// Items that are asked for at once when a list is read whole.
const PAGE_SIZE: u32 = 500;

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    match command {
        Command::New(args) => new::run(&args, session),
        Command::Build(args) => build::run(args, session).await,
        Command::Test(args) => test::run(args, session).await,
        Command::Dev(args) => dev::run(args, session).await,
        Command::Status => status::run(session).await,
        Command::Apply(args) => apply::run(args, session).await,
        Command::Nodes(command) => nodes::run(command, session).await,
        Command::Cluster(command) => cluster::run(command, session).await,
        Command::Access(command) => access::run(command, session).await,
        Command::Check(args) => check::run(args, session).await,
        Command::Components(command) => components::run(command, session).await,
        Command::Souls(command) => souls::run(command, session).await,
        Command::Memory(command) => memory::run(command, session).await,
        Command::Send(args) => send::run(args, session).await,
        Command::Ask(args) => ask::run(args, session).await,
        Command::Chat(args) => chat::run(args, session).await,
        Command::Teach(args) => teach::run(args, session).await,
        Command::Train(args) => train::run(args, session).await,
        Command::Interceptors(command) => interceptors::run(command, session).await,
        Command::Matrices(command) => matrices::run(command, session).await,
        Command::Top(args) => top::run(args, session).await,
        Command::Limits => limits::run(session).await,
        Command::Events(args) => events::run(args, session).await,
        Command::Logs(args) => logs::run(args, session).await,
        Command::Kv(command) => kv::run(command, session).await,
        Command::Completion(args) => completion::run(&args, session),
    }
}

/// Reads a list whole: `page` asks for one page, and gives its items and where the next one starts.
async fn all_pages<T>(
    mut page: impl AsyncFnMut(PageRequest) -> Result<(Vec<T>, String), Error>,
) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    let mut page_token = String::new();
    loop {
        let (more, next) = page(PageRequest { page_size: PAGE_SIZE, page_token: page_token.clone() }).await?;
        // A page that is empty, or leads to itself, would never end.
        let ends = next.is_empty() || next == page_token || more.is_empty();
        items.extend(more);
        if ends {
            return Ok(items);
        }
        page_token = next;
    }
}

/// Something was deleted: says so.
fn show_deleted(session: &Session<'_>, kind: &str, name: &str) -> Result<(), Error> {
    let json = serde_json::json!({ "deleted": true, "kind": kind, "name": name });
    session.output.show(&json, |style| format!("{} {kind} {name}\n", style.green("deleted")))
}
