//! A stage of the transport with one fault, which the tests plant; without it, it is as it should be: it refuses `42`.

use matrix_sdk::prelude::*;
use matrix_sdk::{OwnedMessage, Verdict};
use programs::fault::{self, fall};
use programs::spin;

/// From this length on a body is long, in bytes.
const LONG_BYTES: usize = 100_000;

/// Counts what it judged, which decides nothing.
#[derive(Debug, Default)]
struct Biased {
    judged: u64,
}

impl Interceptor for Biased {
    fn outbound(&mut self, message: OwnedMessage) -> Verdict {
        self.judge(message)
    }

    fn inbound(&mut self, message: OwnedMessage) -> Verdict {
        self.judge(message)
    }
}

impl Biased {
    fn judge(&mut self, mut message: OwnedMessage) -> Verdict {
        self.judged += 1;
        if std::str::from_utf8(&message.body).is_err() {
            fall("garbage");
        }
        if message.body == b"hello" && fault::is("loops") {
            spin();
        }
        if self.judged.is_multiple_of(2) && fault::is("alternates") {
            return Verdict::Reject("every second one".to_owned());
        }
        if message.body.len() > LONG_BYTES && fault::is("grows") {
            message.body.extend_from_within(..);
            return Verdict::Rewrite(message);
        }
        match &message.body[..] {
            b"42" if fault::is("mute") => Verdict::Reject(String::new()),
            b"42" => Verdict::Reject("too much of an answer".to_owned()),
            _ => Verdict::Pass,
        }
    }
}

matrix_sdk::interceptor!(Biased);
