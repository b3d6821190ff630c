/** What the fake node of `matrix-soul/testing` keeps: buckets and episodes, as the node's interfaces have them. @module */
import { encode } from "./text.js";
import { utf8 } from "./types.js";

/** Keys on a page: few, so that tests see more than one. */
const PAGE = 4;
/** The most episodes of a Soul. */
const EPISODES_MAX = 1000;

/** What an interface fails with. */
export function failed(tag: string, val?: unknown): Error {
  return Object.assign(new Error(`${tag} (see error.payload)`), { payload: { tag, val } });
}

/** What the stores need of the fake node. */
interface Surroundings {
  readonly inside: string;
  readonly nowMs: number;
  isDenied(grant: string): boolean;
}

class Bucket {
  readonly entries = new Map<string, Uint8Array>();

  get = (key: string) => this.entries.get(key);
  set = (key: string, value: Uint8Array) => void this.entries.set(key, value);
  delete = (key: string) => void this.entries.delete(key);
  exists = (key: string) => this.entries.has(key);

  listKeys(cursor: number | undefined): { keys: string[]; cursor: number | undefined } {
    const [keys, start] = [[...this.entries.keys()].sort(), cursor ?? 0];
    const next = start + PAGE;
    return { keys: keys.slice(start, next), cursor: next < keys.length ? next : undefined };
  }
}

/** All buckets of the node: a bucket is there when it is opened. */
export class Buckets {
  readonly #open = new Map<string, Bucket>();

  constructor(readonly node: Surroundings) {}

  open(name: string): Bucket {
    if (this.node.isDenied("keyvalue")) throw failed("access-denied");
    const bucket = this.#open.get(name) ?? new Bucket();
    this.#open.set(name, bucket);
    return bucket;
  }

  increment(bucket: Bucket, key: string, delta: number): number {
    const value = bucket.get(key);
    const total = (value === undefined ? 0 : Number(utf8(value, "the value"))) + delta;
    if (!Number.isInteger(total)) throw failed("other", `the value of \`${key}\` is no number`);
    bucket.set(key, encode(String(total)));
    return total;
  }

  getMany(bucket: Bucket, keys: string[]): ([string, Uint8Array] | undefined)[] {
    return keys.map((key) => {
      const value = bucket.get(key);
      return value && [key, value];
    });
  }

  setMany(bucket: Bucket, entries: [string, Uint8Array][]): void {
    entries.forEach(([key, value]) => bucket.set(key, value));
  }

  deleteMany(bucket: Bucket, keys: string[]): void {
    keys.forEach(bucket.delete);
  }
}

interface Kept {
  id: number;
  at: number;
  recalledAt: number;
  text: string;
  importance: number;
  tags: string[];
  times: number;
  lastAt: number;
}

/** What the Souls of the node remember: found by how many words of the cue they have, and then by importance. */
export class Episodes {
  readonly #kept = new Map<string, Map<number, Kept>>();
  #given = 0;

  constructor(readonly node: Surroundings) {}

  #own(): Map<number, Kept> {
    if (this.node.isDenied("memory")) throw failed("denied", "no grant `memory`");
    const own = this.#kept.get(this.node.inside) ?? new Map<number, Kept>();
    this.#kept.set(this.node.inside, own);
    return own;
  }

  remember({ text, importance, tags }: { text: string; importance: number; tags: string[] }, insteadOf: number[]): number {
    const own = this.#own();
    if (!(importance >= 0 && importance <= 1)) {
      throw failed("invalid", `\`importance\` is ${importance}: it must be from 0 to 1`);
    }
    insteadOf.forEach((id) => own.delete(id));
    const id = ++this.#given;
    const now = this.node.nowMs;
    own.set(id, { id, at: now, recalledAt: now, text, importance, tags, times: 1, lastAt: now });
    return id;
  }

  recall(cue: { text: string }, limit: number): { episode: Kept; score: number }[] {
    const words = cue.text.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (it: Kept) => {
      const said = new Set([...it.text.split(/\s+/), ...it.tags].map((word) => word.toLowerCase()));
      return words.length === 0 ? 1 : words.filter((word) => said.has(word)).length / words.length;
    };
    const found = [...this.#own().values()].filter((it) => fits(it) > 0);
    found.sort((a, b) => fits(b) - fits(a) || b.importance - a.importance || a.id - b.id);
    return found.slice(0, limit).map((it) => {
      it.recalledAt = this.node.nowMs;
      return { episode: { ...it }, score: (fits(it) + it.importance) / 2 };
    });
  }

  forget(id: number): boolean {
    return this.#own().delete(id);
  }

  usage(): { episodes: number; episodesMax: number; bytes: number; bytesMax: number } {
    const own = [...this.#own().values()];
    const bytes = own.reduce((sum, it) => sum + 128 + encode(it.text).length, 0);
    return { episodes: own.length, episodesMax: EPISODES_MAX, bytes, bytesMax: 2 ** 20 };
  }
}
