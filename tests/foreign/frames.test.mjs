// The format, byte by byte: the golden bytes are those that the node's own tests hold.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FAILURES, Frames, decode, encode } from './frames.mjs';

const text = (letters) => [...Buffer.from(letters)];
const body = Buffer.from('hi');

const MESSAGE = Buffer.from([
  101, 0x0a, 99, // length, message
  0x0a, 18, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0, 0, 0, // id
  0x12, 6, ...text('soul:a'), // sender
  0x1a, 9, ...text('topic:b/c'), // recipient
  0x22, 9, 0x11, 3, 0, 0, 0, 0, 0, 0, 0, // in_reply_to
  0x2a, 7, 0x0a, 1, ...text('t'), 0x12, 2, ...text('hi'), // content
  0x30, 0xac, 0x02, // sent_at_ms
  0x38, 6, // hops
  0x42, 29, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x11, 4, 0, 0, 0, 0, 0, 0, 0, // trace
  0x19, 5, 0, 0, 0, 0, 0, 0, 0, 0x20, 1,
  0x48, 7, // deadline_ms
  0x50, 1, // wants_reply
]);

const message = {
  id: { high: 1n, low: 2n },
  sender: 'soul:a',
  recipient: 'topic:b/c',
  in_reply_to: { high: 0n, low: 3n },
  content: { content_type: 't', body },
  sent_at_ms: 300n,
  hops: 6,
  trace: { trace_id_high: 1n, trace_id_low: 4n, span_id: 5n, flags: 1 },
  deadline_ms: 7n,
  wants_reply: true,
};

const TO = [0x0a, 9, 0x11, 3, 0, 0, 0, 0, 0, 0, 0];
const REPLIES = [
  [{ content: { content_type: 't', body } }, [22, 0x12, 20, ...TO, 0x12, 7, 0x0a, 1, 0x74, 0x12, 2, ...text('hi')]],
  [{ nothing: {} }, [15, 0x12, 13, ...TO, 0x1a, 0]],
  [{ failure: { code: 3, text: '', limit: 0n } }, [17, 0x12, 15, ...TO, 0x22, 2, 0x08, 3]],
  [{ failure: { code: 5, text: '', limit: 5n } }, [19, 0x12, 17, ...TO, 0x22, 4, 0x08, 5, 0x18, 5]],
];

/** A frame around the fields of a reply. */
const replied = (...fields) => Buffer.from([0x12, TO.length + fields.length, ...TO, ...fields]);

test('a message has golden bytes, both ways', () => {
  assert.deepEqual(encode({ message }), MESSAGE);
  assert.deepEqual(new Frames().push(MESSAGE), [{ message }]);
});

test('replies have golden bytes, both ways', () => {
  for (const [outcome, golden] of REPLIES) {
    const reply = { to: { high: 0n, low: 3n }, ...outcome };
    assert.deepEqual(encode({ reply }), Buffer.from(golden));
    assert.deepEqual(new Frames().push(Buffer.from(golden)), [{ reply }]);
  }
});

test('what is 0, false or empty is not written, and reads as that', () => {
  const { in_reply_to, trace, deadline_ms, ...plain } = message;
  const content = { content_type: '', body: Buffer.alloc(0) };
  const empty = { ...plain, content, sent_at_ms: 0n, wants_reply: false };
  const bytes = encode({ message: empty });
  assert.deepEqual([...bytes.subarray(-4)], [0x2a, 0, 0x38, 6]);
  assert.deepEqual(new Frames().push(bytes), [{ message: empty }]);
  const expired = { ...empty, deadline_ms: 0n };
  assert.deepEqual(new Frames().push(encode({ message: expired })), [{ message: expired }]);
});

test('numbers keep all their bits', () => {
  const large = 2n ** 64n - 1n;
  const wide = { ...message, id: { high: large, low: large - 1n }, sent_at_ms: large, hops: 65_535 };
  assert.deepEqual(new Frames().push(encode({ message: wide })), [{ message: wide }]);
  assert.throws(() => encode({ message: { ...message, sent_at_ms: large + 1n } }), RangeError);
});

test('frames come out however the bytes are cut', () => {
  const stream = Buffer.concat([MESSAGE, ...REPLIES.map(([, golden]) => Buffer.from(golden)), MESSAGE]);
  for (const size of [1, 2, 7, 100, 101, 102, 103, stream.length]) {
    const frames = new Frames();
    const found = [];
    for (let at = 0; at < stream.length; at += size) found.push(...frames.push(stream.subarray(at, at + size)));
    assert.equal(found.length, 6, `cut every ${size} bytes`);
    assert.deepEqual(found[5], { message });
  }
});

test('lengths are refused before the bytes are awaited', () => {
  for (const short of [[], [0x80], [5, 1, 2]]) assert.deepEqual(new Frames().push(Buffer.from(short)), []);
  for (const wrong of [[0x80, 0], [0x81, 0x80, 0], [255, 255, 255, 255], [0x80, 0x80, 0x80, 0x80, 1]]) {
    assert.throws(() => new Frames().push(Buffer.from(wrong)), /shortest form/);
  }
  assert.throws(() => new Frames().push(Buffer.from([255, 255, 255, 127])), /268435455 bytes is too long/);
});

test('unknown fields are skipped', () => {
  const unknown = [0x78, 0x96, 1, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 2, 9, 9, 0x7d, 1, 2, 3, 4];
  assert.deepEqual(decode(replied(0x1a, 0, ...unknown)).reply, { to: { high: 0n, low: 3n }, nothing: {} });
});

test('unknown kinds and codes, and what is missing or malformed, are refused', () => {
  const refused = [
    [[], /0 kinds/],
    [[0x1a, 0], /0 kinds/],
    [[0x12, 0], /`to`/],
    [replied(), /0 outcomes/],
    [replied(0x22, 0), /code 0/],
    [replied(0x22, 2, 0x08, FAILURES.length + 1), /code 10/],
    [replied(0x1a, 3, 0), /malformed/],
    [replied(0x18, 0), /wire type 0/],
    [[0xff], /malformed/],
    [[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], /malformed/],
    [[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], /more than 64 bits/],
    [[0x0b], /wire type 3/],
  ];
  for (const [bytes, why] of refused) assert.throws(() => decode(Buffer.from(bytes)), why, `${[...bytes]}`);
  for (const hops of [0, 65_536]) {
    assert.throws(() => new Frames().push(encode({ message: { ...message, hops } })), /`hops`/);
  }
});
