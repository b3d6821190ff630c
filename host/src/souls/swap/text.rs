//! What is compared in a trial, as people read it.

use std::fmt::Write as _;

use crate::capabilities::rehearsal::Deed;
use crate::kv::Mutation;
use crate::transport::envelope::Content;

/// The most characters of a body, a key or a value that are shown.
const SHOWN_MAX: usize = 200;

/// Bytes as text where they are text, otherwise in hexadecimal; cut where they are long.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let mut shown = String::new();
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(|c: char| c.is_control() && c != '\n') => {
            shown.extend(text.chars().take(SHOWN_MAX));
            if text.chars().nth(SHOWN_MAX).is_some() {
                shown.push('…');
            }
        }
        _ => {
            for byte in bytes.iter().take(SHOWN_MAX / 2) {
                // Writing to a string does not fail.
                let _ = write!(shown, "{byte:02x}");
            }
            if bytes.len() > SHOWN_MAX / 2 {
                shown.push('…');
            }
        }
    }
    shown
}

pub(super) fn content(content: &Content) -> String {
    format!("{} {}", &*content.content_type, bytes(&content.body))
}

pub(super) fn deed(deed: &Deed) -> String {
    match deed {
        Deed::Send(to, said) => format!("sends to {to}: {}", content(said)),
        Deed::Ask(to, said) => format!("asks {to}: {}", content(said)),
        Deed::Subscribe(topic) => format!("subscribes to {topic}"),
        Deed::Unsubscribe(topic) => format!("unsubscribes from {topic}"),
        Deed::Emit(kind, said) => format!("emits {kind}: {}", content(said)),
        Deed::Write(mutations) => mutations.iter().map(mutation).collect::<Vec<_>>().join(", "),
    }
}

fn mutation(mutation: &Mutation) -> String {
    let at = |path: &crate::kv::Path| format!("{}/{}", path.bucket(), bytes(&path.key()));
    match mutation {
        Mutation::Put { path, value, .. } => format!("sets {} to {}", at(path), bytes(value)),
        Mutation::Delete { path } => format!("deletes {}", at(path)),
        Mutation::Increment { path, delta } => format!("adds {delta} to {}", at(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_text_and_cut() {
        assert_eq!(bytes(b"hello"), "hello");
        assert_eq!(bytes(b"\x1b[2J"), "1b5b324a");
        assert_eq!(bytes(&[0xff; 3]), "ffffff");
        assert_eq!(bytes("ä".repeat(300).as_bytes()).chars().count(), SHOWN_MAX + 1);
        assert_eq!(bytes(&[0; 300]).chars().count(), SHOWN_MAX + 1);
    }
}
