//! `matrix memory import`: every line is read and checked before the first one is remembered.

use std::io::{BufRead, BufReader, Read as _};
use std::path::PathBuf;

use matrix_proto::v1::{Episode, RememberRequest};
use serde::Deserialize;
use serde_json::json;

use super::super::souls::parse_name;
use crate::connection::Node;
use crate::errors::Error;
use crate::request;
use crate::session::Session;

/// The longest line that is read, in bytes: more than any episode needs.
const LINE_BYTES_MAX: u64 = 256 << 10;
/// The most lines that are taken, and bytes of all: they are held in memory.
const LINES_MAX: usize = 100_000;
const BYTES_MAX: u64 = 256 << 20;
/// What an episode may have, as the node's interface says.
const TEXT_BYTES_MAX: usize = 8_192;
const TAGS_MAX: usize = 16;
const TAG_BYTES_MAX: usize = 64;
const EMBEDDING_MAX: usize = 1_024;

/// Who is to remember what.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The Soul's name
    #[arg(value_parser = parse_name)]
    name: String,
    /// The file, an episode a line; `-` reads stdin
    file: PathBuf,
}

/// A line, as `export` writes it; what need not be there may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    #[serde(default = "middling")]
    importance: f32,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    embedding: Vec<f32>,
    #[serde(default)]
    at_ms: u64,
    #[serde(default)]
    times: u32,
    #[serde(default)]
    last_at_ms: u64,
    /// What the Soul that remembers it now gives anew.
    #[serde(default, rename = "id")]
    _id: u64,
    #[serde(default, rename = "recalled_at_ms")]
    _recalled_at_ms: u64,
}

fn middling() -> f32 {
    0.5
}

/// An episode, and on which line it stands.
type Numbered = (u64, Episode);

/// Lets a Soul remember what a file says.
pub(super) async fn run(node: &Node, args: Args, session: &Session<'_>) -> Result<(), Error> {
    let Args { name, file } = args;
    let (place, episodes) = if file.as_os_str() == "-" {
        ("stdin".to_owned(), read(std::io::stdin().lock(), "stdin")?)
    } else {
        let place = file.display().to_string();
        let opened = std::fs::File::open(&file);
        let opened = opened.map_err(|error| Error::file("cannot read the file", &file, error))?;
        let episodes = read(BufReader::new(opened), &place)?;
        (place, episodes)
    };
    let (total, mut taken, mut forgotten, mut consolidated) = (episodes.len(), 0, 0, 0);
    for (number, episode) in episodes {
        let message =
            RememberRequest { name: name.clone(), episode: Some(episode), request_id: request::id()? };
        let remember = async |request| node.memory().remember(request).await;
        let remembered = node.call(format!("soul {name}"), message, remember).await;
        let remembered = remembered.map_err(|error| {
            error.within(&format!("line {number} of {place}, after {taken} of {total} that are remembered"))
        })?;
        taken += 1;
        forgotten += remembered.forgotten.len();
        consolidated += remembered.consolidated.len();
    }
    let shown = json!({
        "name": name, "remembered": taken, "forgotten": forgotten, "consolidated": consolidated,
    });
    session.output.show(&shown, |style| {
        let done = format!("{} {taken} episodes", style.green("remembered"));
        let room =
            format!("; to make room, {forgotten} were forgotten, and {consolidated} taken up by others");
        format!("{done}{}\n", if forgotten + consolidated > 0 { room } else { String::new() })
    })
}

/// All episodes of a file, if every line of it is one.
fn read(mut lines: impl BufRead, place: &str) -> Result<Vec<Numbered>, Error> {
    let (mut episodes, mut line, mut bytes) = (Vec::new(), Vec::new(), 0);
    for number in 1_u64.. {
        let wrong = |reason: String| {
            let what = format!("line {number} of {place} is no episode: {reason}");
            Error::usage(what, "nothing was remembered: correct the line")
        };
        line.clear();
        let count = lines.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
        let count = count.map_err(|error| Error::local("cannot read", place, error))? as u64;
        if count == 0 {
            break;
        }
        bytes += count;
        if count > LINE_BYTES_MAX {
            return Err(wrong(format!("it has more than {LINE_BYTES_MAX} bytes")));
        }
        if episodes.len() == LINES_MAX || bytes > BYTES_MAX {
            let what = format!("{place} has more than {LINES_MAX} episodes, or {BYTES_MAX} bytes");
            return Err(Error::usage(what, "nothing was remembered: divide the file"));
        }
        let text = std::str::from_utf8(&line).map_err(|error| wrong(error.to_string()))?;
        if !text.trim().is_empty() {
            episodes.push((number, episode(text).map_err(wrong)?));
        }
    }
    Ok(episodes)
}

/// The episode of a line; the error says what is wrong with it.
fn episode(line: &str) -> Result<Episode, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let Line { text, importance, tags, embedding, at_ms, times, last_at_ms, .. } = line;
    let most = |what: &str, count: usize, max: usize| {
        if count > max { Err(format!("{what} has {count}, and {max} are allowed")) } else { Ok(()) }
    };
    if text.is_empty() {
        return Err("`text` is empty: say what happened".to_owned());
    }
    if !(0.0..=1.0).contains(&importance) {
        return Err(format!("`importance` is {importance}: it must be from 0 to 1"));
    }
    most("`text`, in bytes,", text.len(), TEXT_BYTES_MAX)?;
    most("`tags`", tags.len(), TAGS_MAX)?;
    most("a tag, in bytes,", tags.iter().map(String::len).max().unwrap_or(0), TAG_BYTES_MAX)?;
    most("`embedding`", embedding.len(), EMBEDDING_MAX)?;
    if embedding.iter().any(|number| !number.is_finite()) {
        return Err("`embedding` has a number in it that is too large".to_owned());
    }
    Ok(Episode { text, importance, tags, embedding, at_ms, times, last_at_ms, ..Episode::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text.as_bytes(), "it").expect_err("it is no episode").to_string()
    }

    #[test]
    fn what_was_exported_is_read_again() {
        let line = r#"{"at_ms":7,"embedding":[0.5],"id":3,"importance":1.0,"recalled_at_ms":9,"tags":["a"],"text":"x"}"#;
        let read = read(format!("{line}\n\n{{\"text\":\"y\"}}").as_bytes(), "it").expect("two episodes");
        let (tags, embedding) = (vec!["a".to_owned()], vec![0.5]);
        let first = Episode {
            text: "x".to_owned(),
            importance: 1.0,
            tags,
            embedding,
            at_ms: 7,
            ..Episode::default()
        };
        let second = Episode { text: "y".to_owned(), importance: 0.5, ..Episode::default() };
        assert_eq!(read, [(1, first), (3, second)]);
    }

    #[test]
    fn a_line_that_is_no_episode_is_named_with_what_is_wrong() {
        for (line, why) in [
            ("x".to_owned(), "expected value"),
            ("{}".to_owned(), "missing field `text`"),
            (r#"{"text":""}"#.to_owned(), "`text` is empty"),
            (r#"{"text":"x","mood":1}"#.to_owned(), "unknown field `mood`"),
            (r#"{"text":"x","importance":2}"#.to_owned(), "`importance` is 2"),
            (r#"{"text":"x","embedding":[1e99]}"#.to_owned(), "too large"),
            (json!({ "text": "x".repeat(8_193) }).to_string(), "8193, and 8192"),
            (json!({ "text": "x", "tags": vec!["t"; 17] }).to_string(), "17, and 16"),
            (json!({ "text": "x", "tags": ["t".repeat(65)] }).to_string(), "65, and 64"),
            (json!({ "text": "x", "embedding": vec![1; 1_025] }).to_string(), "1025, and 1024"),
            (" ".repeat(LINE_BYTES_MAX as usize + 1), "more than 262144 bytes"),
        ] {
            let refused = refused(&format!("{{\"text\":\"sound\"}}\n{line}\n"));
            assert!(refused.contains("line 2 of it") && refused.contains(why), "{why}: {refused}");
        }
    }
}
