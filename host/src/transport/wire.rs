//! How messages are written between nodes (`/matrix/1.0.0`). Pure: bytes in, values out.
//!
//! A stream is a sequence of frames, as `proto/matrix/wire/v1/message.proto` says.
//!
//! Every error ends the stream: the peer does not speak the protocol, or means harm. What one node
//! allows and another does not is no error, but [`Frame::Refused`], which is answered.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use matrix_proto::wire::message_frame::Kind as KindProto;
use matrix_proto::wire::reply::Outcome as OutcomeProto;
use matrix_proto::wire::{
    self as proto, Failure as FailureProto, MessageContent as ContentProto, MessageFrame as FrameProto,
    MessageId as IdProto, Reply as ReplyProto,
};
use prost::Message as _;

use crate::ids::{IdError, MessageId};
use crate::p2p::frame::{self, FrameError};
use crate::transport::envelope::{
    Address, CONTENT_TYPE_BYTES_MAX, Content, Envelope, Reply, ReplyTo, SendError, TraceContext,
};

mod usual;

use usual::{View, Writing};

#[cfg(test)]
mod tests;

/// What a frame may take beyond the body: two addresses (135 bytes each), a media type (128) or an
/// error's text (1,024), and some 100 bytes of numbers and tags.
pub const HEADER_BYTES_MAX: usize = 2048;

/// The most bytes of an error's text that travel; longer ones are cut.
pub const ERROR_TEXT_BYTES_MAX: usize = 1024;

/// The longest time to a deadline that is believed; longer ones are shortened. A day: nobody waits
/// longer, and no clock overflows.
pub const DEADLINE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What this node takes from others and sends to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireLimits {
    /// The largest body, in bytes; at most 200 MiB. Default 1 MiB.
    pub body_bytes_max: usize,
    /// The most messages, each caused by the one before. Default 64.
    pub hops_max: u16,
}

impl Default for WireLimits {
    fn default() -> Self {
        Self { body_bytes_max: 1 << 20, hops_max: 64 }
    }
}

impl WireLimits {
    fn frame_bytes_max(&self) -> usize {
        self.body_bytes_max + HEADER_BYTES_MAX
    }
}

/// What a peer sent.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are messages, and none is kept")]
pub enum Frame {
    /// A message.
    Message {
        /// The message. Its `reply_to` is `Sender`: only the receiver can know of a caller.
        envelope: Envelope,
        /// Whether the peer waits for a [`Frame::Reply`] to it.
        wants_reply: bool,
    },
    /// The reply to a message that this node sent and waits for.
    Reply {
        /// The message that it answers.
        to: MessageId,
        /// The answer.
        reply: Reply,
    },
    /// A sound message that this node's limits forbid.
    Refused {
        /// The message.
        id: MessageId,
        /// Whether the peer waits for a reply: it is to be `error`.
        wants_reply: bool,
        /// Why.
        error: SendError,
    },
}

/// Whom the message before was from and for. Many in a row are alike, and what was read once need not be read again.
#[derive(Debug, Default)]
pub struct Familiar {
    sender: Option<Address>,
    recipient: Option<Address>,
}

/// Why bytes are no frame, or a message cannot become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Its length is none, or too large; for the latter both nodes need the same `body_bytes_max`.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The bytes are no protocol buffer of this kind.
    #[error("a frame is malformed: {0}")]
    Malformed(String),
    /// A field that is needed is missing, or holds what it must not.
    #[error("the field `{0}` of a frame is missing or holds what it must not")]
    Field(&'static str),
    /// The frame is of a kind, or an error has a code, that this version does not know.
    #[error("a frame holds a `{0}` that is not known: the peer runs a newer version")]
    Unknown(&'static str),
    /// An address is none.
    #[error("the field `{field}` of a frame: {source}")]
    Address {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        source: IdError,
    },
}

/// Appends a message to `out`, or, after an error, nothing. `wants_reply`: its sender waits for a reply frame. `now` turns
/// its deadline, if it has one, into the time that is left.
pub fn encode_message(
    envelope: &Envelope,
    wants_reply: bool,
    now: impl FnOnce() -> Instant,
    limits: &WireLimits,
    out: &mut BytesMut,
) -> Result<(), WireError> {
    if envelope.content.content_type.len() > CONTENT_TYPE_BYTES_MAX {
        return Err(WireError::Field("content_type"));
    }
    let deadline_ms = envelope.deadline.map(|deadline| left_ms(deadline, now()));
    let writing = Writing::of(envelope, deadline_ms, wants_reply);
    let (given, limit) = (writing.bytes(), limits.frame_bytes_max());
    if given > limit {
        return Err(FrameError::TooLong { given, limit }.into());
    }
    writing.append(out);
    Ok(())
}

/// Appends the reply to the message `to` to `out`, or, after an error, nothing.
pub fn encode_reply(
    to: MessageId,
    reply: &Reply,
    limits: &WireLimits,
    out: &mut BytesMut,
) -> Result<(), WireError> {
    let outcome = match reply {
        Ok(Some(content)) => OutcomeProto::Content(content_proto(content)?),
        Ok(None) => OutcomeProto::Nothing(proto::Nothing {}),
        Err(error) => OutcomeProto::Failure(failure_proto(error)),
    };
    append(KindProto::Reply(ReplyProto { to: Some(id_proto(to)), outcome: Some(outcome) }), limits, out)
}

/// Takes the next frame off the front of `input`; none: more bytes are needed, of which there will be
/// at most `limits.body_bytes_max` and [`HEADER_BYTES_MAX`] and four. After an error `input` is of no
/// use. The frame shares no memory with `input`: a small message does not keep a large buffer alive.
pub fn decode(input: &mut BytesMut, limits: &WireLimits, now: Instant) -> Result<Option<Frame>, WireError> {
    decode_next(input, limits, now, &mut Familiar::default())
}

/// [`decode`], after others.
pub fn decode_next(
    input: &mut BytesMut,
    limits: &WireLimits,
    now: Instant,
    familiar: &mut Familiar,
) -> Result<Option<Frame>, WireError> {
    let Some((begin, end)) = frame::first(input, limits.frame_bytes_max())? else { return Ok(None) };
    let bytes = &input[begin..end];
    let frame = match View::read(bytes) {
        Some(view) => read_message(&view, limits, now, familiar),
        None => read(bytes, limits, now, familiar),
    };
    input.advance(end);
    frame.map(Some)
}

/// What the generated code makes of a frame.
fn read(
    bytes: &[u8],
    limits: &WireLimits,
    now: Instant,
    familiar: &mut Familiar,
) -> Result<Frame, WireError> {
    let frame = FrameProto::decode(bytes).map_err(|error| WireError::Malformed(error.to_string()))?;
    match frame.kind.ok_or(WireError::Unknown("kind"))? {
        KindProto::Message(message) => read_message(&View::of(&message), limits, now, familiar),
        KindProto::Reply(reply) => read_reply(reply),
    }
}

fn append(kind: KindProto, limits: &WireLimits, out: &mut BytesMut) -> Result<(), WireError> {
    let frame = FrameProto { kind: Some(kind) };
    let (given, limit) = (frame.encoded_len(), limits.frame_bytes_max());
    if given > limit {
        return Err(FrameError::TooLong { given, limit }.into());
    }
    out.reserve(frame::LENGTH_BYTES_MAX + given);
    frame.encode_length_delimited(out).map_err(|_| FrameError::TooLong { given, limit }.into())
}

fn read_message(
    message: &View<'_>,
    limits: &WireLimits,
    now: Instant,
    familiar: &mut Familiar,
) -> Result<Frame, WireError> {
    let id = read_id(message.id, "id")?;
    let wants_reply = message.wants_reply;
    let hops = u16::try_from(message.hops).ok().filter(|&hops| hops > 0).ok_or(WireError::Field("hops"))?;
    let left = |ms| Duration::from_millis(ms).min(DEADLINE_MAX);
    let envelope = Envelope {
        id,
        sender: read_familiar(message.sender, "sender", &mut familiar.sender)?,
        recipient: read_familiar(message.recipient, "recipient", &mut familiar.recipient)?,
        in_reply_to: message.in_reply_to.map(|id| read_id(Some(id), "in_reply_to")).transpose()?,
        content: content_of(message.content.ok_or(WireError::Field("content"))?)?,
        sent_at_ms: message.sent_at_ms,
        hops,
        trace: message.trace.map(read_trace).transpose()?,
        deadline: message.deadline_ms.map(|ms| now + left(ms)),
        left_in: message.left_in,
        reply_to: ReplyTo::Sender,
        receipt: message.receipt && wants_reply,
    };
    let error = if hops > limits.hops_max {
        SendError::TooManyHops { limit: limits.hops_max }
    } else if envelope.content.body.len() > limits.body_bytes_max {
        SendError::TooLarge { limit: limits.body_bytes_max as u64 }
    } else {
        return Ok(Frame::Message { envelope, wants_reply });
    };
    Ok(Frame::Refused { id, wants_reply, error })
}

fn read_reply(reply: ReplyProto) -> Result<Frame, WireError> {
    let to = read_id(reply.to, "to")?;
    let reply = match reply.outcome.ok_or(WireError::Unknown("outcome"))? {
        OutcomeProto::Content(content) => Ok(Some(read_content(&content)?)),
        OutcomeProto::Nothing(_) => Ok(None),
        OutcomeProto::Failure(failure) => Err(read_failure(failure)?),
    };
    Ok(Frame::Reply { to, reply })
}

fn id_proto(id: MessageId) -> IdProto {
    IdProto { high: (id.0 >> 64) as u64, low: id.0 as u64 }
}

fn read_id(id: Option<IdProto>, field: &'static str) -> Result<MessageId, WireError> {
    let id = id.ok_or(WireError::Field(field))?;
    Ok(MessageId(u128::from(id.high) << 64 | u128::from(id.low)))
}

fn read_address(text: &str, field: &'static str) -> Result<Address, WireError> {
    text.parse().map_err(|source| WireError::Address { field, source })
}

/// An address, or the one that was read before it.
fn read_familiar(
    text: &str,
    field: &'static str,
    before: &mut Option<Address>,
) -> Result<Address, WireError> {
    if let Some(before) = before
        && before.is_written(text)
    {
        return Ok(before.clone());
    }
    let address = read_address(text, field)?;
    *before = Some(address.clone());
    Ok(address)
}

fn content_proto(content: &Content) -> Result<ContentProto, WireError> {
    let Content { content_type, body } = content;
    if content_type.len() > CONTENT_TYPE_BYTES_MAX {
        return Err(WireError::Field("content_type"));
    }
    Ok(ContentProto { content_type: content_type.to_string(), body: body.clone() })
}

fn read_content(content: &ContentProto) -> Result<Content, WireError> {
    content_of((&content.content_type, &content.body))
}

fn content_of((content_type, body): (&str, &[u8])) -> Result<Content, WireError> {
    if content_type.len() > CONTENT_TYPE_BYTES_MAX {
        return Err(WireError::Field("content_type"));
    }
    Ok(Content { content_type: content_type.into(), body: Bytes::copy_from_slice(body) })
}

fn trace_proto(trace: TraceContext) -> proto::Trace {
    let TraceContext { trace_id, span_id, flags } = trace;
    let (high, low) = ((trace_id >> 64) as u64, trace_id as u64);
    proto::Trace { trace_id_high: high, trace_id_low: low, span_id, flags: flags.into() }
}

fn read_trace(trace: proto::Trace) -> Result<TraceContext, WireError> {
    let trace_id = u128::from(trace.trace_id_high) << 64 | u128::from(trace.trace_id_low);
    let flags = u8::try_from(trace.flags).map_err(|_| WireError::Field("trace"))?;
    if trace_id == 0 || trace.span_id == 0 {
        return Err(WireError::Field("trace"));
    }
    Ok(TraceContext { trace_id, span_id: trace.span_id, flags })
}

/// Whole milliseconds from `now` to `deadline`; 0: it has passed.
fn left_ms(deadline: Instant, now: Instant) -> u64 {
    let left = deadline.saturating_duration_since(now).min(DEADLINE_MAX);
    u64::try_from(left.as_millis()).expect("a day has few milliseconds")
}

fn failure_proto(error: &SendError) -> FailureProto {
    let (code, text, limit) = match error {
        SendError::UnknownRecipient(address) => (1, address.to_string(), 0),
        SendError::Denied(text) => (2, cut(text), 0),
        SendError::MailboxFull => (3, String::new(), 0),
        SendError::Unreachable => (4, String::new(), 0),
        SendError::TooLarge { limit } => (5, String::new(), *limit),
        SendError::DeadlineExceeded => (6, String::new(), 0),
        SendError::QuotaExceeded => (7, String::new(), 0),
        SendError::TooManyHops { limit } => (8, String::new(), u64::from(*limit)),
        SendError::Failed(text) => (9, cut(text), 0),
    };
    FailureProto { code, text, limit }
}

fn read_failure(failure: FailureProto) -> Result<SendError, WireError> {
    let FailureProto { code, text, limit } = failure;
    if text.len() > ERROR_TEXT_BYTES_MAX {
        return Err(WireError::Field("text"));
    }
    Ok(match code {
        1 => SendError::UnknownRecipient(read_address(&text, "text")?),
        2 => SendError::Denied(text),
        3 => SendError::MailboxFull,
        4 => SendError::Unreachable,
        5 => SendError::TooLarge { limit },
        6 => SendError::DeadlineExceeded,
        7 => SendError::QuotaExceeded,
        8 => SendError::TooManyHops { limit: u16::try_from(limit).map_err(|_| WireError::Field("limit"))? },
        9 => SendError::Failed(text),
        _ => return Err(WireError::Unknown("code")),
    })
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(ERROR_TEXT_BYTES_MAX)].to_owned()
}
