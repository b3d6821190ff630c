/**
 * What a Soul remembers (`matrix:node/memory`): kept by the node, replicated, and not lost when code is swapped. It is there,
 * with the grant `memory`, while a message is handled or a tick is played: not at a birth, and not while a state is taken or
 * given. @module
 */
import { failure, port } from "./host.js";
import { Refusal } from "./types.js";

const host = port("memory");

/** Why nothing was remembered, found or forgotten. Not caught, it becomes the failure of the message being handled. */
export class MemoryError extends Refusal {
  override name = "MemoryError";

  constructor(readonly kind: "denied" | "invalid" | "quota-exceeded" | "unavailable", message: string) {
    super(message);
  }
}

/** What else there is to say of what is remembered. */
export interface Impression {
  /** From 0 (trivial) to 1 (life-changing); 0.5 unless told. */
  readonly importance?: number;
  /** Words under which it is found as well; at most 16, of 64 bytes each. */
  readonly tags?: readonly string[];
  /** Where it lies in a space of meanings; at most 1,024 numbers. */
  readonly embedding?: readonly number[];
  /** Episodes that are forgotten in the same step; at most 64. */
  readonly insteadOf?: readonly number[];
}

/** An episode that was found. */
export interface Recollection {
  /** Names it. */
  readonly id: number;
  /** When it was remembered, in milliseconds since the Unix epoch. */
  readonly at: number;
  /** When it was recalled last; the same as `lastAt`: never. */
  readonly recalledAt: number;
  /** What happened, in words. */
  readonly text: string;
  /** From 0 to 1. */
  readonly importance: number;
  /** Words under which it is found as well. */
  readonly tags: readonly string[];
  /** How well it fits, from 0 to 1. */
  readonly score: number;
  /** How often it was remembered: more than once where it took up others that were alike, for want of room. */
  readonly times: number;
  /** When it was remembered last; the same as `at` where that was once. */
  readonly lastAt: number;
}

/** How much is remembered, and how much may be. */
export interface Extent {
  readonly episodes: number;
  readonly episodesMax: number;
  readonly bytes: number;
  readonly bytesMax: number;
}

/** Remembers something, at most 8,192 bytes of text, and returns its name. Throws a `MemoryError`. */
export function remember(text: string, more: Impression = {}): number {
  const { importance = 0.5, tags = [], embedding = [], insteadOf = [] } = more;
  const impression = { text, importance, tags: [...tags], embedding: [...embedding] };
  return Number(called(() => host.remember(impression, [...insteadOf])));
}

/**
 * The episodes that fit these words best, best first: at most `limit`, and at most 64. No words: what is most recent and
 * important. Throws a `MemoryError`.
 */
export function recall(text: string, limit = 8, embedding: readonly number[] = []): Recollection[] {
  const found: any[] = called(() => host.recall({ text, embedding: [...embedding] }, limit));
  return found.map(({ episode: it, score }) => ({
    ...it,
    id: Number(it.id),
    at: Number(it.at),
    recalledAt: Number(it.recalledAt),
    lastAt: Number(it.lastAt),
    score,
  }));
}

/** Forgets an episode; false: there was none. Throws a `MemoryError`. */
export function forget(episode: number): boolean {
  return called(() => host.forget(episode));
}

/** How much is remembered, and how much may be. Throws a `MemoryError`. */
export function usage(): Extent {
  const it = called(() => host.usage());
  return { ...it, bytes: Number(it.bytes), bytesMax: Number(it.bytesMax) };
}

function called(call: () => any): any {
  try {
    return call();
  } catch (error) {
    const { tag, val } = failure(error);
    throw new MemoryError(tag as MemoryError["kind"], String(val ?? "the quota is used up: raise `limits.memory_per_second`"));
  }
}
