//! `matrix kv`.

use std::path::PathBuf;

use bytes::Bytes;
use matrix_proto::v1::compare_and_swap_request::Expected;
use matrix_proto::v1::{
    CompareAndSwapRequest, KvDeleteRequest, KvEntry, KvGetRequest, KvPutRequest, KvRangeRequest,
    KvWatchRequest, KvWatchResponse,
};
use serde_json::{Value, json};

use crate::connection::Node;
use crate::content::{BODY_BYTES_MAX, read_file, read_stdin};
use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::table::Table;
use crate::{request, text};

/// Keys that are asked for at once: values have up to 1 MiB, and a page must fit into an answer.
const PAGE_SIZE: u32 = 50;

/// How much of a value a table shows.
const VALUE_CHARS: usize = 60;

/// What to do with the KV.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Prints the value of a key
    Get {
        #[command(flatten)]
        at: KeyArgs,
        /// Read the node's own copy, without asking the leader
        #[arg(long)]
        local: bool,
    },
    /// Gives a key a value
    Put {
        #[command(flatten)]
        at: KeyArgs,
        #[command(flatten)]
        value: ValueArgs,
        /// A lease to hang it on
        #[arg(long, value_name = "LEASE", default_value_t = 0, hide_default_value = true)]
        lease: u64,
    },
    /// Takes a key's value away
    Del(KeyArgs),
    /// Lists keys in order
    Ls {
        /// The bucket
        bucket: String,
        /// Only keys that start with this
        #[arg(default_value = "")]
        prefix: String,
        /// How many at most [default: all]
        #[arg(short = 'n', long, value_name = "N")]
        limit: Option<usize>,
        /// Read the node's own copy, without asking the leader
        #[arg(long)]
        local: bool,
    },
    /// Shows changes as they happen
    Watch {
        /// The bucket
        bucket: String,
        /// Only keys that start with this
        #[arg(default_value = "")]
        prefix: String,
        /// The first revision wanted [default: from now on]
        #[arg(long, value_name = "REVISION")]
        from: Option<u64>,
    },
    /// Changes a key only if it is as expected
    Cas {
        #[command(flatten)]
        at: KeyArgs,
        #[command(flatten)]
        expected: ExpectedArgs,
        #[command(flatten)]
        value: NewArgs,
    },
}

/// Which key.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KeyArgs {
    /// The bucket
    bucket: String,
    /// The key
    #[arg(allow_hyphen_values = true)]
    key: String,
}

/// A value.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ValueArgs {
    /// The value; `-` reads stdin
    #[arg(required_unless_present = "file", conflicts_with = "file", allow_hyphen_values = true)]
    value: Option<String>,
    /// Take the value from FILE
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// How a key must be.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ExpectedArgs {
    /// Only if the key holds nothing
    #[arg(long)]
    absent: bool,
    /// Only if its last change has this revision
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    /// Only if it holds this value
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    expect: Option<String>,
}

/// What a key is to become.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct NewArgs {
    /// The new value; `-` reads stdin
    #[arg(allow_hyphen_values = true)]
    value: Option<String>,
    /// Take the new value from FILE
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Delete the key
    #[arg(long)]
    delete: bool,
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    match command {
        Command::Get { at, local } => get(&node, at, local, session).await,
        Command::Put { at, value, lease } => put(&node, at, value, lease, session).await,
        Command::Del(at) => del(&node, at, session).await,
        Command::Ls { bucket, prefix, limit, local } => {
            let range = KvRangeRequest { bucket, prefix: prefix.into(), local, ..KvRangeRequest::default() };
            ls(&node, range, limit.unwrap_or(usize::MAX), session).await
        }
        Command::Watch { bucket, prefix, from } => {
            let message = KvWatchRequest { bucket, prefix: prefix.into(), from_revision: from };
            watch(&node, message, session).await
        }
        Command::Cas { at, expected, value } => cas(&node, at, expected, value, session).await,
    }
}

async fn get(node: &Node, at: KeyArgs, local: bool, session: &Session<'_>) -> Result<(), Error> {
    let place = place(&at);
    let message = KvGetRequest { bucket: at.bucket.clone(), key: at.key.clone().into(), local };
    let got = node.call(&place, message, async |request| node.kv().get(request).await).await?;
    let Some(entry) = got.entry else {
        return Err(Error::NotFound {
            what: format!("the key `{}` holds nothing", text::one_line(&at.key)),
            change: format!("see what there is: matrix kv ls {}", at.bucket),
        });
    };
    match (session.output.is_json(), std::str::from_utf8(&entry.value)) {
        (true, _) => session.output.show(&json(&entry), |_| String::new()),
        (false, _) if !session.output.stdout_is_terminal() => session.output.raw(&entry.value),
        (false, Ok(value)) => session.output.raw(format!("{}\n", text::printable(value)).as_bytes()),
        (false, Err(_)) => session.output.raw(format!("{}\n", shown(&entry.value)).as_bytes()),
    }
}

async fn put(
    node: &Node,
    at: KeyArgs,
    value: ValueArgs,
    lease: u64,
    session: &Session<'_>,
) -> Result<(), Error> {
    let place = place(&at);
    let value = read_value(value.value, value.file)?;
    let message =
        KvPutRequest { bucket: at.bucket, key: at.key.into(), value, lease, request_id: request::id()? };
    let put = node.call(place, message, async |request| node.kv().put(request).await).await?;
    let json = json!({ "revision": put.revision, "log_index": put.log_index });
    session.output.show(&json, |style| format!("{} revision {}\n", style.green("put"), put.revision))
}

async fn del(node: &Node, at: KeyArgs, session: &Session<'_>) -> Result<(), Error> {
    let place = place(&at);
    let message = KvDeleteRequest { bucket: at.bucket, key: at.key.into(), request_id: request::id()? };
    let done = node.call(place, message, async |request| node.kv().delete(request).await).await?;
    let json = json!({ "existed": done.existed, "revision": done.revision, "log_index": done.log_index });
    session.output.show(&json, |style| match done.existed {
        true => format!("{} revision {}\n", style.green("deleted"), done.revision),
        false => format!("{} it held nothing\n", style.dim("unchanged")),
    })
}

async fn ls(
    node: &Node,
    mut range: KvRangeRequest,
    limit: usize,
    session: &Session<'_>,
) -> Result<(), Error> {
    let mut table = Table::new(["KEY", "REVISION", "VERSION", "SIZE", "VALUE"]);
    let mut left = limit;
    while left > 0 {
        range.page_size = PAGE_SIZE.min(u32::try_from(left).unwrap_or(PAGE_SIZE));
        let place = format!("bucket {}", range.bucket);
        let list = async |request| node.kv().range(request).await;
        let page = node.call(place, range.clone(), list).await?;
        left -= page.entries.len().min(left);
        for entry in &page.entries {
            if session.output.is_json() {
                session.output.show(&json(entry), |_| String::new())?;
            }
            table.row([
                shown(&entry.key),
                entry.revision.to_string(),
                entry.version.to_string(),
                text::bytes(entry.value.len() as u64),
                shown(&entry.value),
            ]);
        }
        if page.next_page_token.is_empty() || page.entries.is_empty() {
            break;
        }
        range.page_token = page.next_page_token;
    }
    if session.output.is_json() {
        return Ok(());
    }
    session.output.show(&Value::Null, |style| table.render(style, "no keys"))
}

async fn watch(node: &Node, message: KvWatchRequest, session: &Session<'_>) -> Result<(), Error> {
    let place = format!("bucket {}", message.bucket);
    let mut changes = node.stream(&place, message, async |request| node.kv().watch(request).await).await?;
    while let Some(change) = changes.message().await.map_err(|status| Error::node(status, &place))? {
        session.output.show(&change_json(&change), |style| change_human(style, &change))?;
    }
    Ok(())
}

async fn cas(
    node: &Node,
    at: KeyArgs,
    expected: ExpectedArgs,
    new: NewArgs,
    session: &Session<'_>,
) -> Result<(), Error> {
    let place = place(&at);
    let expected = match (expected.revision, expected.expect) {
        (Some(revision), _) => Expected::Revision(revision),
        (None, Some(value)) => Expected::Value(value.into()),
        (None, None) => Expected::Absent(true),
    };
    let new_value = if new.delete { None } else { Some(read_value(new.value, new.file)?) };
    let message = CompareAndSwapRequest {
        bucket: at.bucket,
        key: at.key.into(),
        request_id: request::id()?,
        expected: Some(expected),
        new_value,
    };
    let swap = async |request| node.kv().compare_and_swap(request).await;
    let done = node.call(&place, message, swap).await?;
    let now = done.current.as_ref();
    if done.swapped {
        let json = json!({ "swapped": true, "current": now.map(json), "log_index": done.log_index });
        let revision = now.map(|entry| format!(" revision {}", entry.revision)).unwrap_or_default();
        return session.output.show(&json, |style| format!("{}{revision}\n", style.green("swapped")));
    }
    Err(Error::Conflict {
        what: match now {
            Some(entry) => format!("the key holds revision {}: {}", entry.revision, shown(&entry.value)),
            None => "the key holds nothing".to_owned(),
        },
        place,
        change: "read it again, and swap with what it holds".to_owned(),
    })
}

fn read_value(value: Option<String>, file: Option<PathBuf>) -> Result<Bytes, Error> {
    match (file, value.as_deref()) {
        (Some(path), _) => read_file(&path, BODY_BYTES_MAX),
        (None, Some("-")) => read_stdin(),
        (None, value) => Ok(Bytes::copy_from_slice(value.unwrap_or_default().as_bytes())),
    }
}

fn place(at: &KeyArgs) -> String {
    format!("bucket {}, key {}", text::one_line(&at.bucket), text::one_line(&at.key))
}

/// Bytes on a line: as text if they are, else in base64; shortened.
fn shown(bytes: &[u8]) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Ok(value) => text::one_line(value),
        Err(_) => format!("base64:{}", text::base64(&bytes[..bytes.len().min(VALUE_CHARS)])),
    };
    match whole.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}...", &whole[..end]),
        None => whole,
    }
}

/// Puts bytes into an object: under `name` as text, or under `name_base64`.
fn insert_bytes(object: &mut Value, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object[name] = json!(text),
        Err(_) => object[format!("{name}_base64")] = json!(text::base64(bytes)),
    }
}

fn json(entry: &KvEntry) -> Value {
    let mut object = json!({
        "revision": entry.revision,
        "created_revision": entry.created_revision,
        "version": entry.version,
        "lease": entry.lease,
    });
    insert_bytes(&mut object, "key", &entry.key);
    insert_bytes(&mut object, "value", &entry.value);
    object
}

fn change_json(change: &KvWatchResponse) -> Value {
    let entry = change.entry.clone().unwrap_or_default();
    let mut object = json!({ "revision": change.revision, "deleted": change.deleted });
    insert_bytes(&mut object, "key", &entry.key);
    if !change.deleted {
        insert_bytes(&mut object, "value", &entry.value);
    }
    object
}

fn change_human(style: &Style, change: &KvWatchResponse) -> String {
    let entry = change.entry.clone().unwrap_or_default();
    let (revision, key) = (style.dim(&change.revision.to_string()), style.bold(&shown(&entry.key)));
    match change.deleted {
        true => format!("{revision} {} {key}\n", style.red("deleted")),
        false => format!("{revision} {} {key} {}\n", style.green("put"), shown(&entry.value)),
    }
}
