//! Nouns shared by everything: messages, addresses, content.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::imports::matrix::node::types::{Address, Content, MessageId, Metric};

/// A message with memory of its own, as stages of the transport see it.
pub use crate::bindings::imports::matrix::node::types::Message as OwnedMessage;

/// What handling a message leads to: a reply, none, or a failure that the sender is told of.
pub type Reply = Result<Option<Content>, String>;

/// Crockford's base 32, as ULIDs are written.
const BASE_32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many digits of base 32 hold 128 bits.
const ULID_DIGITS: u32 = 26;

/// One message, as it is received. Its texts and its body are the node's to take back: what is to be kept is copied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Message<'a> {
    /// Names this message.
    pub id: MessageId,
    /// Who sent it, as the node knows it: a sender cannot forge this.
    pub sender: Sender<'a>,
    /// The topic that it was sent to; none: it was sent to this Soul, or this Matrix, itself.
    pub topic: Option<&'a str>,
    /// The message that this one answers.
    pub in_reply_to: Option<MessageId>,
    /// Media type of `body`, such as `text/plain` or `application/json`.
    pub content_type: &'a str,
    /// The content itself.
    pub body: &'a [u8],
    /// Milliseconds since the Unix epoch, on the sending node's clock.
    pub sent_at: u64,
}

/// Who sent a message, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender<'a> {
    /// A Soul.
    Soul(&'a str),
    /// A running Matrix.
    Matrix(&'a str),
    /// A topic: none sends, but the interface has it.
    Topic(&'a str),
    /// A caller of the node's gRPC API.
    Client(&'a str),
}

impl Sender<'_> {
    /// Where to send to whoever this is.
    #[must_use]
    pub fn address(&self) -> Address {
        match *self {
            Self::Soul(name) => Address::soul(name),
            Self::Matrix(name) => Address::matrix(name),
            Self::Topic(name) => Address::topic(name),
            Self::Client(name) => Address::Client(name.to_owned()),
        }
    }
}

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

impl Content {
    /// Takes the place of what was there, in the same memory: for a Soul that sends much.
    pub fn refill(&mut self, content_type: &str, body: &[u8]) {
        self.content_type.clear();
        self.content_type.push_str(content_type);
        self.body.clear();
        self.body.extend_from_slice(body);
    }
}

impl<'a> Message<'a> {
    /// The body as text.
    ///
    /// # Errors
    /// Where it is not UTF-8.
    pub fn text(&self) -> Result<&'a str, String> {
        std::str::from_utf8(self.body).map_err(|error| format!("the body is not text in UTF-8: {error}"))
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// Where it is not JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(self.body)
            .map_err(|error| format!("the body is not the JSON expected: {error}"))
    }

    /// A copy of what the message says.
    #[must_use]
    pub fn content(&self) -> Content {
        Content::new(self.content_type, self.body)
    }
}

impl OwnedMessage {
    /// The message, borrowed.
    #[must_use]
    pub fn view(&self) -> Message<'_> {
        let sender = match &self.sender {
            Address::Soul(name) => Sender::Soul(name),
            Address::Matrix(name) => Sender::Matrix(name),
            Address::Topic(name) => Sender::Topic(name),
            Address::Client(name) => Sender::Client(name),
        };
        let topic = match &self.recipient {
            Address::Topic(name) => Some(name.as_str()),
            _ => None,
        };
        Message {
            id: self.id,
            sender,
            topic,
            in_reply_to: self.in_reply_to,
            content_type: &self.content_type,
            body: &self.body,
            sent_at: self.sent_at,
        }
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
