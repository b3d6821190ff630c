//! Names and identifiers: parsed once, at the edge, and trusted from there on. No I/O.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

/// The most bytes in the name of a Soul, a Matrix or a component: a DNS label, so that a name can
/// become part of one.
pub const NAME_BYTES_MAX: usize = 63;

/// The most bytes in a topic or in a client's name.
pub const LONG_NAME_BYTES_MAX: usize = 128;

/// Why a text is not the identifier that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text breaks the rule for names of its kind.
    #[error("`{text}` is no {what}: it must match {rule}")]
    Name {
        /// What was to be parsed, such as `name of a Soul`.
        what: &'static str,
        /// What was given, shortened and escaped.
        text: String,
        /// The pattern that it must match.
        rule: &'static str,
    },
    /// The text is no digest.
    #[error("`{text}` is no digest: it must be `{prefix}` and 64 lower-case hexadecimal digits")]
    Digest {
        /// What was given, shortened and escaped.
        text: String,
        /// How digests of its kind begin.
        prefix: &'static str,
    },
    /// The text is no message id.
    #[error("`{0}` is no message id: it must be 26 characters of Crockford's base 32")]
    MessageId(String),
}

/// Shortened and escaped, so that a hostile text can be shown in an error.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

fn is_label(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_path(text: &str) -> bool {
    (1..=LONG_NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./".contains(&b))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:ident, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(SmolStr);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if $check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError::Name { what: $what, text: shown(text), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a Soul, unique in its realm.
    SoulName, "name of a Soul", is_label, "[a-z0-9-]{1,63}, no hyphen at an end"
);
name!(
    /// The name of a Matrix, unique in its realm.
    MatrixName, "name of a Matrix", is_label, "[a-z0-9-]{1,63}, no hyphen at an end"
);
name!(
    /// A name for people that points at a component.
    ComponentName, "name of a component", is_label, "[a-z0-9-]{1,63}, no hyphen at an end"
);
name!(
    /// The name of a topic.
    TopicName, "name of a topic", is_path, "[a-z0-9._/-]{1,128}"
);
name!(
    /// The name of a token, unique in its realm.
    TokenName, "name of a token", is_label, "[a-z0-9-]{1,63}, no hyphen at an end"
);
name!(
    /// The name that a caller of the API authenticated with.
    ClientName, "name of a client", is_path, "[a-z0-9._/-]{1,128}"
);

/// The digits that digests are written in.
const BASE16: &[u8; 16] = b"0123456789abcdef";

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $of:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 32]);

        impl $name {
            /// The digest of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self($of(bytes).into())
            }

            /// A digest that was computed elsewhere, such as while bytes streamed in.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The 64 hexadecimal digits alone: a safe file name.
            pub fn hex(&self) -> String {
                let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                digits.map(|digit| char::from(BASE16[usize::from(digit)])).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let refuse = || IdError::Digest { text: shown(text), prefix: $prefix };
                text.strip_prefix($prefix).and_then(unhex).map(Self).ok_or_else(refuse)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(digest: $name) -> String {
                digest.to_string()
            }
        }
    };
}

digest!(
    /// The SHA-256 of some bytes: the name that never lies. Written `sha256:` and 64 hexadecimal digits.
    Digest, "sha256:", Sha256::digest
);
digest!(
    /// The BLAKE3 of a component's code: of all that it holds but custom sections at its outside. What has the same code is
    /// compiled once. Written `code:` and 64 hexadecimal digits.
    CodeHash, "code:", blake3::hash
);
digest!(
    /// The BLAKE3 of a state (github.com/BLAKE3-team/BLAKE3-specs): states are hashed at every tick, and where
    /// a processor has no instructions for SHA-256, this is ten times faster. Written `blake3:` and 64
    /// hexadecimal digits.
    StateHash, "blake3:", blake3::hash
);

/// The bytes that 64 lower-case hexadecimal digits stand for.
fn unhex(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0]).zip(nibble(pair[1])).map(|(high, low)| high << 4 | low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// A ULID (github.com/ulid/spec): 48 bits of milliseconds since the Unix epoch, then 80 bits that
/// no other message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u128);

/// Crockford's base 32: no I, L, O, U.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..26).rev().try_for_each(|place| {
            let digit = (self.0 >> (5 * place)) as usize & 31;
            fmt::Write::write_char(f, char::from(BASE32[digit]))
        })
    }
}

impl FromStr for MessageId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refuse = || IdError::MessageId(shown(text));
        // 26 digits hold 130 bits; a first digit above 7 would not fit into 128.
        if text.len() != 26 || !matches!(text.as_bytes()[0], b'0'..=b'7') {
            return Err(refuse());
        }
        text.bytes()
            .try_fold(0u128, |sum, byte| {
                let digit = BASE32.iter().position(|&known| known == byte.to_ascii_uppercase())?;
                Some(sum << 5 | digit as u128)
            })
            .map(MessageId)
            .ok_or_else(refuse)
    }
}

/// Makes message ids: a random 48 bits for this process, a counter of 32 bits, the time in front.
#[derive(Debug)]
pub struct MessageIds {
    process: u64,
    counter: AtomicU64,
}

/// Ids that one sender may give, taken from [`MessageIds`] many at a time: senders on several threads would wait for
/// each other at every message.
#[derive(Debug, Default)]
pub struct IdBlock {
    next: u64,
    left: u32,
}

/// How many ids are taken at a time.
const BLOCK: u32 = 64;

impl MessageIds {
    /// A source whose ids no other process makes, as far as `process`, a random number, is unique.
    pub const fn new(process: u64) -> Self {
        Self { process: process & 0xffff_ffff_ffff, counter: AtomicU64::new(0) }
    }

    /// The next id, for a message sent at `now_ms` milliseconds since the Unix epoch. Ids made in the
    /// same millisecond are told apart by the counter, which wraps after 2^32 of them.
    pub fn next(&self, now_ms: u64) -> MessageId {
        self.id(self.counter.fetch_add(1, Ordering::Relaxed), now_ms)
    }

    /// [`MessageIds::next`], for a sender that has a block of its own.
    pub fn next_of(&self, block: &mut IdBlock, now_ms: u64) -> MessageId {
        if block.left == 0 {
            let next = self.counter.fetch_add(BLOCK.into(), Ordering::Relaxed);
            *block = IdBlock { next, left: BLOCK };
        }
        let count = block.next;
        *block = IdBlock { next: count + 1, left: block.left - 1 };
        self.id(count, now_ms)
    }

    fn id(&self, count: u64, now_ms: u64) -> MessageId {
        let time = u128::from(now_ms & 0xffff_ffff_ffff) << 80;
        MessageId(time | u128::from(count & 0xffff_ffff) << 48 | u128::from(self.process))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_differ_whatever_the_clock_does() {
        const YEAR_MS: u64 = 365 * 24 * 3_600_000;
        let ids = MessageIds::new(7);
        let now = 1_800_000_000_000;
        let jumps = [now, now + 3_600_000, now - 3_600_000, now + YEAR_MS, now - YEAR_MS, 0, now];
        let mut drawn: Vec<_> = jumps.iter().map(|now_ms| ids.next(*now_ms)).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), jumps.len());
    }

    #[test]
    fn names_keep_to_their_rule() {
        assert_eq!("tit-for-tat".parse::<SoulName>().map(String::from), Ok("tit-for-tat".to_owned()));
        let long = "a".repeat(64);
        for wrong in ["", "-a", "a-", "Neo", "a b", "a/../b", "a\u{0}", "\u{430}bc", &long] {
            assert!(wrong.parse::<SoulName>().is_err(), "{wrong:?}");
        }
        let error = "a\u{1b}[2J".parse::<SoulName>().expect_err("control characters");
        assert_eq!(
            error.to_string(),
            "`a\\u{1b}[2J` is no name of a Soul: it must match [a-z0-9-]{1,63}, no hyphen at an end"
        );
    }

    #[test]
    fn digest_is_sha256_and_round_trips() {
        let digest = Digest::of(b"abc");
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
        assert!(text.to_uppercase().parse::<Digest>().is_err());
        assert!(text[..70].parse::<Digest>().is_err());
    }

    #[test]
    fn message_id_has_golden_text() {
        let id = MessageId(0x0156_3e3a_b5d3_d676_4c61_efb9_9302_bd5b);
        assert_eq!(id.to_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("8ZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<MessageId>().is_err());
    }

    #[test]
    fn message_ids_differ_and_grow_with_time() {
        let ids = MessageIds::new(7);
        let (first, second, later) = (ids.next(1), ids.next(1), ids.next(2));
        assert!(first < second && second < later);
        let (mut one, mut other) = (IdBlock::default(), IdBlock::default());
        let mut ids: Vec<_> = (0..200)
            .flat_map(|_| [ids.next_of(&mut one, 3), ids.next_of(&mut other, 3), ids.next(3)])
            .collect();
        assert!(ids.iter().step_by(3).is_sorted(), "those of one sender grow");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 600);
    }

    proptest! {
        #[test]
        fn message_id_round_trips(bits in any::<u128>()) {
            prop_assert_eq!(MessageId(bits).to_string().parse(), Ok(MessageId(bits)));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in ".*") {
            let _ = (text.parse::<SoulName>(), text.parse::<Digest>(), text.parse::<MessageId>());
        }
    }
}
