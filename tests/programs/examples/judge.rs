//! A stage of the transport that does what a text says where it comes in: `WORD`, or `WORD ARGUMENT`. Its setting
//! `when` makes it judge what leaves instead.

use matrix_sdk::config;
use matrix_sdk::prelude::*;
use programs::{LARGE_BYTES, misbehave};

/// The largest body that a node takes by default, in bytes.
const BODY_BYTES: usize = 256 * 1024;

/// How many messages this instance has judged.
#[derive(Default)]
struct Judge {
    judged: u64,
}

impl Judge {
    fn judge(&mut self, message: OwnedMessage) -> Verdict {
        self.judged += 1;
        let text = String::from_utf8_lossy(&message.body).into_owned();
        let (word, argument) = text.split_once(' ').unwrap_or((&text, ""));
        let body = match word {
            "reject" => return Verdict::Reject(format!("because of {argument}\u{1b}[2J")),
            "judged" => self.judged.to_string().into_bytes(),
            "rewrite" => argument.to_uppercase().into_bytes(),
            // Every field but these two stays, whatever is said here.
            "forge" => {
                let sender = Address::soul("root");
                return Verdict::Rewrite(OwnedMessage {
                    sender: sender.clone(),
                    recipient: sender,
                    ..message
                });
            }
            "swell" => vec![b'x'; BODY_BYTES],
            "over" => vec![b'x'; BODY_BYTES + 1],
            "huge" => vec![b'x'; 6 * LARGE_BYTES],
            "type" => {
                return Verdict::Rewrite(OwnedMessage { content_type: "x".repeat(1_000), ..message });
            }
            word => {
                drop(misbehave(word));
                return Verdict::Pass;
            }
        };
        Verdict::Rewrite(OwnedMessage { body, ..message })
    }
}

impl Interceptor for Judge {
    fn outbound(&mut self, message: OwnedMessage) -> Verdict {
        match config::get("when") {
            Ok(Some(when)) if when == "outbound" => self.judge(message),
            _ => Verdict::Pass,
        }
    }

    fn inbound(&mut self, message: OwnedMessage) -> Verdict {
        match config::get("when") {
            Ok(Some(when)) if when == "outbound" => Verdict::Pass,
            _ => self.judge(message),
        }
    }
}

matrix_sdk::interceptor!(Judge);
