//! The protocol buffers of `/matrix/1.0.0`. Their tags are the protocol: never changed, never used anew.

use bytes::Bytes;
use prost::{Message, Oneof};

/// What follows a length.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FrameProto {
    /// What it is; none: a kind that this version does not know.
    #[prost(oneof = "KindProto", tags = "1, 2")]
    pub(super) kind: Option<KindProto>,
}

/// The kinds of frames.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum KindProto {
    /// A message.
    #[prost(message, tag = "1")]
    Message(MessageProto),
    /// The reply to one.
    #[prost(message, tag = "2")]
    Reply(ReplyProto),
}

/// A message.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MessageProto {
    /// Names it; needed.
    #[prost(message, optional, tag = "1")]
    pub(super) id: Option<IdProto>,
    /// Who sent it: an address as text.
    #[prost(string, tag = "2")]
    pub(super) sender: String,
    /// Whom it is for: an address as text.
    #[prost(string, tag = "3")]
    pub(super) recipient: String,
    /// The message that it answers.
    #[prost(message, optional, tag = "4")]
    pub(super) in_reply_to: Option<IdProto>,
    /// What it says; needed.
    #[prost(message, optional, tag = "5")]
    pub(super) content: Option<ContentProto>,
    /// Milliseconds since the Unix epoch, on the clock of the node that sent it first.
    #[prost(uint64, tag = "6")]
    pub(super) sent_at_ms: u64,
    /// How many messages led here, this one counted: 1 to 65,535.
    #[prost(uint32, tag = "7")]
    pub(super) hops: u32,
    /// The trace that it belongs to.
    #[prost(message, optional, tag = "8")]
    pub(super) trace: Option<TraceProto>,
    /// Milliseconds until its sender stops waiting, when it was written: nodes' clocks differ.
    #[prost(uint64, optional, tag = "9")]
    pub(super) deadline_ms: Option<u64>,
    /// Whether a reply frame is waited for.
    #[prost(bool, tag = "10")]
    pub(super) wants_reply: bool,
}

/// A reply.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ReplyProto {
    /// The message that it answers; needed.
    #[prost(message, optional, tag = "1")]
    pub(super) to: Option<IdProto>,
    /// What came of the message; none: an outcome that this version does not know.
    #[prost(oneof = "OutcomeProto", tags = "2, 3, 4")]
    pub(super) outcome: Option<OutcomeProto>,
}

/// What came of a message.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum OutcomeProto {
    /// An answer.
    #[prost(message, tag = "2")]
    Content(ContentProto),
    /// It was handled, and there is no answer.
    #[prost(message, tag = "3")]
    Nothing(NothingProto),
    /// It failed.
    #[prost(message, tag = "4")]
    Failure(FailureProto),
}

/// No answer.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct NothingProto {}

/// Why a message failed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FailureProto {
    /// 1 unknown recipient, 2 denied, 3 mailbox full, 4 unreachable, 5 too large, 6 deadline
    /// exceeded, 7 quota exceeded, 8 too many hops, 9 failed.
    #[prost(uint32, tag = "1")]
    pub(super) code: u32,
    /// 1: the address; 2, 9: the reason.
    #[prost(string, tag = "2")]
    pub(super) text: String,
    /// 5: bytes; 8: hops.
    #[prost(uint64, tag = "3")]
    pub(super) limit: u64,
}

/// A message's id.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct IdProto {
    /// Bits 127 to 64.
    #[prost(fixed64, tag = "1")]
    pub(super) high: u64,
    /// Bits 63 to 0.
    #[prost(fixed64, tag = "2")]
    pub(super) low: u64,
}

/// Bytes with their media type.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContentProto {
    /// Media type of `body`; at most 128 bytes.
    #[prost(string, tag = "1")]
    pub(super) content_type: String,
    /// The bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) body: Bytes,
}

/// W3C trace context.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct TraceProto {
    /// Bits 127 to 64 of the trace id, which is not 0.
    #[prost(fixed64, tag = "1")]
    pub(super) trace_id_high: u64,
    /// Bits 63 to 0 of it.
    #[prost(fixed64, tag = "2")]
    pub(super) trace_id_low: u64,
    /// The span that sent the message; not 0.
    #[prost(fixed64, tag = "3")]
    pub(super) span_id: u64,
    /// Its flags: 0 to 255.
    #[prost(uint32, tag = "4")]
    pub(super) flags: u32,
}
