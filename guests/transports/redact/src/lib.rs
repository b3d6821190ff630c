//! Masks parts of texts on their way. Its settings:
//!
//! - `mask`: words, each a kind of thing that is masked: `email`, `number` (seven digits or more, with single spaces,
//!   dots or hyphens between them)
//! - `patterns`: regular expressions, one a line, in the syntax of the crate `regex-lite`
//! - `with`: what stands in the place of what is masked; `[redacted]` where nothing is said
//! - `direction`: `outbound`, `inbound` or `both`; `both` where nothing is said
//!
//! Only bodies whose media type is `text/…` are looked at. With settings that it cannot read it rejects every message.

mod mask;

use matrix_sdk::config;
use matrix_sdk::prelude::*;

use mask::Mask;

/// What it masks; an error where its settings cannot be read.
#[derive(Debug)]
pub struct Redact(Result<Mask, String>);

impl Default for Redact {
    fn default() -> Self {
        let settings = config::get_all().map_err(|error| format!("its settings cannot be had: {error:?}"));
        Self(settings.and_then(|settings| Mask::new(&settings)))
    }
}

impl Interceptor for Redact {
    fn outbound(&mut self, message: OwnedMessage) -> Verdict {
        self.judge(message, |mask| mask.outbound)
    }

    fn inbound(&mut self, message: OwnedMessage) -> Verdict {
        self.judge(message, |mask| mask.inbound)
    }
}

impl Redact {
    fn judge(&self, message: OwnedMessage, applies: impl Fn(&Mask) -> bool) -> Verdict {
        let mask = match &self.0 {
            Ok(mask) => mask,
            Err(problem) => return Verdict::Reject(problem.clone()),
        };
        if !applies(mask) || !is_text(&message.content_type) {
            return Verdict::Pass;
        }
        // What is no UTF-8 is looked at as far as it is: a wrong byte must not carry the rest through.
        match mask.apply(&String::from_utf8_lossy(&message.body)) {
            Some(text) => Verdict::Rewrite(OwnedMessage { body: text.into_bytes(), ..message }),
            None => Verdict::Pass,
        }
    }
}

fn is_text(content_type: &str) -> bool {
    content_type.trim_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"))
}

matrix_sdk::interceptor!(Redact);

#[cfg(test)]
mod tests {
    use matrix_sdk::MessageId;

    use super::*;

    fn message(content_type: &str, body: &[u8]) -> OwnedMessage {
        OwnedMessage {
            id: MessageId { a: 0, b: 0, c: 0, d: 1 },
            sender: Address::soul("ada"),
            recipient: Address::soul("bob"),
            in_reply_to: None,
            content_type: content_type.to_owned(),
            body: body.to_vec(),
            sent_at: 0,
        }
    }

    fn redact(settings: &[(&str, &str)]) -> Redact {
        let settings: Vec<_> = settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Redact(Mask::new(&settings))
    }

    fn body(verdict: Verdict) -> Option<Vec<u8>> {
        match verdict {
            Verdict::Rewrite(message) => Some(message.body),
            Verdict::Pass => None,
            Verdict::Reject(why) => panic!("{why}"),
        }
    }

    #[test]
    fn texts_are_masked_and_nothing_else_is_touched() {
        let mut redact = redact(&[("mask", "email")]);
        let masked = Some(b"to [redacted]".to_vec());
        assert_eq!(body(redact.outbound(message("text/plain", b"to ada@example.org"))), masked);
        assert_eq!(
            body(redact.inbound(message("Text/Markdown; charset=utf-8", b"to ada@example.org"))),
            masked
        );
        for (content_type, text) in [
            ("application/octet-stream", "to ada@example.org"),
            ("", "ada@example.org"),
            ("text/plain", "to ada"),
        ] {
            assert_eq!(body(redact.outbound(message(content_type, text.as_bytes()))), None, "{content_type}");
        }
    }

    #[test]
    fn a_wrong_byte_carries_nothing_through() {
        let mut redact = redact(&[("mask", "email")]);
        let masked = body(redact.outbound(message("text/plain", b"\xff ada@example.org")));
        assert_eq!(masked, Some("\u{fffd} [redacted]".as_bytes().to_vec()));
        assert_eq!(body(redact.outbound(message("text/plain", b"\xff"))), None, "it stays as it is");
    }

    #[test]
    fn a_direction_is_kept() {
        let mut redact = redact(&[("mask", "email"), ("direction", "inbound")]);
        let email = || message("text/plain", b"a@b.cd");
        assert_eq!(body(redact.outbound(email())), None);
        assert!(body(redact.inbound(email())).is_some());
    }

    #[test]
    fn with_settings_that_it_cannot_read_it_rejects_everything() {
        let mut redact = redact(&[("mask", "emails")]);
        let Verdict::Reject(why) = redact.outbound(message("text/plain", b"hi")) else { panic!("it passes") };
        assert!(why.contains("emails"), "{why}");
    }
}
