//! What components are told: plain messages, which any Soul may answer as it likes, and odd ones, which none expects.

use bytes::Bytes;
use matrixd::bench::Said;
use matrixd::transport::envelope::{Address, Content};

/// When the first message is sent, in milliseconds since the Unix epoch.
pub(crate) const BEGIN_MS: u64 = 1_750_000_000_000;
/// How long there is between two messages, in milliseconds.
const STEP_MS: u64 = 1_000;
/// The ids of messages begin here: like those of a node they are not small.
const FIRST_ID: u128 = 1 << 80;

/// What a person might say to a Soul that they do not know.
const PLAIN: [&str; 10] =
    ["hello", "help", "who", "status", "add 3", "get", "count", "tell me more", "{\"say\":\"hello\"}", "42"];

/// A message of text, the `number`th, from a client to a Soul.
pub(crate) fn text(number: usize, text: &str) -> Said {
    said(number, "text/plain", text.as_bytes().to_vec())
}

fn said(number: usize, content_type: &str, body: Vec<u8>) -> Said {
    Said {
        id: FIRST_ID + number as u128,
        sender: "client:check".parse().expect("an address"),
        recipient: "soul:subject".parse().expect("an address"),
        in_reply_to: None,
        content: Content { content_type: content_type.into(), body: Bytes::from(body) },
        at_ms: BEGIN_MS + number as u64 * STEP_MS,
    }
}

/// Plain messages: what the author gives first, as it leads furthest.
pub(crate) fn plain(own: &[String]) -> Vec<Said> {
    let all = own.iter().map(String::as_str).chain(PLAIN);
    all.enumerate().map(|(number, said)| text(number, said)).collect()
}

/// Messages that nobody expects, with what is odd about each. The longest have `body_max` bytes.
pub(crate) fn odd(body_max: usize) -> Vec<(&'static str, Said)> {
    let address = |text: &str| -> Address { text.parse().expect("an address") };
    let bytes: Vec<u8> = (0..=255).collect();
    let body = |what, content_type, body| (what, said(0, content_type, body));
    let from = |what, sender: &str| {
        let plain = text(0, "hello");
        (what, Said { sender: address(sender), ..plain })
    };
    let by_topic = Said { recipient: address("topic:news"), ..text(0, "hello") };
    let answer = Said { in_reply_to: Some(7), ..text(0, "hello") };
    let mut all = vec![
        body("an empty body", "text/plain", Vec::new()),
        body("an empty body without a media type", "", Vec::new()),
        body("blanks", "text/plain", b" \t\r\n ".to_vec()),
        body("bytes that are no text, said to be text", "text/plain", vec![0xff, 0xfe, 0x80, 0xc0, 0x00]),
        body("every byte there is", "application/octet-stream", bytes.clone()),
        body("zeroes", "text/plain", vec![0; 64]),
        body("broken JSON", "application/json", b"{\"a\": [1, 2".to_vec()),
        body("JSON that is deeply nested", "application/json", b"[".repeat(body_max.min(20_000))),
        body("a number too large", "text/plain", b"add 99999999999999999999999999999999".to_vec()),
        body("a negative number", "text/plain", b"add -1".to_vec()),
        body("control characters", "text/plain", b"\x1b[2J\x07hello\x00".to_vec()),
        body("text of many alphabets", "text/plain", "zażółć 😀 \u{202e}مرحبا".as_bytes().to_vec()),
        body("an unknown media type", "application/vnd.nobody.knows+thing", b"hello".to_vec()),
        body("a media type as long as may be", "text/plain;charset=utf-8", b"hello".to_vec()),
        from("a Soul's message", "soul:stranger"),
        from("a Matrix's message", "matrix:market"),
        ("a message to a topic", by_topic),
        ("an answer to nothing", answer),
        body("text as long as may be", "text/plain", b"hello ".repeat(body_max / 6)),
        body("text without a blank, as long as may be", "text/plain", vec![b'a'; body_max]),
        body("bytes as long as may be", "application/octet-stream", vec![0xff; body_max]),
    ];
    let long = format!("text/plain;{}", "x".repeat(100));
    all[13].1.content.content_type = long.as_str().into();
    for (number, (_, said)) in all.iter_mut().enumerate() {
        said.id = FIRST_ID + number as u128;
        said.at_ms = BEGIN_MS + number as u64 * STEP_MS;
    }
    all
}

/// Bytes that are no state of anybody, made of a state: each with what is wrong with it.
pub(crate) fn broken(state: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut longer = state.to_vec();
    longer.extend_from_slice(b"more than there was");
    let flipped: Vec<u8> = state.iter().map(|byte| !byte).collect();
    let noise = Chance::new(state.len() as u64).bytes(257);
    vec![
        ("no bytes", Vec::new()),
        ("half of its state", state[..state.len() / 2].to_vec()),
        ("its state with bytes behind it", longer),
        ("its state, every bit turned", flipped),
        ("lengths beyond all memory", vec![0xff; 64]),
        ("zeroes", vec![0; 64]),
        ("noise", noise),
    ]
}

/// Numbers that look like chance and follow from a seed: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The numbers that follow from this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}
