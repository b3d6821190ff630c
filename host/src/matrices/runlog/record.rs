//! What a run log holds, as bytes. Pure.
//!
//! ```text
//! log     = header, then ticks, messages and switches in the order in which the rules saw them, then at most one end
//! record  = length of body (u32), CRC-32 of those four bytes (u32), CRC-32 of body (u32), body
//! body    = 0, JSON of the header
//!         | 1, tick, time of asking (numbers), hash of the state (32 bytes), actions
//!         | 2, id (16 bytes), id answered (1, 16 bytes | 0), time of sending (number),
//!              sender, recipient, media type, body (each a length and bytes)
//!         | 3
//!         | 4, ticks done before it (number), digest of the rules before, digest of the rules after,
//!              hash of their state (32 bytes each)
//! actions = how many (number), then each: tag, place if the tag says so, length if the tag says so, bytes
//! tag     = bits 0 and 1: 0 next seat of the same player, 1 seat 0 of the next player, 2 a place follows
//!           bits 2 to 7:  0 no choice, 1 to 62 a choice of 0 to 61 bytes, 63 a length follows
//! ```
//!
//! Fixed numbers are little-endian. A choice of one byte thus takes two, where seats come in order. The
//! length has a checksum of its own: a flipped bit in it must not look like a record that was cut off.

use serde::{Deserialize, Serialize};

use super::bytes::{Cursor, Wrong, put_bytes, put_number};
use super::crc::crc32;
use crate::ids::{Digest, MatrixName, MessageId, SoulName, StateHash};
use crate::matrices::switches::Switch;
use crate::runtime::rules::Action;
use crate::transport::envelope::{Address, Content};

/// The version of the format that this node writes, and the only one that it reads.
pub(crate) const FORMAT: u32 = 2;
/// Bytes before a record's body.
pub(crate) const PREFIX_BYTES: usize = 12;
/// The longest body of a record: a tick's actions are bounded to less than half of it.
pub(crate) const BODY_BYTES_MAX: usize = 32 << 20;

const HEADER: u8 = 0;
const TICK: u8 = 1;
const MESSAGE: u8 = 2;
const END: u8 = 3;
const SWITCH: u8 = 4;

const NEXT_SEAT: u8 = 0;
const NEXT_PLAYER: u8 = 1;
const ELSEWHERE: u8 = 2;
/// The code of a choice whose length follows.
const LONG_CHOICE: u8 = 63;

/// What a run started from: everything that its rules depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) format: u32,
    pub(crate) run: String,
    pub(crate) matrix: MatrixName,
    pub(crate) rules: Digest,
    pub(crate) config: String,
    pub(crate) seed: u64,
    pub(crate) players: Vec<Player>,
    /// Linear memory of the rules, in bytes: where it ends, rules may notice.
    pub(crate) memory_bytes: u64,
    /// Fuel for each call into the rules.
    pub(crate) call_fuel: u64,
}

/// Who played, and with which code when the run was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Player {
    pub(crate) name: SoulName,
    pub(crate) component: Digest,
}

/// One tick.
#[derive(Debug)]
pub(crate) struct Tick {
    /// How many ticks were done after it; 0 stands for the rules' `start`.
    pub(crate) tick: u64,
    /// The time that players saw when they were asked, in milliseconds since the Unix epoch.
    pub(crate) asked_at_ms: u64,
    /// The hash of the rules' state after it.
    pub(crate) state: StateHash,
    /// What `step` was given.
    pub(crate) actions: Vec<Action>,
}

/// A message that the rules received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) sender: Address,
    pub(crate) recipient: Address,
    pub(crate) in_reply_to: Option<MessageId>,
    pub(crate) content: Content,
    pub(crate) sent_at_ms: u64,
}

/// A record after the header.
#[derive(Debug)]
pub(crate) enum Record {
    Tick(Tick),
    Message(Message),
    /// Other rules take over.
    Switch(Switch),
    /// The run is over, and its players have been told.
    End,
}

/// Appends a record whose body `write` makes.
fn put_record(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    write(out);
    let body = &out[start + PREFIX_BYTES..];
    // What is written is bounded far below 4 GiB; a reader refuses what exceeds `BODY_BYTES_MAX`.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let (check, body_check) = (crc32(&length).to_le_bytes(), crc32(body).to_le_bytes());
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + 8].copy_from_slice(&check);
    out[start + 8..start + 12].copy_from_slice(&body_check);
}

pub(crate) fn put_header(out: &mut Vec<u8>, header: &Header) {
    let json = serde_json::to_vec(header).expect("a header has only texts and numbers");
    put_record(out, |out| {
        out.push(HEADER);
        out.extend_from_slice(&json);
    });
}

/// Appends a tick; `actions` is what [`encode_actions`] made.
pub(crate) fn put_tick(out: &mut Vec<u8>, tick: u64, asked_at_ms: u64, state: StateHash, actions: &[u8]) {
    put_record(out, |out| {
        out.push(TICK);
        put_number(out, tick);
        put_number(out, asked_at_ms);
        out.extend_from_slice(state.as_bytes());
        out.extend_from_slice(actions);
    });
}

pub(crate) fn put_message(out: &mut Vec<u8>, message: &Message) {
    put_record(out, |out| {
        out.push(MESSAGE);
        out.extend_from_slice(&message.id.0.to_le_bytes());
        out.push(u8::from(message.in_reply_to.is_some()));
        if let Some(answered) = message.in_reply_to {
            out.extend_from_slice(&answered.0.to_le_bytes());
        }
        put_number(out, message.sent_at_ms);
        put_bytes(out, message.sender.to_string().as_bytes());
        put_bytes(out, message.recipient.to_string().as_bytes());
        put_bytes(out, message.content.content_type.as_bytes());
        put_bytes(out, &message.content.body);
    });
}

pub(crate) fn put_switch(out: &mut Vec<u8>, switch: &Switch) {
    put_record(out, |out| {
        out.push(SWITCH);
        put_number(out, switch.tick);
        out.extend_from_slice(switch.before.as_bytes());
        out.extend_from_slice(switch.after.as_bytes());
        out.extend_from_slice(switch.state.as_bytes());
    });
}

pub(crate) fn put_end(out: &mut Vec<u8>) {
    put_record(out, |out| out.push(END));
}

/// Actions as a tick's record holds them: written before `step` takes them over.
pub(crate) fn encode_actions(actions: &[Action]) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + 2 * actions.len());
    put_number(&mut out, actions.len() as u64);
    let mut before = None;
    for action in actions {
        let place = (action.player, action.seat);
        let step = if Some(place) == next_seat(before) {
            NEXT_SEAT
        } else if place == next_player(before) {
            NEXT_PLAYER
        } else {
            ELSEWHERE
        };
        let length = action.choice.as_ref().map(Vec::len);
        let code = match length {
            None => 0,
            Some(length) => u8::try_from(length + 1).unwrap_or(LONG_CHOICE).min(LONG_CHOICE),
        };
        out.push(code << 2 | step);
        if step == ELSEWHERE {
            put_number(&mut out, action.player.into());
            put_number(&mut out, action.seat.into());
        }
        let choice = action.choice.as_deref().unwrap_or_default();
        if code == LONG_CHOICE {
            put_number(&mut out, choice.len() as u64);
        }
        out.extend_from_slice(choice);
        before = Some(place);
    }
    out
}

type Place = (u32, u32);

fn next_seat(before: Option<Place>) -> Option<Place> {
    before.and_then(|(player, seat)| Some((player, seat.checked_add(1)?)))
}

fn next_player(before: Option<Place>) -> Place {
    before.map_or((0, 0), |(player, _)| (player.wrapping_add(1), 0))
}

fn actions(from: &mut Cursor<'_>) -> Result<Vec<Action>, Wrong> {
    let count = usize::try_from(from.number()?).map_err(|_| "it ends too early")?;
    // Every action takes a byte at least, so a forged count cannot reserve more than the record holds.
    let mut actions = Vec::with_capacity(count.min(from.0.len()));
    let mut before = None;
    for _ in 0..count {
        let tag = from.byte()?;
        let (player, seat) = match tag & 3 {
            NEXT_SEAT => next_seat(before).ok_or("a seat follows none")?,
            NEXT_PLAYER => next_player(before),
            ELSEWHERE => (from.number_u32()?, from.number_u32()?),
            _ => return Err("an action has an unknown tag"),
        };
        let choice = match tag >> 2 {
            0 => None,
            LONG_CHOICE => Some(from.bytes()?.to_vec()),
            code => Some(from.take(usize::from(code) - 1)?.to_vec()),
        };
        actions.push(Action { player, seat, choice });
        before = Some((player, seat));
    }
    Ok(actions)
}

/// Reads the body of the first record.
pub(crate) fn header(body: &[u8]) -> Result<Header, String> {
    let json = body.strip_prefix(&[HEADER]).ok_or("it does not begin with a header")?;
    let header: Header = serde_json::from_slice(json).map_err(|error| format!("its header: {error}"))?;
    if header.format != FORMAT {
        return Err(format!("its format is {}, and this node reads {FORMAT}", header.format));
    }
    Ok(header)
}

/// Reads the body of any other record.
pub(crate) fn record(body: &[u8]) -> Result<Record, Wrong> {
    let mut from = Cursor(body);
    let record = match from.byte()? {
        TICK => Record::Tick(Tick {
            tick: from.number()?,
            asked_at_ms: from.number()?,
            state: StateHash::from_bytes(from.array()?),
            actions: actions(&mut from)?,
        }),
        MESSAGE => Record::Message(message(&mut from)?),
        SWITCH => Record::Switch(Switch {
            tick: from.number()?,
            before: Digest::from_bytes(from.array()?),
            after: Digest::from_bytes(from.array()?),
            state: StateHash::from_bytes(from.array()?),
        }),
        END => Record::End,
        _ => return Err("it is of an unknown kind"),
    };
    if from.is_at_end() { Ok(record) } else { Err("bytes are left over") }
}

fn message(from: &mut Cursor<'_>) -> Result<Message, Wrong> {
    let id = MessageId(u128::from_le_bytes(from.array()?));
    let in_reply_to = match from.byte()? {
        0 => None,
        _ => Some(MessageId(u128::from_le_bytes(from.array()?))),
    };
    let sent_at_ms = from.number()?;
    let address = |text: &str| text.parse().map_err(|_| "an address is none");
    Ok(Message {
        id,
        in_reply_to,
        sent_at_ms,
        sender: address(from.text()?)?,
        recipient: address(from.text()?)?,
        content: Content {
            content_type: from.text()?.into(),
            body: bytes::Bytes::copy_from_slice(from.bytes()?),
        },
    })
}
