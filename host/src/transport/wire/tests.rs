//! The protocol, byte by byte; what comes back from it; and what no bytes may do.

use bytes::Bytes;
use proptest::prelude::*;
use tokio::sync::oneshot;

use matrix_proto::wire::Message as MessageProto;

use super::*;

fn content(content_type: &str, body: &[u8]) -> Content {
    Content { content_type: content_type.into(), body: Bytes::copy_from_slice(body) }
}

fn plain(hops: u16, body: &[u8]) -> Envelope {
    let [sender, recipient] = ["soul:a", "topic:b/c"].map(|address| address.parse().expect("an address"));
    let first = Envelope::plain(MessageId(1 << 64 | 2), sender, recipient, content("t", body));
    Envelope { sent_at_ms: 300, hops, ..first }
}

/// Everything that travels.
fn shown(envelope: &Envelope, wants_reply: bool) -> String {
    let Envelope { id, sender, recipient, in_reply_to, content, sent_at_ms, .. } = envelope;
    let Envelope { hops, trace, deadline, left_in, receipt, .. } = envelope;
    format!(
        "{id} {sender} {recipient} {in_reply_to:?} {content:?} {sent_at_ms} {hops} {trace:?} {deadline:?} \
         {left_in:?} {wants_reply} {receipt}"
    )
}

fn written(envelope: &Envelope, now: Instant) -> BytesMut {
    let mut out = BytesMut::new();
    encode_message(
        envelope,
        !matches!(envelope.reply_to, ReplyTo::Sender),
        || now,
        &WireLimits::default(),
        &mut out,
    )
    .expect("within the limits");
    out
}

fn read(bytes: &[u8], limits: &WireLimits) -> Result<Option<Frame>, WireError> {
    decode(&mut BytesMut::from(bytes), limits, Instant::now())
}

fn fails(bytes: &[u8]) -> WireError {
    read(bytes, &WireLimits::default()).expect_err("hostile bytes")
}

/// A frame around a protocol buffer, whatever it holds.
fn framed(frame: &FrameProto) -> Vec<u8> {
    frame.encode_length_delimited_to_vec()
}

#[test]
fn a_message_has_golden_bytes() {
    let now = Instant::now();
    let (caller, _kept) = oneshot::channel();
    let envelope = Envelope {
        in_reply_to: Some(MessageId(3)),
        trace: Some(TraceContext { trace_id: 1 << 64 | 4, span_id: 5, flags: 1 }),
        deadline: Some(now + Duration::from_micros(7_900)),
        reply_to: ReplyTo::Caller(caller),
        ..plain(6, b"hi")
    };
    #[rustfmt::skip]
    let golden: &[u8] = &[
        101, 0x0a, 99,                                                                // length, message
        0x0a, 18, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0, 0, 0,         // id
        0x12, 6, b's', b'o', b'u', b'l', b':', b'a',                                  // sender
        0x1a, 9, b't', b'o', b'p', b'i', b'c', b':', b'b', b'/', b'c',                // recipient
        0x22, 9, 0x11, 3, 0, 0, 0, 0, 0, 0, 0,                                        // in_reply_to
        0x2a, 7, 0x0a, 1, b't', 0x12, 2, b'h', b'i',                                  // content
        0x30, 0xac, 0x02,                                                             // sent_at_ms
        0x38, 6,                                                                      // hops
        0x42, 29, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x11, 4, 0, 0, 0, 0, 0, 0, 0,         // trace
                  0x19, 5, 0, 0, 0, 0, 0, 0, 0, 0x20, 1,
        0x48, 7,                                                                      // deadline_ms
        0x50, 1,                                                                      // wants_reply
    ];
    assert_eq!(&written(&envelope, now)[..], golden);
    let Ok(Some(Frame::Message { envelope: read, wants_reply })) =
        decode(&mut BytesMut::from(golden), &WireLimits::default(), now)
    else {
        panic!("no message");
    };
    let expected = Envelope { deadline: Some(now + Duration::from_millis(7)), ..envelope };
    assert_eq!(shown(&read, wants_reply), shown(&expected, true));
}

#[test]
fn a_receipt_is_asked_for_by_one_field() {
    let now = Instant::now();
    let (caller, _kept) = oneshot::channel();
    let envelope = Envelope { receipt: true, reply_to: ReplyTo::Caller(caller), ..plain(6, b"hi") };
    let bytes = written(&envelope, now);
    assert_eq!(bytes[bytes.len() - 4..], [0x50, 1, 0x60, 1]);
    let read = read(&bytes, &WireLimits::default());
    let Ok(Some(Frame::Message { envelope: read, wants_reply: true })) = read else { panic!("{read:?}") };
    assert!(read.receipt);
}

#[test]
fn replies_have_golden_bytes() {
    let table: [(Reply, &[u8]); 4] = [
        (
            Ok(Some(content("t", b"hi"))),
            &[
                22, 0x12, 20, 0x0a, 9, 0x11, 3, 0, 0, 0, 0, 0, 0, 0, 0x12, 7, 0x0a, 1, b't', 0x12, 2, b'h',
                b'i',
            ],
        ),
        (Ok(None), &[15, 0x12, 13, 0x0a, 9, 0x11, 3, 0, 0, 0, 0, 0, 0, 0, 0x1a, 0]),
        (
            Err(SendError::MailboxFull),
            &[17, 0x12, 15, 0x0a, 9, 0x11, 3, 0, 0, 0, 0, 0, 0, 0, 0x22, 2, 0x08, 3],
        ),
        (
            Err(SendError::TooLarge { limit: 5 }),
            &[19, 0x12, 17, 0x0a, 9, 0x11, 3, 0, 0, 0, 0, 0, 0, 0, 0x22, 4, 0x08, 5, 0x18, 5],
        ),
    ];
    for (reply, golden) in table {
        let mut out = BytesMut::new();
        encode_reply(MessageId(3), &reply, &WireLimits::default(), &mut out).expect("within the limits");
        assert_eq!(&out[..], golden, "{reply:?}");
    }
}

#[test]
fn lengths_are_refused_before_the_bytes_are_awaited() {
    let limit = (1 << 20) + HEADER_BYTES_MAX;
    assert!(matches!(read(&[], &WireLimits::default()), Ok(None)));
    assert!(matches!(read(&[0x80], &WireLimits::default()), Ok(None)));
    assert!(matches!(read(&[5, 1, 2], &WireLimits::default()), Ok(None)));
    assert_eq!(fails(&[0xff, 0xff, 0xff, 0x7f]), FrameError::TooLong { given: 0x0fff_ffff, limit }.into());
    for wrong in [&[0x80, 0x00][..], &[0x81, 0x80, 0x00], &[0xff; 4], &[0x80, 0x80, 0x80, 0x80, 0x01]] {
        assert_eq!(fails(wrong), FrameError::Length.into(), "{wrong:?}");
    }
}

#[test]
fn what_only_this_node_forbids_is_answered_and_the_stream_goes_on() {
    let now = Instant::now();
    let limits = WireLimits { body_bytes_max: 3, hops_max: 8 };
    let mut stream = written(&plain(9, b""), now);
    stream.extend_from_slice(&written(&plain(8, b"four"), now));
    stream.extend_from_slice(&written(&plain(8, b"yes"), now));
    for expected in [SendError::TooManyHops { limit: 8 }, SendError::TooLarge { limit: 3 }] {
        match decode(&mut stream, &limits, now) {
            Ok(Some(Frame::Refused { id, wants_reply: false, error })) => {
                assert_eq!((id, error), (plain(1, b"").id, expected));
            }
            other => panic!("not refused: {other:?}"),
        }
    }
    assert!(matches!(decode(&mut stream, &limits, now), Ok(Some(Frame::Message { .. }))));
    assert!(stream.is_empty());
}

#[test]
fn a_sound_frame_with_wrong_contents_is_refused_by_field() {
    let good = FrameProto::decode_length_delimited(&written(&plain(1, b""), Instant::now())[..]);
    let Ok(FrameProto { kind: Some(KindProto::Message(good)) }) = good else { panic!("no message") };
    let broken = |change: fn(&mut MessageProto)| {
        let mut message = good.clone();
        change(&mut message);
        fails(&framed(&FrameProto { kind: Some(KindProto::Message(message)) }))
    };
    assert_eq!(broken(|message| message.id = None), WireError::Field("id"));
    assert_eq!(broken(|message| message.hops = 0), WireError::Field("hops"));
    assert_eq!(broken(|message| message.hops = 65_536), WireError::Field("hops"));
    assert_eq!(broken(|message| message.content = None), WireError::Field("content"));
    assert_eq!(broken(|message| message.trace = Some(Default::default())), WireError::Field("trace"));
    let long_type = |message: &mut MessageProto| {
        message.content = Some(ContentProto { content_type: "t".repeat(129), body: Bytes::new() });
    };
    assert_eq!(broken(long_type), WireError::Field("content_type"));
    let forged = broken(|message| message.sender = "soul:../neo".to_owned());
    assert!(matches!(forged, WireError::Address { field: "sender", .. }), "{forged}");
    let far = |ms| {
        let message = MessageProto { deadline_ms: Some(ms), ..good.clone() };
        read(&framed(&FrameProto { kind: Some(KindProto::Message(message)) }), &WireLimits::default())
    };
    assert!(matches!(far(u64::MAX), Ok(Some(Frame::Message { .. }))));
}

#[test]
fn unknown_kinds_and_codes_are_refused() {
    assert_eq!(fails(&framed(&FrameProto { kind: None })), WireError::Unknown("kind"));
    assert_eq!(fails(&[2, 0x1a, 0]), WireError::Unknown("kind"));
    assert!(matches!(fails(&[1, 0xff]), WireError::Malformed(_)));
    let reply = |outcome| {
        let reply = ReplyProto { to: Some(IdProto::default()), outcome };
        fails(&framed(&FrameProto { kind: Some(KindProto::Reply(reply)) }))
    };
    let failure =
        |code, text: String, limit| reply(Some(OutcomeProto::Failure(FailureProto { code, text, limit })));
    assert_eq!(reply(None), WireError::Unknown("outcome"));
    assert_eq!(failure(0, String::new(), 0), WireError::Unknown("code"));
    assert_eq!(failure(10, String::new(), 0), WireError::Unknown("code"));
    assert_eq!(failure(8, String::new(), 1 << 16), WireError::Field("limit"));
    assert_eq!(failure(9, "x".repeat(ERROR_TEXT_BYTES_MAX + 1), 0), WireError::Field("text"));
}

#[test]
fn what_was_read_before_changes_nothing_of_what_is_read() {
    let pairs = [
        ("soul:neo", "soul:smith"),
        ("soul:neo", "soul:smith"),
        ("soul:neo", "matrix:smith"),
        ("client:neo", "soul:smiths"),
        ("soul:smith", "soul:neo"),
    ];
    let (limits, now, mut out) = (WireLimits::default(), Instant::now(), BytesMut::new());
    for (sender, recipient) in pairs {
        let address = |text: &str| text.parse().expect("an address");
        let envelope =
            Envelope::plain(MessageId(1), address(sender), address(recipient), content("text/plain", b"hi"));
        encode_message(&envelope, false, || now, &limits, &mut out).expect("it is written");
    }
    let mut familiar = Familiar::default();
    for (sender, recipient) in pairs {
        let read = decode_next(&mut out, &limits, now, &mut familiar);
        let Ok(Some(Frame::Message { envelope, .. })) = read else { panic!("{read:?}") };
        assert_eq!(
            (envelope.sender.to_string(), envelope.recipient.to_string()),
            (sender.into(), recipient.into())
        );
    }
}

#[test]
fn nothing_is_written_that_could_not_be_read() {
    let limits = WireLimits { body_bytes_max: 10, hops_max: 8 };
    let mut out = BytesMut::new();
    let error = encode_message(&plain(1, &[0; 4096]), false, Instant::now, &limits, &mut out);
    assert!(matches!(error, Err(WireError::Frame(FrameError::TooLong { .. }))));
    let long_type = Ok(Some(content(&"t".repeat(129), b"")));
    let error = encode_reply(MessageId(1), &long_type, &limits, &mut out);
    assert_eq!(error, Err(WireError::Field("content_type")));
    assert!(out.is_empty());
    let long = Err(SendError::Failed("é".repeat(800)));
    encode_reply(MessageId(1), &long, &limits, &mut out).expect("cut to the limit");
    let frame = decode(&mut out, &limits, Instant::now());
    assert!(
        matches!(frame, Ok(Some(Frame::Reply { reply: Err(SendError::Failed(text)), .. })) if text.len() == 1024)
    );
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        "soul:[a-z0-9]{1,63}",
        "matrix:[a-z0-9]{1,63}",
        "topic:[a-z/._-]{1,128}",
        "client:[a-z]{1,128}"
    ]
    .prop_map(|text| text.parse().expect("an address"))
}

fn some_content() -> impl Strategy<Value = Content> {
    ("[ -~]{0,128}", proptest::collection::vec(any::<u8>(), 0..300))
        .prop_map(|(content_type, body)| content(&content_type, &body))
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        proptest::option::of(some_content()).prop_map(Ok),
        address().prop_map(|address| Err(SendError::UnknownRecipient(address))),
        ".{0,200}".prop_map(|text| Err(SendError::Denied(text))),
        Just(Err(SendError::Unreachable)),
        any::<u64>().prop_map(|limit| Err(SendError::TooLarge { limit })),
        Just(Err(SendError::DeadlineExceeded)),
        Just(Err(SendError::QuotaExceeded)),
        any::<u16>().prop_map(|limit| Err(SendError::TooManyHops { limit })),
        ".{0,200}".prop_map(|text| Err(SendError::Failed(text))),
    ]
}

/// Messages without a deadline, of as many hops as may be.
pub(super) fn envelope() -> impl Strategy<Value = Envelope> {
    let trace = proptest::option::of((1u128.., 1u64.., any::<u8>()));
    let ids = (any::<u128>(), any::<Option<u128>>(), any::<Option<u64>>());
    let numbers = (any::<u64>(), 1u16..=64, any::<bool>());
    (ids, address(), address(), some_content(), numbers, trace).prop_map(
        |((id, in_reply_to, left_in), sender, recipient, content, (sent_at_ms, hops, receipt), trace)| {
            let trace = trace.map(|(trace_id, span_id, flags)| TraceContext { trace_id, span_id, flags });
            let (id, in_reply_to) = (MessageId(id), in_reply_to.map(MessageId));
            let (deadline, reply_to) = (None, ReplyTo::Sender);
            Envelope {
                id,
                sender,
                recipient,
                in_reply_to,
                content,
                sent_at_ms,
                hops,
                trace,
                deadline,
                left_in,
                reply_to,
                receipt,
            }
        },
    )
}

proptest! {
    #[test]
    fn messages_round_trip(
        envelope in envelope(),
        left_ms in proptest::option::of(0u64..86_400_000),
        split in any::<prop::sample::Index>(),
    ) {
        let now = Instant::now();
        let deadline = left_ms.map(|ms| now + Duration::from_millis(ms));
        let envelope = Envelope { deadline, ..envelope };
        let bytes = written(&envelope, now);
        let (head, tail) = bytes.split_at(split.index(bytes.len()));
        let mut input = BytesMut::from(head);
        prop_assert!(matches!(decode(&mut input, &WireLimits::default(), now), Ok(None)));
        input.extend_from_slice(tail);
        match decode(&mut input, &WireLimits::default(), now) {
            Ok(Some(Frame::Message { envelope: read, wants_reply })) => {
                // Where nobody waits, nobody waits for a receipt.
                prop_assert_eq!(shown(&read, wants_reply), shown(&Envelope { receipt: false, ..envelope }, false));
            }
            other => prop_assert!(false, "no message: {:?}", other),
        }
        prop_assert!(input.is_empty());
    }

    #[test]
    fn replies_round_trip(id in any::<u128>(), reply in reply()) {
        let mut bytes = BytesMut::new();
        encode_reply(MessageId(id), &reply, &WireLimits::default(), &mut bytes).expect("within the limits");
        match decode(&mut bytes, &WireLimits::default(), Instant::now()) {
            Ok(Some(Frame::Reply { to, reply: read })) => prop_assert_eq!((to, read), (MessageId(id), reply)),
            other => prop_assert!(false, "no reply: {:?}", other),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, &WireLimits::default());
    }

    /// Random bytes seldom get past the first tag: these do.
    #[test]
    fn no_damage_makes_it_panic(
        reply in reply(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut message = written(&plain(3, b"some body"), Instant::now());
        encode_reply(MessageId(9), &reply, &WireLimits::default(), &mut message).expect("within the limits");
        for (place, byte) in damage {
            let place = place.index(message.len());
            message[place] = byte;
        }
        while let Ok(Some(_)) = decode(&mut message, &WireLimits::default(), Instant::now()) {}
    }
}
