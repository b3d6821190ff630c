//! Which sources a reader of events or of log lines wants.

/// The most bytes in a pattern: the longest source, `component:sha256:` and 64 digits, and room.
pub const PATTERN_BYTES_MAX: usize = 128;

/// A text that matches itself, or, with a star at its end, everything that begins as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    head: Box<str>,
    open: bool,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no pattern of sources: write a source such as `soul:neo`, or its beginning and one star, such \
     as `matrix:*`, at most {PATTERN_BYTES_MAX} printable ASCII characters"
)]
pub struct PatternError(String);

impl Pattern {
    /// Parses a source, or a prefix with a star.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (head, open) = match text.strip_suffix('*') {
            Some(head) => (head, true),
            None => (text, false),
        };
        let sound = (1..=PATTERN_BYTES_MAX).contains(&text.len())
            && head.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
        if sound {
            Ok(Self { head: head.into(), open })
        } else {
            Err(PatternError(text.chars().take(80).flat_map(char::escape_default).collect()))
        }
    }

    /// Whether the pattern matches the text that `kind` and `name` make when joined. They are given
    /// apart so that nobody has to join them.
    pub fn matches(&self, kind: &str, name: &str) -> bool {
        match self.head.strip_prefix(kind) {
            Some(rest) if self.open => name.starts_with(rest),
            Some(rest) => name == rest,
            None => self.open && kind.starts_with(&*self.head),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_themselves_or_what_begins_like_them() {
        let table = [
            ("soul:neo", "soul:neo", true),
            ("soul:neo", "soul:neon", false),
            ("soul:neo*", "soul:neon", true),
            ("so*", "soul:neon", true),
            ("soul:*", "node", false),
            ("node", "node", true),
            ("nod", "node", false),
            ("*", "matrix:market", true),
        ];
        for (pattern, source, expected) in table {
            let pattern = Pattern::parse(pattern).expect("sound");
            for cut in 0..=source.len() {
                assert_eq!(pattern.matches(&source[..cut], &source[cut..]), expected, "{pattern:?} {source}");
            }
        }
    }

    #[test]
    fn what_can_never_match_is_refused() {
        let long = "x".repeat(PATTERN_BYTES_MAX + 1);
        for wrong in ["", "a*b", "**", "soul neo", "soul:\u{1b}", "soul:né", &long] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = Pattern::parse(&text);
        }
    }
}
