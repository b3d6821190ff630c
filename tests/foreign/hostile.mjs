// What peers that mean harm do. Each behaviour gives what was observed of the node.

import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

import { encode } from './frames.mjs';
import { until } from './link.mjs';

/** About how many bytes of a flood are handed to the stream at once. */
const FLOOD_CHUNK_BYTES = 64 * 1024;

/** How long a node has, after all, to show that it still answers, in milliseconds. */
const ANSWER_MS = 1_000;

/** Bytes that look random, and are the same at each run. */
function noiseBytes(seed, length) {
  const blocks = [];
  for (let block = 0; block * 32 < length; block += 1) {
    blocks.push(createHash('sha256').update(`${seed}/${block}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

/** What a behaviour has to work with, and what it leaves behind. */
class Attack {
  lanes = [];
  refused = 0;
  sent = 0;
  /** When it began, in milliseconds since the epoch. */
  begin = Date.now();

  constructor(link, options, signal) {
    Object.assign(this, { link, options, signal });
  }

  /** Opens a stream; undefined: the node refuses it. One at a time: nodes may drop what comes too fast. */
  async open() {
    try {
      const lane = await this.link.lane();
      this.lanes.push(lane);
      return lane;
    } catch (error) {
      if (this.signal.aborted) throw error;
      this.refused += 1;
      return undefined;
    }
  }

  /** Sends on the lane; whether it still takes more. */
  async send(lane, bytes, messages) {
    const open = await lane.send(bytes, this.signal);
    this.sent += messages;
    return open;
  }
}

const BEHAVIOURS = {
  /** A length of 2^32 - 1, and then nothing. */
  'huge-length': async (attack) => {
    const lane = await attack.open();
    if (lane === undefined) return;
    await attack.send(lane, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]), 1);
    await lane.ended;
  },

  /** Many streams on which nothing is said. */
  'silent-streams': async (attack) => {
    const count = attack.options.count ?? 1_000;
    while (attack.lanes.length + attack.refused < count) await attack.open();
    await Promise.all(attack.lanes.map((lane) => lane.ended));
  },

  /** Streams one after the other, each of one frame whose length is true and whose bytes are random. */
  garbage: async (attack) => {
    const count = attack.options.count ?? 16;
    for (let place = 0; place < count; place += 1) {
      const lane = await attack.open();
      if (lane === undefined) continue;
      const bytes = noiseBytes(place, 100);
      await attack.send(lane, Buffer.concat([Buffer.from([bytes.length]), bytes]), 1);
      await lane.ended;
    }
  },

  /** A message of a soul that does not live here. */
  'forged-sender': async (attack) => {
    const lane = await attack.open();
    if (lane === undefined) return;
    await attack.send(lane, encode({ message: { ...attack.options.message(), sender: 'soul:neo' } }), 1);
    await Promise.race([lane.ended, lane.replied(1)]);
  },

  /** Many messages to one address, as fast as the stream takes them. */
  flood: async (attack) => {
    const count = attack.options.count ?? 100_000;
    const frames = [];
    while (frames.length < count) {
      frames.push(encode({ message: attack.options.message() }));
      // The deadline can only come where the event loop turns.
      if (frames.length % 1_000 === 0) await setImmediate();
      attack.signal.throwIfAborted();
    }
    const together = Math.ceil(FLOOD_CHUNK_BYTES / frames[0].length);
    attack.begin = Date.now();
    const lane = await attack.open();
    if (lane === undefined) return;
    for (let open = true; open && attack.sent < count;) {
      const chunk = frames.slice(attack.sent, attack.sent + together);
      open = await attack.send(lane, Buffer.concat(chunk), chunk.length);
    }
    await Promise.race([lane.ended, lane.replied(count)]);
  },
};

/** The names of the behaviours. */
export const KINDS = Object.keys(BEHAVIOURS);

/**
 * Behaves as `kind` says until the node has ended it or answered all, at most until `signal`; gives what
 * was observed. `options`: `message`, which makes one, and `count`, if not the usual number.
 */
export async function observe(kind, link, options, signal) {
  const attack = new Attack(link, options, signal);
  try {
    await until(BEHAVIOURS[kind](attack), signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  const elapsed_ms = Date.now() - attack.begin;
  const answers = await link.isAnswering(ANSWER_MS);
  const connection = await link.isOpen() ? 'open' : 'closed';
  const streams = { open: 0, reset: 0, closed: 0, refused: attack.refused };
  const replies = {};
  let last;
  for (const lane of attack.lanes) {
    streams[lane.state] += 1;
    for (const [name, count] of Object.entries(lane.counts)) replies[name] = (replies[name] ?? 0) + count;
    last = lane.last ?? last;
  }
  return { connection, answers, streams, sent: attack.sent, replies, last, elapsed_ms };
}
