//! Contents: what is sent, and how what comes back is shown.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use matrix_proto::v1::Content;
use serde_json::{Value, json};

use crate::errors::Error;
use crate::output::Output;
use crate::text;

/// The most bytes that are read for one body: more than any node accepts, little enough to hold.
pub(crate) const BODY_BYTES_MAX: u64 = 16 << 20;

/// What to send.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ContentArgs {
    /// The text to send; `-` reads stdin
    #[arg(required_unless_present = "file", conflicts_with = "file", allow_hyphen_values = true)]
    text: Option<String>,
    /// Send what is in FILE
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Media type of what is sent [default: text/plain, or what FILE's name says]
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
}

impl ContentArgs {
    /// Reads what is to be sent.
    pub(crate) fn read(&self) -> Result<Content, Error> {
        let given = self.content_type.as_deref();
        let (body, guess) = match (&self.file, self.text.as_deref()) {
            (Some(path), _) => (read_file(path, BODY_BYTES_MAX)?, type_of(path)),
            (None, Some("-")) => (read_stdin()?, "text/plain"),
            (None, text) => (Bytes::copy_from_slice(text.unwrap_or_default().as_bytes()), "text/plain"),
        };
        let content_type = given.unwrap_or(guess).to_owned();
        if content_type.starts_with("text/") && std::str::from_utf8(&body).is_err() {
            return Err(Error::usage("what is to be sent is not UTF-8 text", "say what it is: --type TYPE"));
        }
        Ok(Content { content_type, body })
    }
}

/// Reads a file of at most `bytes_max` bytes.
pub(crate) fn read_file(path: &Path, bytes_max: u64) -> Result<Bytes, Error> {
    let failed = |error| Error::file("cannot read the file", path, error);
    read_bounded(std::fs::File::open(path).map_err(failed)?, &path.display().to_string(), bytes_max)
}

/// Reads stdin to its end.
pub(crate) fn read_stdin() -> Result<Bytes, Error> {
    read_bounded(std::io::stdin().lock(), "stdin", BODY_BYTES_MAX)
}

fn read_bounded(from: impl std::io::Read, place: &str, bytes_max: u64) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    let failed = |error| Error::local("cannot read", place, error);
    from.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        let reason = format!("it is larger than {}", text::bytes(bytes_max));
        return Err(Error::local("cannot send it", place, reason));
    }
    Ok(bytes.into())
}

/// The media type that a file's name suggests.
fn type_of(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("txt" | "text" | "md") => "text/plain",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

/// The essence of a media type, without parameters.
fn essence(content: &Content) -> String {
    content.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The content as JSON, if its type says that it is, and it is.
pub(crate) fn as_json(content: &Content) -> Option<Value> {
    let essence = essence(content);
    (essence == "application/json" || essence.ends_with("+json"))
        .then(|| serde_json::from_slice(&content.body).ok())
        .flatten()
}

/// A content for programs: `json`, `text` or `base64` holds the body.
pub(crate) fn json(content: &Content) -> Value {
    let mut object = json!({ "content_type": content.content_type });
    let (key, value) = match (as_json(content), std::str::from_utf8(&content.body)) {
        (Some(value), _) => ("json", value),
        (None, Ok(text)) => ("text", json!(text)),
        (None, Err(_)) => ("base64", json!(text::base64(&content.body))),
    };
    object[key] = value;
    object
}

/// Writes a content for people: text as text, JSON indented, other bytes as they are, unless they
/// would land on a terminal.
pub(crate) fn show(output: &Output, content: &Content) -> Result<(), Error> {
    output.raw(&human(content, output.stdout_is_terminal()))
}

/// A content on one line, for streams of events.
pub(crate) fn line(content: &Content) -> String {
    if let Some(value) = as_json(content) {
        return text::one_line(&value.to_string());
    }
    match std::str::from_utf8(&content.body) {
        Ok(body) => text::one_line(body),
        Err(_) => summary(content),
    }
}

fn human(content: &Content, on_terminal: bool) -> Vec<u8> {
    let line = |text: String| if text.ends_with('\n') { text } else { text + "\n" };
    if let Some(value) = as_json(content) {
        return line(text::printable(&format!("{value:#}"))).into_bytes();
    }
    let is_text = essence(content).starts_with("text/");
    match (std::str::from_utf8(&content.body), on_terminal) {
        (Ok(body), true) if is_text => line(text::printable(body)).into_bytes(),
        (Ok(body), false) if is_text => line(body.to_owned()).into_bytes(),
        (_, true) => line(format!("{} (redirect the output to keep them)", summary(content))).into_bytes(),
        (_, false) => content.body.to_vec(),
    }
}

fn summary(content: &Content) -> String {
    let size = text::bytes(content.body.len() as u64);
    format!("{size} of {}", text::one_line(&content.content_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(content_type: &str, body: &'static [u8]) -> Content {
        Content { content_type: content_type.to_owned(), body: Bytes::from_static(body) }
    }

    fn shown(content_type: &str, body: &'static [u8], on_terminal: bool) -> String {
        String::from_utf8_lossy(&human(&content(content_type, body), on_terminal)).into_owned()
    }

    #[test]
    fn people_see_text_and_indented_json() {
        assert_eq!(shown("text/plain; charset=utf-8", b"hi", false), "hi\n");
        assert_eq!(shown("application/json", br#"{"a":1}"#, true), "{\n  \"a\": 1\n}\n");
    }

    #[test]
    fn terminals_are_spared_what_they_cannot_show() {
        assert_eq!(shown("text/plain", b"\x1b[2J", true), "\\u{1b}[2J\n");
        assert_eq!(shown("image/png", b"\x89PNG", false).len(), "\u{fffd}PNG".len());
        assert_eq!(
            shown("image/png", b"\x89PNG", true),
            "4 B of image/png (redirect the output to keep them)\n"
        );
    }

    #[test]
    fn programs_get_what_the_body_is() {
        assert_eq!(json(&content("application/json", b"[1]"))["json"], json!([1]));
        assert_eq!(json(&content("application/json", b"[1"))["text"], json!("[1"));
        assert_eq!(json(&content("x/y", b"\xff"))["base64"], json!("/w=="));
    }
}
