// The connection to a node: a key, js-libp2p with TCP, Noise and Yamux, and streams of /matrix/1.0.0.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';

import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';

import { FAILURES, Frames } from './frames.mjs';

export const PROTOCOL = '/matrix/1.0.0';

/** The most streams that this peer opens. */
export const STREAMS_MAX = 10_000;

const SEED_BYTES = 32;

// libp2p calls this function of ES2024 while it runs, never while it loads; Node.js 20 has none.
Promise.withResolvers ??= function withResolvers() {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

/** That the node does not want us, once it has proven who it is. */
export class Refused extends Error {}

/** The Ed25519 key whose seed `file` holds: 32 bytes, drawn and written for its owner only if missing. */
export async function key(file) {
  try {
    writeFileSync(file, randomBytes(SEED_BYTES), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const seed = readFileSync(file);
  if (seed.length !== SEED_BYTES) throw new Error(`a key has ${SEED_BYTES} bytes, and \`${file}\` has ${seed.length}`);
  return generateKeyPairFromSeed('Ed25519', seed);
}

/** A libp2p without listeners. `onSecured` is called when the Noise handshake is done. */
function start(privateKey, onSecured) {
  const watchedNoise = (components) => {
    const encrypter = noise()(components);
    const secure = encrypter.secureOutbound.bind(encrypter);
    encrypter.secureOutbound = async (...given) => {
      const secured = await secure(...given);
      onSecured();
      return secured;
    };
    return encrypter;
  };
  return createLibp2p({
    privateKey,
    transports: [tcp()],
    connectionEncrypters: [watchedNoise],
    streamMuxers: [yamux({ maxOutboundStreams: STREAMS_MAX })],
    services: { identify: identify({ runOnConnectionOpen: false, runOnSelfUpdate: false }) },
    connectionMonitor: { enabled: false },
    nodeInfo: { userAgent: 'matrix-foreign-peer' },
  });
}

/** Waits for `event`; throws `signal`'s reason if it comes first. */
export function until(event, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    event.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    if (signal.aborted) abort();
  });
}

/** A connection to one node. */
export class Link {
  #libp2p;
  #signal;
  #secured = false;

  constructor(signal) {
    this.#signal = signal;
  }

  /** Dials `address`, which ends in `/p2p/` and the node's peer id, and asks the node to identify itself. */
  async open(privateKey, address) {
    if (!/\/p2p\/[^/]+$/.test(address)) throw new Error('--dial: the address must end in `/p2p/` and a peer id');
    this.#libp2p = await start(privateKey, () => { this.#secured = true; });
    try {
      this.connection = await this.#libp2p.dial(multiaddr(address), { signal: this.#signal });
    } catch (error) {
      throw await this.#refusal(error, 'the connection was closed after the noise handshake');
    }
    try {
      const told = await this.#identify(this.#signal);
      this.node = {
        peer: this.connection.remotePeer.toString(),
        agent: told.agentVersion ?? '',
        protocol_version: told.protocolVersion ?? '',
        protocols: told.protocols,
      };
    } catch (error) {
      if (await this.isOpen()) throw error;
      throw await this.#refusal(error, 'the connection was closed before the node identified itself');
    }
  }

  /** A stream of /matrix/1.0.0. */
  async lane() {
    try {
      const options = { signal: this.#signal, maxOutboundStreams: STREAMS_MAX };
      return new Lane(this, await this.connection.newStream(PROTOCOL, options));
    } catch (error) {
      const why = await this.isOpen() ? 'the stream was not negotiated' : 'the connection was closed';
      throw await this.#refusal(error, why);
    }
  }

  /** Whether the connection stands, once what has arrived is taken into account. */
  async isOpen() {
    await setImmediate();
    return this.connection.status === 'open' && this.connection.muxer.status === 'open';
  }

  /** Whether the node still talks to us: asks it once more, for at most `ms` milliseconds. */
  async isAnswering(ms) {
    return this.#identify(AbortSignal.timeout(ms)).then(() => true, () => false);
  }

  /** Ends the connection, if it stands. */
  async end() {
    await until(this.connection.close({ signal: this.#signal }), this.#signal);
  }

  #identify(signal) {
    return this.#libp2p.services.identify.identify(this.connection, { signal });
  }

  /** `error` as a refusal, if the node had proven who it is and our time is not over. */
  async #refusal(error, why) {
    if (!this.#secured || this.#signal.aborted) return error;
    return new Refused(`${why}: ${error.message || error.name}`, { cause: error });
  }
}

/** A stream to a node, and what came of it. */
class Lane {
  /** `open`; `reset` by the node; or `closed`: by the node in order, or with the connection. */
  state = 'open';
  /** How many replies there were of each kind. */
  counts = {};
  /** How many replies there were. */
  replies = 0;
  /** The reply frame that came last. */
  last = undefined;

  #link;
  #stream;
  #frames = new Frames();

  constructor(link, stream) {
    this.#link = link;
    this.#stream = stream;
    /** Resolves when the lane is no longer open; rejects when the node sent what is no reply. */
    this.ended = new Promise((resolve, reject) => {
      const end = (state) => {
        if (this.state === 'open') this.state = state;
        resolve();
      };
      stream.addEventListener('message', ({ data }) => {
        try {
          this.#take(this.#frames.push(data.subarray()));
        } catch (error) {
          reject(error);
          stream.abort(error);
        }
      });
      stream.addEventListener('remoteCloseWrite', () => end('closed'));
      stream.addEventListener('close', ({ error, local }) => end(error && !local ? 'reset' : 'closed'));
      if (stream.status !== 'open') end(stream.status === 'reset' ? 'reset' : 'closed');
      else if (stream.remoteWriteStatus === 'closed') end('closed');
    });
    this.ended.catch(() => {});
  }

  #onReply = () => {};

  #take(frames) {
    for (const { reply } of frames) {
      if (reply === undefined) throw new Error('the node sent a message where only replies can be');
      this.last = reply;
      this.replies += 1;
      const kind = reply.failure === undefined ? Object.keys(reply)[1] : FAILURES[reply.failure.code - 1];
      this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    }
    this.#onReply();
  }

  /** Resolves when there have been `count` replies; one caller at a time. */
  replied(count) {
    return new Promise((resolve) => {
      this.#onReply = () => this.replies >= count && resolve();
      this.#onReply();
    });
  }

  /** Sends bytes, and waits until more can be sent. Gives whether the lane still takes any. */
  async send(bytes, signal) {
    const stream = this.#stream;
    if (stream.writeStatus !== 'writable') return false;
    stream.send(bytes);
    if (stream.writableNeedsDrain) {
      await until(new Promise((resolve) => {
        for (const event of ['drain', 'close']) stream.addEventListener(event, resolve, { once: true });
      }), signal);
    } else {
      await setImmediate();
    }
    return stream.writeStatus === 'writable';
  }

  /** Waits for a reply and gives it; throws `Refused` if the lane ends without one. */
  async reply(signal) {
    await until(Promise.race([this.replied(1), this.ended]), signal);
    if (this.last === undefined) {
      const what = await this.#link.isOpen() ? `stream was ${this.state}` : 'connection was closed';
      throw new Refused(`the ${what} without a reply`);
    }
    return this.last;
  }
}
