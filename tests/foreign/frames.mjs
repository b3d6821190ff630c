// The frames of /matrix/1.0.0, written from the description of the format: a length, an unsigned LEB128
// varint of at most 4 bytes in its shortest form, and then a protocol buffer of that many bytes, which
// holds a message or a reply. 64-bit numbers are BigInt.

/** The most bytes in a frame that a node sends with its defaults: a body of 1 MiB and its header. */
export const FRAME_BYTES_MAX = (1 << 20) + 2048;

/** The most bytes in a length. */
const LENGTH_BYTES_MAX = 4;

/** What the codes of a failure mean; the first is 1. */
export const FAILURES = [
  'unknown_recipient', 'denied', 'mailbox_full', 'unreachable', 'too_large', 'deadline_exceeded',
  'quota_exceeded', 'too_many_hops', 'failed',
];

// Each field: its number, and its kind or, of a nested buffer, its fields. A scalar that is 0, false or
// empty is not written, and one that is missing reads as that; `optional` ones are written when present.
const ID = { high: [1, 'fixed64'], low: [2, 'fixed64'] };
const CONTENT = { content_type: [1, 'string'], body: [2, 'bytes'] };
const TRACE = {
  trace_id_high: [1, 'fixed64'], trace_id_low: [2, 'fixed64'], span_id: [3, 'fixed64'], flags: [4, 'uint'],
};
const FAILURE = { code: [1, 'uint'], text: [2, 'string'], limit: [3, 'uint64'] };
const MESSAGE = {
  id: [1, ID], sender: [2, 'string'], recipient: [3, 'string'], in_reply_to: [4, ID], content: [5, CONTENT],
  sent_at_ms: [6, 'uint64'], hops: [7, 'uint'], trace: [8, TRACE], deadline_ms: [9, 'optional uint64'],
  wants_reply: [10, 'bool'],
};
const REPLY = { to: [1, ID], content: [2, CONTENT], nothing: [3, {}], failure: [4, FAILURE] };
const FRAME = { message: [1, MESSAGE], reply: [2, REPLY] };

const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;
const U64_MAX = 2n ** 64n - 1n;
const DEFAULTS = { fixed64: 0n, uint64: 0n, uint: 0, bool: false, string: '' };
const TEXT = new TextDecoder('utf-8', { fatal: true });

function varint(value) {
  if (value >= 0 && value < 0x80) return Buffer.of(Number(value));
  const bytes = [];
  let rest = BigInt(value);
  if (rest < 0n || rest > U64_MAX) throw new RangeError(`${value} does not fit into 64 bits`);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

const tag = (number, wire) => varint((number << 3) | wire);

function encodeField(number, kind, value) {
  if (value === undefined) return [];
  const sized = (bytes) => [tag(number, BYTES), varint(bytes.length), bytes];
  if (typeof kind === 'object') return sized(encodeFields(kind, value));
  if (kind === 'string' || kind === 'bytes') return value.length === 0 ? [] : sized(Buffer.from(value));
  if (!kind.startsWith('optional') && !BigInt(value)) return [];
  if (kind !== 'fixed64') return [tag(number, VARINT), varint(value)];
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return [tag(number, FIXED64), bytes];
}

function encodeFields(fields, values) {
  return Buffer.concat(Object.entries(fields).flatMap(
    ([name, [number, kind]]) => encodeField(number, kind, values[name]),
  ));
}

/** The bytes of a frame, its length included. `frame`: `{ message }` or `{ reply }`. */
export function encode(frame) {
  const bytes = encodeFields(FRAME, frame);
  return Buffer.concat([varint(bytes.length), bytes]);
}

/** Reads a protocol buffer from its front; every read is within its bounds. */
class Cursor {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(count) {
    if (count > this.bytes.length - this.at) throw new Error('a frame is malformed: it ends in a field');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  varint() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const [byte] = this.take(1);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value > U64_MAX) break;
        return value;
      }
    }
    throw new Error('a frame is malformed: a varint has more than 64 bits');
  }

  sized() {
    const length = this.varint();
    return this.take(length > BigInt(this.bytes.length) ? Infinity : Number(length));
  }

  /** The value of a field, as its wire type says. */
  value(wire) {
    switch (wire) {
      case VARINT: return this.varint();
      case FIXED64: return this.take(8).readBigUInt64LE();
      case BYTES: return this.sized();
      case FIXED32: return this.take(4);
      default: throw new Error(`a frame is malformed: wire type ${wire}`);
    }
  }
}

const wireOf = (kind) => {
  if (kind === 'fixed64') return FIXED64;
  return kind === 'string' || kind === 'bytes' || typeof kind === 'object' ? BYTES : VARINT;
};

function converted(kind, value) {
  if (typeof kind === 'object') return decodeFields(kind, value);
  if (kind === 'string') return TEXT.decode(value);
  if (kind === 'bytes') return Buffer.from(value);
  if (kind === 'bool') return value !== 0n;
  return kind === 'uint' ? Number(value) : value;
}

function decodeFields(fields, bytes) {
  const values = {};
  for (const [name, [, kind]] of Object.entries(fields)) {
    if (kind === 'bytes') values[name] = Buffer.alloc(0);
    else if (kind in DEFAULTS) values[name] = DEFAULTS[kind];
  }
  const cursor = new Cursor(bytes);
  while (cursor.at < bytes.length) {
    const key = cursor.varint();
    const wire = Number(key & 7n);
    const value = cursor.value(wire);
    const known = Object.entries(fields).find(([, [number]]) => BigInt(number) === key >> 3n);
    if (known === undefined) continue;
    const [name, [, kind]] = known;
    if (wire !== wireOf(kind)) throw new Error(`a frame is malformed: \`${name}\` has wire type ${wire}`);
    values[name] = converted(kind, value);
  }
  return values;
}

/** That exactly one of `names` is there: one that this version does not know leaves none. */
function one(values, names, what) {
  const there = names.filter((name) => values[name] !== undefined);
  if (there.length !== 1) throw new Error(`a frame holds ${there.length} ${what} that are known`);
}

function needed(value, field) {
  if (value === undefined) throw new Error(`the field \`${field}\` of a frame is missing`);
}

/** The frame that `bytes`, without their length, are. */
export function decode(bytes) {
  const frame = decodeFields(FRAME, bytes);
  one(frame, ['message', 'reply'], 'kinds');
  if (frame.message !== undefined) {
    for (const field of ['id', 'content']) needed(frame.message[field], field);
    const { hops } = frame.message;
    if (hops < 1 || hops > 0xffff) throw new Error('the field `hops` of a frame is not in 1 to 65,535');
    return frame;
  }
  needed(frame.reply.to, 'to');
  one(frame.reply, ['content', 'nothing', 'failure'], 'outcomes');
  const { failure } = frame.reply;
  if (failure !== undefined && FAILURES[failure.code - 1] === undefined) {
    throw new Error(`a frame holds the code ${failure.code}, which is not known`);
  }
  return frame;
}

/** Frames out of a stream's bytes, however these were cut. */
export class Frames {
  #rest = Buffer.alloc(0);

  /** Takes the next bytes; gives the frames that they complete. After an error it is of no use. */
  push(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames = [];
    let at = 0;
    for (;;) {
      const head = this.#length(at);
      if (head === undefined || this.#rest.length < head.from + head.length) break;
      at = head.from + head.length;
      frames.push(decode(this.#rest.subarray(head.from, at)));
    }
    this.#rest = this.#rest.subarray(at);
    return frames;
  }

  /** The length that is written at `at`, and where the frame begins; undefined: it is not all there. */
  #length(at) {
    let length = 0;
    for (let place = 0; place < LENGTH_BYTES_MAX; place += 1) {
      const byte = this.#rest[at + place];
      if (byte === undefined) return undefined;
      length += (byte & 0x7f) * 128 ** place;
      if (byte < 0x80) {
        if (byte === 0 && place > 0) break;
        if (length > FRAME_BYTES_MAX) throw new Error(`a frame of ${length} bytes is too long`);
        return { from: at + place + 1, length };
      }
    }
    throw new Error('the length of a frame is no varint of at most 4 bytes in its shortest form');
  }
}
