//! Does what a message tells it, and imports what waits: it has a stack of its own. Its setting `peer`
//! names whom it asks.

use std::time::Duration;

use matrix_sdk::keyvalue::{Bucket, Error};
use matrix_sdk::logging::{self, Level};
use matrix_sdk::messaging;
use matrix_sdk::prelude::*;
use programs::{LARGE_BYTES, command, misbehave, say};

/// How many operations a flood of the KV has where it is not told.
const FLOOD: u32 = 100_000;
/// The length of the values that `amplify` asks for, in bytes; within what the KV keeps.
const VALUE_BYTES: usize = 512 * 1024;

/// Whom it asks.
#[derive(Default)]
struct Caller {
    peer: String,
}

impl Soul for Caller {
    fn init(birth: Birth) -> Result<Self, String> {
        Ok(Self { peer: birth.setting("peer").unwrap_or_default().to_owned() })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        let (word, argument) = command(&message)?;
        match word.as_str() {
            "ask" => self.ask(&argument),
            "put" => keep(&argument).map_err(explain),
            "get" => fetch(&argument).map_err(explain),
            "open" => Bucket::open(&argument).map_err(explain).and_then(|_| say("open")),
            "kv-long-key" => long_key().map_err(explain),
            "kv-keys" => say(flood(&argument, |bucket, turn| bucket.set(&turn.to_string(), b"x"))),
            "kv-spin" => say(flood(&argument, |bucket, _| bucket.increment("hot", 1).map(drop))),
            "kv-amplify" => amplify().map_err(explain),
            "kv-many" => many(&argument).map_err(explain),
            "handles" => hoard_handles().map_err(explain),
            word => misbehave(word).unwrap_or(Ok(None)),
        }
    }
}

impl Caller {
    /// Asks its peer, and logs `asking` first. Before the question comes the time it waits, in milliseconds:
    /// `MS QUESTION`.
    fn ask(&self, argument: &str) -> Reply {
        let (timeout, question) = argument.split_once(' ').ok_or("say `ask MS QUESTION`")?;
        let timeout = Duration::from_millis(timeout.parse().map_err(|_| "say `ask MS QUESTION`")?);
        logging::log(Level::Info, "", "asking");
        match messaging::ask(&Address::soul(self.peer.as_str()), &Content::text(question), timeout) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let shown: String = format!("{error:?}").chars().take(300).collect();
                Err(shown)
            }
        }
    }
}

fn keep(argument: &str) -> Result<Option<Content>, Error> {
    let (key, value) = argument.split_once(' ').unwrap_or((argument, ""));
    Bucket::open("default")?.set(key, value.as_bytes())?;
    Ok(Some(Content::text("kept")))
}

fn fetch(key: &str) -> Result<Option<Content>, Error> {
    let value = Bucket::open("default")?.get(key)?;
    Ok(value.map(|value| Content::new("text/plain", value)))
}

fn long_key() -> Result<Option<Content>, Error> {
    Bucket::open("default")?.set(&"k".repeat(LARGE_BYTES), b"x")?;
    Ok(None)
}

/// Asks for one large value many times in one call: what the host copies must not grow with it.
fn amplify() -> Result<Option<Content>, Error> {
    let bucket = Bucket::open("default")?;
    bucket.set("large", &vec![1; VALUE_BYTES])?;
    let found = bucket.get_many(&vec!["large".to_owned(); 256])?;
    Ok(Some(Content::text(found.len().to_string())))
}

/// Asks for as many keys in one call as it is told.
fn many(count: &str) -> Result<Option<Content>, Error> {
    let keys = vec!["key".to_owned(); count.parse().unwrap_or(0)];
    let found = Bucket::open("default")?.get_many(&keys)?;
    Ok(Some(Content::text(found.len().to_string())))
}

/// Opens its bucket again and again, and never closes it.
fn hoard_handles() -> Result<Option<Content>, Error> {
    loop {
        std::mem::forget(Bucket::open("default")?);
    }
}

/// Does something to a bucket, its own unless it is told another, as often as it is told: `TIMES BUCKET`. Says
/// how often it was let, and why not the first time that it was not.
fn flood(argument: &str, mut operate: impl FnMut(&Bucket, u32) -> Result<(), Error>) -> String {
    let (times, bucket) = argument.split_once(' ').unwrap_or((argument, "default"));
    let bucket = match Bucket::open(bucket) {
        Ok(bucket) => bucket,
        Err(error) => return explain(error),
    };
    let (mut done, mut refusal) = (0, None);
    for turn in 0..times.parse().unwrap_or(FLOOD) {
        match operate(&bucket, turn) {
            Ok(()) => done += 1,
            Err(error) => refusal = refusal.or_else(|| Some(explain(error))),
        }
    }
    format!("{done} {}", refusal.unwrap_or_default())
}

fn explain(error: Error) -> String {
    match error {
        Error::Other(reason) => reason,
        error => format!("{error:?}"),
    }
}

matrix_sdk::soul!(Caller);
