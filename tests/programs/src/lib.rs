//! What several programs do alike: ways to waste time, stack and memory.
//!
//! A program does what a message says: `WORD`, or `WORD ARGUMENT`. So one component holds many
//! behaviours, and behaves until it is told not to.

pub mod fault;
pub mod insect;

use std::hint::black_box;

use matrix_sdk::prelude::*;

/// How much `copy` copies at a time, in bytes: more than a deadline's worth in a few instructions.
const COPY_BYTES: usize = 6 << 20;
/// The size of one message body, event or line that is meant to be too much, in bytes.
pub const LARGE_BYTES: usize = 1 << 20;

/// The word and the argument of a message.
///
/// # Errors
/// Where the body is no text.
pub fn command(message: &Message<'_>) -> Result<(String, String), String> {
    let text = message.text()?;
    let (word, argument) = text.split_once(' ').unwrap_or((text, ""));
    Ok((word.to_owned(), argument.to_owned()))
}

/// A reply of text.
///
/// # Errors
/// Never: the type is that of a reply.
pub fn say(text: impl ToString) -> Reply {
    Ok(Some(Content::text(text.to_string())))
}

/// Rules of this name that nobody plays, and that speak in text.
pub fn described(name: &str) -> Description {
    Description {
        name: name.to_owned(),
        version: "1".to_owned(),
        observation_type: "text/plain".to_owned(),
        action_type: "text/plain".to_owned(),
        players_min: 0,
        players_max: 0,
        config_schema: "{}".to_owned(),
    }
}

/// Does one of the things that need no import. None: the word is none of them.
pub fn misbehave(word: &str) -> Option<Reply> {
    match word {
        "loop" => spin(),
        "recurse" => Some(say(recurse(1))),
        "copy" => copy(),
        "grow" => Some(say(grow())),
        "hoard" => Some(say(hoard())),
        "trap" => panic!("told to"),
        "error" => Some(Err("x".repeat(LARGE_BYTES))),
        "reply" => Some(Ok(Some(Content::new("application/octet-stream", vec![0; LARGE_BYTES])))),
        "media-type" => Some(Ok(Some(Content::new("x".repeat(LARGE_BYTES), Vec::new())))),
        _ => None,
    }
}

/// Never returns.
pub fn spin() -> ! {
    let mut turns = 0u64;
    loop {
        turns = black_box(turns + 1);
    }
}

/// Calls itself until the stack is used up.
fn recurse(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { recurse(depth + 1) + black_box(depth) }
}

/// Copies memory for ever: nearly all its time passes within single instructions.
fn copy() -> ! {
    let mut memory = vec![1u8; 2 * COPY_BYTES];
    loop {
        memory.copy_within(..COPY_BYTES, COPY_BYTES);
        black_box(&mut memory);
    }
}

/// Takes pages until it is refused one, and says how many bytes it got: it survives the refusal.
pub fn grow() -> usize {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut block: Vec<u8> = Vec::new();
        if block.try_reserve_exact(1 << 16).is_err() {
            return blocks.len() << 16;
        }
        block.resize(1 << 16, 1);
        blocks.push(block);
    }
}

/// Wants all memory that a 32-bit guest can name, and cannot go on without.
fn hoard() -> usize {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    loop {
        blocks.push(black_box(vec![1; 1 << 20]));
    }
}

/// The state of `regime`: its word, its steps, and what it drew.
///
/// # Errors
/// Where the schema is another, or the bytes are none of it.
pub fn regime(schema: &str, bytes: &[u8]) -> Result<(String, u32, Vec<u64>), String> {
    if schema != "regime/1" {
        return Err(format!("cannot take up a state of schema `{schema}`"));
    }
    let state = || {
        let (length, rest) = bytes.split_first()?;
        let (word, rest) = rest.split_at_checked((*length).into())?;
        let (steps, rest) = rest.split_first_chunk::<4>()?;
        let (drawn, []) = rest.as_chunks::<8>() else { return None };
        let drawn = drawn.iter().map(|drawn| u64::from_le_bytes(*drawn)).collect();
        Some((String::from_utf8(word.to_vec()).ok()?, u32::from_le_bytes(*steps), drawn))
    };
    state().ok_or_else(|| "not a state of schema `regime/1`".to_owned())
}
