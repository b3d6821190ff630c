//! Counts who comes, greets them, and remembers the last one: by the standard interfaces alone.

#[allow(missing_docs, reason = "it is generated")]
mod bindings {
    wit_bindgen::generate!({ world: "visitor", path: "wit", generate_all });
}

use bindings::exports::matrix::node::agent::{Batch, Birth, Guest};
use bindings::matrix::node::types::Content;
use bindings::wasi::keyvalue::{atomics, batch, store};
use bindings::wasi::logging::logging::{Level, log};

/// The bucket that it was told to use.
const BUCKET: &str = "guests";
/// What log lines are grouped under.
const CONTEXT: &str = "visitor";
/// Words of one message in a batch.
const WORDS: usize = 16;
/// Where the lengths of name, topic, media type and body stand among these.
const LENGTHS: std::ops::Range<usize> = 5..9;

struct Visitor;

impl Guest for Visitor {
    fn init(birth: Birth) -> Result<(), String> {
        log(Level::Info, CONTEXT, &format!("{} is open", birth.name));
        Ok(())
    }

    fn receive(messages: Batch) -> Vec<Result<Option<Content>, String>> {
        let mut rest = &messages.bytes[..];
        let mut replies = Vec::new();
        for head in messages.heads.chunks_exact(WORDS) {
            let mut body: &[u8] = &[];
            for length in &head[LENGTHS] {
                (body, rest) = rest.split_at(*length as usize);
            }
            replies.push(greet(&String::from_utf8_lossy(body)));
        }
        replies
    }
}

fn greet(who: &str) -> Result<Option<Content>, String> {
    let failed = |error: store::Error| format!("{error:?}");
    let bucket = store::open(BUCKET).map_err(failed)?;
    let known = bucket.exists("last").map_err(failed)?;
    let before = if known { bucket.get("last").map_err(failed)? } else { None };
    let number = atomics::increment(&bucket, "count", 1).map_err(failed)?;
    let pairs = [("last".to_owned(), who.as_bytes().to_vec()), (format!("guest/{number}"), who.as_bytes().to_vec())];
    batch::set_many(&bucket, &pairs).map_err(failed)?;
    log(Level::Warn, CONTEXT, &format!("{who} came as number {number}"));
    let before = before.map(|before| format!(" after {}", String::from_utf8_lossy(&before))).unwrap_or_default();
    let body = format!("Welcome, {who}: number {number}{before}.").into_bytes();
    Ok(Some(Content { content_type: "text/plain".to_owned(), body }))
}

bindings::export!(Visitor with_types_in bindings);
