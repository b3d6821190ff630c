//! What travels: one envelope goes all the way, and a local one is never serialised.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::media::MediaType;
use super::remote::RemoteCaller;
use crate::ids::{ClientName, IdError, MatrixName, MessageId, SoulName, TopicName};

/// The most bytes in a media type: longer ones are refused.
pub const CONTENT_TYPE_BYTES_MAX: usize = 128;

/// Where a message comes from or goes to. Names are location-free. Written `soul:NAME`,
/// `matrix:NAME`, `topic:NAME` or `client:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Soul.
    Soul(SoulName),
    /// A running Matrix.
    Matrix(MatrixName),
    /// Every subscriber of a topic.
    Topic(TopicName),
    /// A caller of the gRPC API.
    Client(ClientName),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.parts();
        write!(f, "{kind}:{name}")
    }
}

impl Address {
    /// What stands before the colon, and what behind it.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Soul(name) => ("soul", name.as_str()),
            Self::Matrix(name) => ("matrix", name.as_str()),
            Self::Topic(name) => ("topic", name.as_str()),
            Self::Client(name) => ("client", name.as_str()),
        }
    }

    /// Whether this is how it is written.
    pub fn is_written(&self, text: &str) -> bool {
        let (kind, name) = self.parts();
        text.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':')) == Some(name)
    }
}

impl FromStr for Address {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once(':') {
            Some(("soul", name)) => name.parse().map(Self::Soul),
            Some(("matrix", name)) => name.parse().map(Self::Matrix),
            Some(("topic", name)) => name.parse().map(Self::Topic),
            Some(("client", name)) => name.parse().map(Self::Client),
            _ => Err(IdError::Name {
                what: "address",
                text: text.chars().take(80).flat_map(char::escape_default).collect(),
                rule: "soul:NAME, matrix:NAME, topic:NAME or client:NAME",
            }),
        }
    }
}

/// Bytes with their media type. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Media type of `body`.
    pub content_type: MediaType,
    /// The bytes.
    pub body: Bytes,
}

/// W3C trace context (www.w3.org/TR/trace-context): which trace, and which span in it, a message
/// belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span that sent the message; never 0.
    pub span_id: u64,
    /// Bit 0: the trace is recorded.
    pub flags: u8,
}

/// What becomes of a message's reply.
pub type Reply = Result<Option<Content>, SendError>;

/// Who wants the reply.
#[derive(Debug)]
pub enum ReplyTo {
    /// It goes to the sender's mailbox, if the sender has one.
    Sender,
    /// It goes to a waiting caller, who may have given up.
    Caller(oneshot::Sender<Reply>),
    /// It goes to a caller on another node.
    Remote(RemoteCaller),
}

/// One message.
#[derive(Debug)]
pub struct Envelope {
    /// Names this message.
    pub id: MessageId,
    /// Who sent it; set by the node, never by a guest.
    pub sender: Address,
    /// Whom it is for.
    pub recipient: Address,
    /// The message that this one answers.
    pub in_reply_to: Option<MessageId>,
    /// What it says.
    pub content: Content,
    /// Milliseconds since the Unix epoch, on the sending node's clock.
    pub sent_at_ms: u64,
    /// How many messages led here, this one counted.
    pub hops: u16,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
    /// When its sender stops waiting.
    pub deadline: Option<Instant>,
    /// In which generation its recipient left the node that this comes from for this one; none: it is not from there.
    pub left_in: Option<u64>,
    /// Who wants the reply.
    pub reply_to: ReplyTo,
    /// Whoever waits wants no reply, but a receipt: see [`receipts`](super::receipts).
    pub receipt: bool,
}

impl Envelope {
    /// The first of its kind: it follows from no other and answers none, has no trace and no deadline, nobody waits for
    /// it, and it was sent at 0.
    #[inline]
    pub fn plain(id: MessageId, sender: Address, recipient: Address, content: Content) -> Self {
        Self {
            id,
            sender,
            recipient,
            in_reply_to: None,
            content,
            sent_at_ms: 0,
            hops: 1,
            trace: None,
            deadline: None,
            left_in: None,
            reply_to: ReplyTo::Sender,
            receipt: false,
        }
    }

    /// Whether its sender has stopped waiting: nobody wants the answer any more.
    pub fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether anybody is to be told of this reply.
    pub fn wants(&self, reply: &Reply) -> bool {
        !matches!(self.reply_to, ReplyTo::Sender) || matches!(reply, Ok(Some(_)))
    }
}

/// Why a message was not accepted, or not answered. Same names as in `wit/messaging.wit`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nobody has this address.
    #[error("nobody has the address {0}")]
    UnknownRecipient(Address),
    /// The sender may not: the text says which grant is missing, or which interceptor lets the message not pass.
    #[error("{0}")]
    Denied(String),
    /// The mailbox is full.
    #[error("the mailbox is full: try again later, or raise `limits.mailbox_messages` of the recipient")]
    MailboxFull,
    /// The recipient's node does not answer.
    #[error("the recipient's node does not answer")]
    Unreachable,
    /// The body is larger than the limit.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// No reply in time.
    #[error("no reply came within the deadline")]
    DeadlineExceeded,
    /// The sender's quota is used up.
    #[error("the quota of messages is used up: try again in a second, or raise `limits.messages_per_second`")]
    QuotaExceeded,
    /// Too many messages led here.
    #[error("more than {limit} messages, each caused by the one before, led here")]
    TooManyHops {
        /// The most that the node allows.
        limit: u16,
    },
    /// The recipient took the message and failed; the text is its own.
    #[error("the recipient failed: {0}")]
    Failed(String),
}

impl SendError {
    /// The error's name in `wit/messaging.wit`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnknownRecipient(_) => "unknown-recipient",
            Self::Denied(_) => "denied",
            Self::MailboxFull => "mailbox-full",
            Self::Unreachable => "unreachable",
            Self::TooLarge { .. } => "too-large",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::QuotaExceeded => "quota-exceeded",
            Self::TooManyHops { .. } => "too-many-hops",
            Self::Failed(_) => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in ["soul:neo", "matrix:market", "topic:news/today", "client:local"] {
            let address: Address = text.parse().expect("an address");
            assert_eq!(address.to_string(), text);
            assert!(address.is_written(text));
            assert!(!address.is_written("soul:ne") && !address.is_written("soul:neos"));
        }
        for wrong in ["neo", "soul:", "soul:N", "planet:x", "topic:a b", ""] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong:?}");
        }
    }
}
