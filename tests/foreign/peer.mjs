// A peer of js-libp2p that says one thing to a node of /matrix/1.0.0, or means harm. See README.md.

import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { parseArgs } from 'node:util';

import { peerIdFromPrivateKey } from '@libp2p/peer-id';

import { encode } from './frames.mjs';
import { KINDS, observe } from './hostile.mjs';
import { Link, Refused, STREAMS_MAX, key } from './link.mjs';

/** How long after its deadline the program ends whatever it waits for, in milliseconds. */
const GRACE_MS = 2_000;

/** The longest deadline, in milliseconds. */
const TIMEOUT_MS_MAX = 600_000;

const COUNT_MAX = 1_000_000;

const OPTIONS = {
  dial: { type: 'string' },
  key: { type: 'string' },
  'print-id': { type: 'boolean', default: false },
  to: { type: 'string', default: 'soul:echo' },
  body: { type: 'string', default: 'hello' },
  'expect-refusal': { type: 'boolean', default: false },
  hostile: { type: 'string' },
  count: { type: 'string' },
  'timeout-ms': { type: 'string', default: '10000' },
};

/** Ends the program when the line is written. */
function finish(stream, value, code) {
  stream.write(`${typeof value === 'string' ? value : JSON.stringify(value)}\n`, () => process.exit(code));
}

function fail(error) {
  const reasons = [error, ...(error?.errors ?? [])].map((reason) => reason?.message || String(reason));
  finish(process.stderr, { error: reasons.filter(Boolean).join('; ') }, 2);
}

function whole(name, text, max) {
  if (!/^[1-9][0-9]*$/.test(text) || Number(text) > max) throw new Error(`--${name}: 1 to ${max}, not \`${text}\``);
  return Number(text);
}

function options() {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.key === undefined) throw new Error('--key is needed');
  if (values.dial === undefined && !values['print-id']) throw new Error('--dial or --print-id is needed');
  const { hostile } = values;
  if (hostile !== undefined && !KINDS.includes(hostile)) throw new Error(`--hostile: one of ${KINDS.join(', ')}`);
  if (hostile !== undefined && values['expect-refusal']) throw new Error('--hostile observes refusals by itself');
  const countMax = hostile === 'flood' ? COUNT_MAX : STREAMS_MAX;
  return {
    ...values,
    count: values.count === undefined ? undefined : whole('count', values.count, countMax),
    timeoutMs: whole('timeout-ms', values['timeout-ms'], TIMEOUT_MS_MAX),
  };
}

/** A new message; its id is the time in milliseconds (48 bits) and chance (80 bits). */
function message(to, body) {
  const now = BigInt(Date.now());
  const chance = randomBytes(10);
  return {
    id: { high: (now << 16n) | BigInt(chance.readUInt16BE(8)), low: chance.readBigUInt64BE() },
    sender: 'client:js',
    recipient: to,
    content: { content_type: 'text/plain', body: Buffer.from(body) },
    sent_at_ms: now,
    hops: 1,
    wants_reply: true,
  };
}

/** A reply frame as it is shown. A body that is no UTF-8 is shown as `body_base64`. */
function shown({ content, failure }) {
  if (failure !== undefined) {
    const limit = failure.limit <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(failure.limit) : `${failure.limit}`;
    return { failure: { ...failure, limit } };
  }
  if (content === undefined) return { nothing: true };
  const { content_type, body } = content;
  const text = body.toString();
  return Buffer.from(text).equals(body)
    ? { content_type, body: text }
    : { content_type, body_base64: body.toString('base64') };
}

/** Sends one message and gives the reply to it. */
async function ask(link, question, signal) {
  const lane = await link.lane();
  await lane.send(encode({ message: question }), signal);
  const reply = await lane.reply(signal);
  if (reply.to.high !== question.id.high || reply.to.low !== question.id.low) {
    throw new Error('the node answered a message that was not sent');
  }
  return shown(reply);
}

/** Does what the options say; gives what to print and the exit code. */
async function run(given) {
  const privateKey = await key(given.key);
  if (given['print-id']) return [peerIdFromPrivateKey(privateKey).toString(), 0];
  const signal = AbortSignal.timeout(given.timeoutMs);
  setMaxListeners(0, signal);
  const next = () => message(given.to, given.body);
  const link = new Link(signal);
  try {
    await link.open(privateKey, given.dial);
    if (given.hostile !== undefined) {
      const seen = await observe(given.hostile, link, { message: next, count: given.count }, signal);
      return [{ hostile: given.hostile, ...link.node, ...seen, last: seen.last && shown(seen.last) }, 0];
    }
    const reply = await ask(link, next(), signal);
    await link.end().catch(() => {});
    return [{ ...link.node, reply }, given['expect-refusal'] ? 1 : 0];
  } catch (error) {
    if (signal.aborted) throw new Error(`not done within ${given.timeoutMs} ms`);
    if (error instanceof Refused && given['expect-refusal']) return [{ refused: error.message }, 0];
    throw error;
  }
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
try {
  const given = options();
  setTimeout(() => fail(new Error(`not done within ${given.timeoutMs} ms`)), given.timeoutMs + GRACE_MS).unref();
  const [value, code] = await run(given);
  finish(process.stdout, value, code);
} catch (error) {
  fail(error);
}
