//! Messages as they usually are, written and read where they lie: no text of theirs becomes a value of its own on the
//! way. What is written is byte by byte what the generated code writes. What is read here the generated code reads
//! alike; whatever is out of the ordinary, such as fields of a newer version, is left to it.

use bytes::{BufMut as _, BytesMut};
use matrix_proto::wire::{Message as MessageProto, MessageId as IdProto, Trace as TraceProto};

use super::{id_proto, trace_proto};
use crate::p2p::frame;
use crate::transport::envelope::{Address, Envelope};

/// What a message holds, in the bytes that came.
#[derive(Debug, Default, PartialEq)]
pub(super) struct View<'a> {
    pub(super) id: Option<IdProto>,
    pub(super) sender: &'a str,
    pub(super) recipient: &'a str,
    pub(super) in_reply_to: Option<IdProto>,
    /// The media type and the body.
    pub(super) content: Option<(&'a str, &'a [u8])>,
    pub(super) sent_at_ms: u64,
    pub(super) hops: u32,
    pub(super) trace: Option<TraceProto>,
    pub(super) deadline_ms: Option<u64>,
    pub(super) wants_reply: bool,
    pub(super) left_in: Option<u64>,
    pub(super) receipt: bool,
}

impl<'a> View<'a> {
    /// Of what the generated code read.
    pub(super) fn of(message: &'a MessageProto) -> Self {
        let content = message.content.as_ref();
        Self {
            id: message.id,
            sender: &message.sender,
            recipient: &message.recipient,
            in_reply_to: message.in_reply_to,
            content: content.map(|content| (&*content.content_type, &content.body[..])),
            sent_at_ms: message.sent_at_ms,
            hops: message.hops,
            trace: message.trace,
            deadline_ms: message.deadline_ms,
            wants_reply: message.wants_reply,
            left_in: message.left_in,
            receipt: message.receipt,
        }
    }

    /// Of a frame's bytes; none: they are no message, or an unusual one.
    pub(super) fn read(frame: &'a [u8]) -> Option<Self> {
        let (mut outer, mut view) = (Input(frame), Self::default());
        let (0x0a, mut input, []) = (outer.byte()?, Input(outer.bytes()?), outer.0) else { return None };
        let mut fields = Fields::default();
        while let Some(key) = input.byte() {
            fields.once(key)?;
            match key {
                0x0a => view.id = Some(id(input.bytes()?)?),
                0x12 => view.sender = input.text()?,
                0x1a => view.recipient = input.text()?,
                0x22 => view.in_reply_to = Some(id(input.bytes()?)?),
                0x2a => view.content = Some(content(input.bytes()?)?),
                0x30 => view.sent_at_ms = input.varint()?,
                0x38 => view.hops = u32::try_from(input.varint()?).ok()?,
                0x42 => view.trace = Some(trace(input.bytes()?)?),
                0x48 => view.deadline_ms = Some(input.varint()?),
                0x50 => view.wants_reply = input.varint()? != 0,
                0x58 => view.left_in = Some(input.varint()?),
                0x60 => view.receipt = input.varint()? != 0,
                _ => return None,
            }
        }
        Some(view)
    }
}

fn id(bytes: &[u8]) -> Option<IdProto> {
    let (mut input, mut fields, mut id) = (Input(bytes), Fields::default(), IdProto::default());
    while let Some(key) = input.byte() {
        fields.once(key)?;
        match key {
            0x09 => id.high = input.fixed64()?,
            0x11 => id.low = input.fixed64()?,
            _ => return None,
        }
    }
    Some(id)
}

fn content(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (mut input, mut fields, mut content) = (Input(bytes), Fields::default(), ("", &[][..]));
    while let Some(key) = input.byte() {
        fields.once(key)?;
        match key {
            0x0a => content.0 = input.text()?,
            0x12 => content.1 = input.bytes()?,
            _ => return None,
        }
    }
    Some(content)
}

fn trace(bytes: &[u8]) -> Option<TraceProto> {
    let (mut input, mut fields, mut trace) = (Input(bytes), Fields::default(), TraceProto::default());
    while let Some(key) = input.byte() {
        fields.once(key)?;
        match key {
            0x09 => trace.trace_id_high = input.fixed64()?,
            0x11 => trace.trace_id_low = input.fixed64()?,
            0x19 => trace.span_id = input.fixed64()?,
            0x20 => trace.flags = u32::try_from(input.varint()?).ok()?,
            _ => return None,
        }
    }
    Some(trace)
}

/// The fields that were read so far: one that comes twice is unusual.
#[derive(Default)]
struct Fields(u32);

impl Fields {
    fn once(&mut self, key: u8) -> Option<()> {
        let field = 1_u32 << (key >> 3);
        let is_new = self.0 & field == 0;
        self.0 |= field;
        is_new.then_some(())
    }
}

/// Bytes that are read from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// One of at most nine bytes: longer ones are unusual.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..9 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn fixed64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// A message that is about to be written.
pub(super) struct Writing<'a> {
    envelope: &'a Envelope,
    deadline_ms: Option<u64>,
    wants_reply: bool,
    /// Bytes of the message, without its key and its length.
    message_bytes: usize,
}

impl<'a> Writing<'a> {
    /// A message, with what is written of it that it does not hold itself.
    pub(super) fn of(envelope: &'a Envelope, deadline_ms: Option<u64>, wants_reply: bool) -> Self {
        let mut writing = Self { envelope, deadline_ms, wants_reply, message_bytes: 0 };
        writing.message_bytes = writing.count();
        writing
    }

    /// Bytes of the frame, without its length.
    pub(super) fn bytes(&self) -> usize {
        sized(self.message_bytes)
    }

    fn count(&self) -> usize {
        let Envelope { id, sender, recipient, in_reply_to, sent_at_ms, hops, trace, .. } = self.envelope;
        let number = |number: u64| 1 + varint_bytes(number);
        sized(id_bytes(id_proto(*id)))
            + sized(address_bytes(sender))
            + sized(address_bytes(recipient))
            + in_reply_to.map_or(0, |id| sized(id_bytes(id_proto(id))))
            + sized(self.content_bytes())
            + if *sent_at_ms == 0 { 0 } else { number(*sent_at_ms) }
            + if *hops == 0 { 0 } else { number((*hops).into()) }
            + trace.map_or(0, |trace| sized(trace_bytes(&trace_proto(trace))))
            + self.deadline_ms.map_or(0, number)
            + if self.wants_reply { 2 } else { 0 }
            + self.envelope.left_in.map_or(0, number)
            + if self.envelope.receipt { 2 } else { 0 }
    }

    fn content_bytes(&self) -> usize {
        let content = &self.envelope.content;
        let text = |length: usize| if length == 0 { 0 } else { sized(length) };
        text(content.content_type.len()) + text(content.body.len())
    }

    /// Appends the frame, after its length.
    pub(super) fn append(&self, out: &mut BytesMut) {
        let Envelope { id, sender, recipient, in_reply_to, content, sent_at_ms, hops, trace, .. } =
            self.envelope;
        let bytes = self.bytes();
        out.reserve(frame::LENGTH_BYTES_MAX + bytes);
        put_varint(out, bytes as u64);
        put_length(out, 0x0a, self.message_bytes);
        put_id(out, 0x0a, id_proto(*id));
        put_address(out, 0x12, sender);
        put_address(out, 0x1a, recipient);
        if let Some(id) = in_reply_to {
            put_id(out, 0x22, id_proto(*id));
        }
        put_length(out, 0x2a, self.content_bytes());
        for (key, bytes) in [(0x0a, content.content_type.as_bytes()), (0x12, &content.body[..])] {
            if !bytes.is_empty() {
                put_length(out, key, bytes.len());
                out.put_slice(bytes);
            }
        }
        let hops = u64::from(*hops);
        for (key, number) in [(0x30, *sent_at_ms), (0x38, hops)] {
            put_unless_zero(out, key, number);
        }
        if let Some(trace) = trace {
            put_trace(out, &trace_proto(*trace));
        }
        if let Some(ms) = self.deadline_ms {
            out.put_u8(0x48);
            put_varint(out, ms);
        }
        put_unless_zero(out, 0x50, self.wants_reply.into());
        if let Some(generation) = self.envelope.left_in {
            out.put_u8(0x58);
            put_varint(out, generation);
        }
        put_unless_zero(out, 0x60, self.envelope.receipt.into());
    }
}

/// Bytes of a field of `length` bytes, with its key and its length.
fn sized(length: usize) -> usize {
    1 + varint_bytes(length as u64) + length
}

fn varint_bytes(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

fn fixed_bytes(number: u64) -> usize {
    if number == 0 { 0 } else { 9 }
}

fn id_bytes(id: IdProto) -> usize {
    fixed_bytes(id.high) + fixed_bytes(id.low)
}

fn address_bytes(address: &Address) -> usize {
    let (kind, name) = address.parts();
    kind.len() + 1 + name.len()
}

fn trace_bytes(trace: &TraceProto) -> usize {
    let flags = if trace.flags == 0 { 0 } else { 1 + varint_bytes(trace.flags.into()) };
    fixed_bytes(trace.trace_id_high) + fixed_bytes(trace.trace_id_low) + fixed_bytes(trace.span_id) + flags
}

fn put_varint(out: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

fn put_length(out: &mut BytesMut, key: u8, length: usize) {
    out.put_u8(key);
    put_varint(out, length as u64);
}

fn put_unless_zero(out: &mut BytesMut, key: u8, number: u64) {
    if number > 0 {
        out.put_u8(key);
        put_varint(out, number);
    }
}

fn put_fixed(out: &mut BytesMut, key: u8, number: u64) {
    if number > 0 {
        out.put_u8(key);
        out.put_u64_le(number);
    }
}

fn put_id(out: &mut BytesMut, key: u8, id: IdProto) {
    put_length(out, key, id_bytes(id));
    put_fixed(out, 0x09, id.high);
    put_fixed(out, 0x11, id.low);
}

fn put_address(out: &mut BytesMut, key: u8, address: &Address) {
    let (kind, name) = address.parts();
    put_length(out, key, kind.len() + 1 + name.len());
    out.put_slice(kind.as_bytes());
    out.put_u8(b':');
    out.put_slice(name.as_bytes());
}

fn put_trace(out: &mut BytesMut, trace: &TraceProto) {
    put_length(out, 0x42, trace_bytes(trace));
    put_fixed(out, 0x09, trace.trace_id_high);
    put_fixed(out, 0x11, trace.trace_id_low);
    put_fixed(out, 0x19, trace.span_id);
    put_unless_zero(out, 0x20, trace.flags.into());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::super::tests::envelope;
    use super::*;

    /// What the generated code makes of bytes.
    fn generated(bytes: &[u8]) -> Option<MessageProto> {
        use matrix_proto::wire::message_frame::Kind;
        match matrix_proto::wire::MessageFrame::decode(bytes).ok()?.kind? {
            Kind::Message(message) => Some(message),
            Kind::Reply(_) => None,
        }
    }

    proptest! {
        #[test]
        fn the_generated_code_reads_and_writes_the_same(
            envelope in envelope(),
            deadline_ms in any::<Option<u64>>(),
            wants_reply in any::<bool>(),
        ) {
            let mut out = BytesMut::new();
            let writing = Writing::of(&envelope, deadline_ms, wants_reply);
            writing.append(&mut out);
            let (begin, end) = frame::first(&out, usize::MAX).expect("a frame").expect("a whole one");
            prop_assert_eq!((end, end - begin), (out.len(), writing.bytes()));
            let message = generated(&out[begin..]).expect("it reads it");
            prop_assert_eq!((message.deadline_ms, message.wants_reply), (deadline_ms, wants_reply));
            let frame = matrix_proto::wire::MessageFrame {
                kind: Some(matrix_proto::wire::message_frame::Kind::Message(message.clone())),
            };
            prop_assert_eq!(&frame.encode_to_vec()[..], &out[begin..]);
            // Numbers of ten bytes are unusual.
            let numbers = [deadline_ms, envelope.left_in, Some(envelope.sent_at_ms)];
            if numbers.iter().flatten().all(|number| *number < 1 << 63) {
                prop_assert_eq!(View::read(&out[begin..]), Some(View::of(&message)));
            }
        }

        #[test]
        fn whatever_it_reads_the_generated_code_reads_alike(
            envelope in envelope(),
            harm in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4),
        ) {
            let mut out = BytesMut::new();
            Writing::of(&envelope, Some(5), true).append(&mut out);
            let (begin, _) = frame::first(&out, usize::MAX).expect("a frame").expect("a whole one");
            let mut bytes = out[begin..].to_vec();
            for (place, byte, kind) in harm {
                let place = place.index(bytes.len());
                match kind {
                    0 => bytes[place] = byte,
                    1 => bytes.insert(place, byte),
                    _ => drop(bytes.remove(place)),
                }
            }
            if let Some(view) = View::read(&bytes) {
                let message = generated(&bytes);
                prop_assert_eq!(Some(view), message.as_ref().map(View::of));
            }
        }
    }
}
