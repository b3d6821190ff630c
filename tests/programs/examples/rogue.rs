//! Does what a message tells it, and imports nothing that waits: it runs on the caller's stack.
//! Its setting `peer` names whom it floods.

use std::io::Write as _;

use matrix_sdk::events;
use matrix_sdk::logging::{self, Level};
use matrix_sdk::messaging::{SendError, send};
use matrix_sdk::prelude::*;
use programs::{LARGE_BYTES, command, misbehave, say};

/// How many lines, events or writes a flood has.
const FLOOD: u32 = 1_000_000;
/// The largest body that a node takes by default, in bytes.
const BODY_BYTES: usize = 256 * 1024;

/// Whom it floods.
#[derive(Default)]
struct Rogue {
    peer: String,
}

impl Soul for Rogue {
    fn init(birth: Birth) -> Result<Self, String> {
        Ok(Self { peer: birth.setting("peer").unwrap_or_default().to_owned() })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        let (word, argument) = command(&message)?;
        let count: u32 = argument.parse().unwrap_or(FLOOD);
        match word.as_str() {
            "log" => (0..count).for_each(|line| logging::log(Level::Info, "flood", &line.to_string())),
            "log-long" => logging::log(Level::Info, "", &"x".repeat(LARGE_BYTES)),
            "log-odd" => logging::log(Level::Info, "", "\u{1b}[2J\r\nnode ERROR forged\u{202e}"),
            "log-plain" => logging::log(Level::Info, "", "plain"),
            "stdout" => (0..count).for_each(|_| drop(std::io::stdout().write(&[]))),
            "stderr" => (0..count).for_each(|line| eprintln!("{line}")),
            "event" => return say(publish(count)),
            "event-large" => events::emit("large", &Content::new("text/plain", vec![b'x'; LARGE_BYTES])),
            "work" => work(&argument),
            "exit" => exit(),
            "send" => return say(self.flood(count, b"ping")),
            "send-large" => return say(self.flood(count, &vec![b' '; BODY_BYTES])),
            "send-larger" => return say(self.flood(count, &vec![b' '; BODY_BYTES + 1])),
            "double" => {
                self.flood(2, b"double");
                return Ok(None);
            }
            word => return misbehave(word).unwrap_or(Ok(None)),
        }
        say("done")
    }
}

impl Rogue {
    /// Sends as many messages, and says how many were accepted, and why the first of the others was not.
    fn flood(&self, count: u32, body: &[u8]) -> String {
        let to = Address::soul(self.peer.as_str());
        let content = Content::new("text/plain", body);
        let (mut accepted, mut refusal) = (0, None);
        for _ in 0..count {
            match send(&to, &content) {
                Ok(_) => accepted += 1,
                Err(error) => refusal = refusal.or(Some(named(&error))),
            }
        }
        format!("{accepted} {}", refusal.unwrap_or("none"))
    }
}

#[expect(clippy::disallowed_methods, reason = "that it cannot end the process is what is tested")]
fn exit() -> ! {
    std::process::exit(7)
}

/// Counts as far as it is told: it takes its time, and returns.
fn work(rounds: &str) {
    let rounds: u64 = rounds.parse().unwrap_or(0);
    for round in 0..rounds {
        std::hint::black_box(round);
    }
}

/// Publishes as many events.
fn publish(count: u32) -> &'static str {
    let content = Content::text("x");
    (0..count).for_each(|_| events::emit("flood", &content));
    "done"
}

fn named(error: &SendError) -> &'static str {
    match error {
        SendError::UnknownRecipient => "unknown-recipient",
        SendError::Denied(_) => "denied",
        SendError::MailboxFull => "mailbox-full",
        SendError::Unreachable => "unreachable",
        SendError::TooLarge(_) => "too-large",
        SendError::DeadlineExceeded => "deadline-exceeded",
        SendError::QuotaExceeded => "quota-exceeded",
        SendError::TooManyHops => "too-many-hops",
        SendError::Failed(_) => "failed",
    }
}

matrix_sdk::soul!(Rogue);
