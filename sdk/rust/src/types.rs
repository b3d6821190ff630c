//! Nouns shared by everything: messages, addresses, content.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::imports::matrix::node::types::{Address, Content, Message, MessageId, Metric};

/// What handling a message leads to: a reply, none, or a failure that the sender is told of.
pub type Reply = Result<Option<Content>, String>;

/// Crockford's base 32, as ULIDs are written.
const BASE_32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many digits of base 32 hold 128 bits.
const ULID_DIGITS: u32 = 26;

impl Content {
    /// Content of any media type.
    pub fn new(content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { content_type: content_type.into(), body: body.into() }
    }

    /// Text, as `text/plain`.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new("text/plain", text.into())
    }

    /// A picture, as `image/svg+xml`.
    pub fn svg(document: impl Into<String>) -> Self {
        Self::new("image/svg+xml", document.into())
    }

    /// Any value, as `application/json`.
    ///
    /// # Errors
    /// Where the value's own `Serialize` fails, or a key of a map is no string.
    pub fn json(value: &impl Serialize) -> Result<Self, String> {
        serde_json::to_vec(value).map(Self::json_bytes).map_err(|error| error.to_string())
    }

    /// Bytes that are JSON already.
    #[must_use]
    pub fn json_bytes(body: Vec<u8>) -> Self {
        Self::new("application/json", body)
    }
}

impl Message {
    /// The body as text.
    ///
    /// # Errors
    /// Where it is not UTF-8.
    pub fn text(&self) -> Result<&str, String> {
        std::str::from_utf8(&self.body).map_err(|error| format!("the body is not text in UTF-8: {error}"))
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// Where it is not JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body)
            .map_err(|error| format!("the body is not the JSON expected: {error}"))
    }

    /// The message's content, without copying it.
    #[must_use]
    pub fn into_content(self) -> Content {
        Content { content_type: self.content_type, body: self.body }
    }
}

impl Address {
    /// A Soul's address.
    pub fn soul(name: impl Into<String>) -> Self {
        Self::Soul(name.into())
    }

    /// A running Matrix's address.
    pub fn matrix(name: impl Into<String>) -> Self {
        Self::Matrix(name.into())
    }

    /// A topic's address.
    pub fn topic(name: impl Into<String>) -> Self {
        Self::Topic(name.into())
    }
}

/// As in grants and on the command line: `soul:ada`, `matrix:market`, `topic:news`, `client:web`.
impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::Soul(name) => ("soul", name),
            Self::Matrix(name) => ("matrix", name),
            Self::Topic(name) => ("topic", name),
            Self::Client(name) => ("client", name),
        };
        write!(out, "{kind}:{name}")
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("soul", name)) => Ok(Self::soul(name)),
            Some(("matrix", name)) => Ok(Self::matrix(name)),
            Some(("topic", name)) => Ok(Self::topic(name)),
            Some(("client", name)) => Ok(Self::Client(name.to_owned())),
            _ => Err(format!(
                "`{text}` is no address: write `soul:`, `matrix:`, `topic:` or `client:`, and a name"
            )),
        }
    }
}

impl MessageId {
    /// The 128 bits as one number.
    #[must_use]
    pub fn bits(&self) -> u128 {
        u128::from(self.a) << 96 | u128::from(self.b) << 64 | u128::from(self.c) << 32 | u128::from(self.d)
    }
}

/// As a ULID is written: 26 digits, ordered by time of creation.
impl fmt::Display for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.bits();
        let digits: String = (0..ULID_DIGITS)
            .rev()
            .map(|place| char::from(BASE_32[usize::try_from(bits >> (5 * place) & 31).unwrap_or_default()]))
            .collect();
        out.pad(&digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["soul:ada", "matrix:market", "topic:a:b", "client:web"] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
        assert!("ada".parse::<Address>().is_err());
        assert!("node:ada".parse::<Address>().is_err());
    }

    #[test]
    fn ids_are_written_as_ulids() {
        let id = |a, b, c, d| MessageId { a, b, c, d }.to_string();
        assert_eq!(id(0, 0, 0, 33), "00000000000000000000000011");
        assert_eq!(id(u32::MAX, u32::MAX, u32::MAX, u32::MAX), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }
}
