//! Messages, events, log lines, components, entries of the KV.

use matrix_label::{Label, Producer};
use matrix_proto::v1;
use matrix_proto::v1::compare_and_swap_request::Expected;
use matrix_proto::v1::subscribe_response::Item as Sent;
use tonic::Status;

use super::{bad_field, bad_id, missing};
use crate::kv::{Change, ChangeKind, Entry, Expect};
use crate::runtime::catalog::Record;
use crate::runtime::inspect::Kind;
use crate::telemetry::logs::{LogLevel, Tailed};
use crate::transport::bus::Item;
use crate::transport::envelope::{Address, CONTENT_TYPE_BYTES_MAX, Content};

/// The media type of a content that names none.
const ANY_TYPE: &str = "application/octet-stream";

/// Whom a message is for.
pub(in crate::admin) fn address(given: Option<v1::Address>) -> Result<Address, Status> {
    use v1::address::To;
    let to = given.and_then(|address| address.to).ok_or_else(|| missing("recipient"))?;
    let address = match &to {
        To::Soul(name) => name.parse().map(Address::Soul),
        To::Matrix(name) => name.parse().map(Address::Matrix),
        To::Topic(name) => name.parse().map(Address::Topic),
        To::Client(name) => name.parse().map(Address::Client),
    };
    address.map_err(|error| bad_id("recipient", &error))
}

/// Whom a message is from, for a caller.
pub(in crate::admin) fn address_to(address: &Address) -> v1::Address {
    use v1::address::To;
    let to = match address {
        Address::Soul(name) => To::Soul(name.to_string()),
        Address::Matrix(name) => To::Matrix(name.to_string()),
        Address::Topic(name) => To::Topic(name.to_string()),
        Address::Client(name) => To::Client(name.to_string()),
    };
    v1::Address { to: Some(to) }
}

/// What a message says. How long its body may be is for the router to say.
pub(in crate::admin) fn content(given: Option<v1::Content>) -> Result<Content, Status> {
    let v1::Content { content_type, body } = given.ok_or_else(|| missing("content"))?;
    let sound = content_type.len() <= CONTENT_TYPE_BYTES_MAX
        && content_type.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if !sound {
        let rule =
            format!("is no media type: use at most {CONTENT_TYPE_BYTES_MAX} printable ASCII characters");
        return Err(bad_field("content.content_type", &rule));
    }
    let content_type = if content_type.is_empty() { ANY_TYPE } else { &content_type };
    Ok(Content { content_type: content_type.into(), body })
}

/// What a message says, for a caller.
pub(in crate::admin) fn content_to(content: &Content) -> v1::Content {
    v1::Content { content_type: content.content_type.to_string(), body: content.body.clone() }
}

/// A step of a subscription.
pub(in crate::admin) fn event(item: Item) -> v1::SubscribeResponse {
    let item = match item {
        Item::Event { sequence, event } => Sent::Event(v1::Event {
            sequence,
            at_ms: event.at_ms,
            kind: event.kind.as_ref().to_owned(),
            source: event.source.to_string(),
            content: Some(content_to(&event.content)),
        }),
        Item::Missed { from, to } => Sent::Missed(v1::Missed { from, to }),
    };
    v1::SubscribeResponse { item: Some(item) }
}

/// The least level of the lines that a caller wants.
pub(in crate::admin) fn level(given: i32) -> Result<LogLevel, Status> {
    match v1::LogLevel::try_from(given) {
        Ok(v1::LogLevel::Trace) => Ok(LogLevel::Trace),
        Ok(v1::LogLevel::Debug) => Ok(LogLevel::Debug),
        Ok(v1::LogLevel::Info | v1::LogLevel::Unspecified) => Ok(LogLevel::Info),
        Ok(v1::LogLevel::Warn) => Ok(LogLevel::Warn),
        Ok(v1::LogLevel::Error) => Ok(LogLevel::Error),
        Err(_) => Err(bad_field("level", "is no level: use one of LogLevel")),
    }
}

/// A line of the log.
pub(in crate::admin) fn line(tailed: &Tailed) -> v1::LogLine {
    let level = match tailed.line.level {
        LogLevel::Trace => v1::LogLevel::Trace,
        LogLevel::Debug => v1::LogLevel::Debug,
        LogLevel::Info => v1::LogLevel::Info,
        LogLevel::Warn => v1::LogLevel::Warn,
        LogLevel::Error => v1::LogLevel::Error,
    };
    v1::LogLine {
        at_ms: tailed.line.at_ms,
        level: level.into(),
        source: tailed.line.source.as_ref().to_owned(),
        text: tailed.line.text.as_ref().to_owned(),
        dropped: tailed.dropped,
    }
}

/// Which world a component fits.
pub(in crate::admin) const fn kind(kind: Kind) -> v1::ComponentKind {
    match kind {
        Kind::Soul => v1::ComponentKind::Soul,
        Kind::Rules => v1::ComponentKind::Rules,
        Kind::Transport => v1::ComponentKind::Transport,
    }
}

/// A component.
pub(in crate::admin) fn component(record: &Record) -> v1::Component {
    let kind = kind(record.info.kind);
    v1::Component {
        digest: record.digest.to_string(),
        name: record.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        size: record.info.bytes,
        kind: kind.into(),
        imports: record.info.imports.clone(),
        exports: record.info.exports.clone(),
        can_block: record.info.can_block,
        uploaded_at_ms: record.uploaded_at_ms,
        signed_by: record.signature.as_ref().map(|signed| signed.key.to_string()).unwrap_or_default(),
        label: Some(&record.info.label).filter(|label| !label.is_empty()).map(label),
    }
}

/// What a component says of itself.
fn label(label: &Label) -> v1::ComponentLabel {
    let Label { name, version, authors, description, licenses, source, homepage, revision, producers } =
        label.clone();
    let producers = producers.into_iter().map(|Producer { role, name, version }| v1::ComponentProducer {
        role,
        name,
        version,
    });
    v1::ComponentLabel {
        name,
        version,
        authors,
        description,
        licenses,
        source,
        homepage,
        revision,
        producers: producers.collect(),
    }
}

/// A key with its value.
pub(in crate::admin) fn entry(key: bytes::Bytes, entry: &Entry) -> v1::KvEntry {
    v1::KvEntry {
        key,
        value: entry.value.clone(),
        revision: entry.revision,
        created_revision: entry.created_revision,
        version: entry.version,
        lease: entry.lease.map_or(0, |lease| lease.0),
    }
}

/// A change of a key.
pub(in crate::admin) fn change(change: &Change) -> v1::KvWatchResponse {
    let (entry, deleted) = match &change.kind {
        ChangeKind::Put(after) => (entry(change.key(), after), false),
        ChangeKind::Deleted => {
            (v1::KvEntry { key: change.key(), revision: change.revision, ..v1::KvEntry::default() }, true)
        }
    };
    v1::KvWatchResponse { revision: change.revision, entry: Some(entry), deleted }
}

/// How a key must be, to be swapped.
pub(in crate::admin) fn swap_expectation(given: Option<Expected>) -> Result<Expect, Status> {
    match given {
        Some(Expected::Absent(true)) => Ok(Expect::Absent),
        Some(Expected::Revision(revision)) => Ok(Expect::Revision(revision)),
        Some(Expected::Value(value)) => Ok(Expect::Value(value)),
        Some(Expected::Absent(false)) => {
            Err(bad_field("absent", "is false: leave it out, or expect a value"))
        }
        None => Err(bad_field("expected", "is missing: set `absent`, `revision` or `value`")),
    }
}

/// A signature as a client sends it, of a component that goes by `name`.
pub(in crate::admin) fn signature(
    given: v1::ComponentSignature,
    called: &str,
) -> Result<matrix_proto::signature::Signature, Status> {
    let v1::ComponentSignature { key, name, imports, signature } = given;
    if name != called {
        return Err(bad_field(
            "header.signature",
            "is of another name than the header's: sign it under this one",
        ));
    }
    let bad = || bad_field("header.signature", "must have a key of 32 bytes and a signature of 64");
    let key = <[u8; 32]>::try_from(&key[..]).map_err(|_| bad())?;
    let (key, signature) =
        (matrix_proto::signature::PublicKey(key), matrix_proto::signature::hex(&signature));
    Ok(matrix_proto::signature::Signature { key, name, imports: imports.into_iter().collect(), signature })
}
