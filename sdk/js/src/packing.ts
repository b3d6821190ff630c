/**
 * Lists as they cross the boundary of a component: words, a fixed number for each element, and bytes, those of one element
 * behind those of the one before. @module
 */
import type { Turn } from "./soul.js";
import { encode } from "./text.js";
import { Address, Content, KINDS, Message, Refusal, utf8, type MessageId } from "./types.js";

/** Words a message. */
const MESSAGE_WORDS = 16;
/** Words a turn. */
const TURN_WORDS = 5;

type Words = ArrayLike<number>;

/** Takes bytes off the front of a packed list. */
class Reader {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  take(count: number): Uint8Array {
    const end = this.#at + count;
    if (end > this.bytes.length) throw new Refusal("a packed list holds fewer bytes than its words say");
    const taken = this.bytes.slice(this.#at, end);
    this.#at = end;
    return taken;
  }

  text(count: number): string {
    return utf8(this.take(count), "a name or a media type");
  }
}

/** Calls `visit` with each message of a batch. One that cannot be read is an error of its own, and so are those behind it. */
export function messages<R>(heads: Words, bytes: Uint8Array, visit: (message: () => Message) => R): R[] {
  const reader = new Reader(bytes);
  const found: R[] = [];
  for (let at = 0; at + MESSAGE_WORDS <= heads.length; at += MESSAGE_WORDS) {
    found.push(visit(() => message((word) => heads[at + word] ?? 0, reader)));
  }
  return found;
}

function message(word: (place: number) => number, reader: Reader): Message {
  const id = (first: number): MessageId => ({ a: word(first), b: word(first + 1), c: word(first + 2), d: word(first + 3) });
  const name = reader.text(word(5));
  const topic = reader.text(word(6));
  const content = new Content(reader.text(word(7)), reader.take(word(8)));
  const answered = id(9);
  const isAnswer = Object.values(answered).some((part) => part !== 0);
  const sender = new Address(KINDS[word(4)] ?? "client", name);
  const sentAt = word(13) * 2 ** 32 + word(14);
  return new Message(id(0), sender, topic || undefined, isAnswer ? answered : undefined, content, sentAt);
}

/** What a player sees. */
export function turns(matrix: string, tick: number, heads: Words, bytes: Uint8Array): Turn[] {
  const reader = new Reader(bytes);
  const double = new DataView(new ArrayBuffer(8));
  const found: Turn[] = [];
  for (let at = 0; at + TURN_WORDS <= heads.length; at += TURN_WORDS) {
    const word = (place: number) => heads[at + place] ?? 0;
    double.setUint32(0, word(3));
    double.setUint32(4, word(4));
    const observation = reader.take(word(1));
    found.push({ matrix, tick, seat: word(0), observation, reward: double.getFloat64(0), isFinal: word(2) !== 0 });
  }
  return found;
}

/** What a player decides, for so many turns. */
export function choices(decided: readonly (Uint8Array | string)[], count: number): { lengths: number[]; bytes: Uint8Array } {
  if (decided.length !== count) throw new Refusal(`${decided.length} actions for ${count} turns: each turn needs one`);
  const bodies = decided.map((it) => (typeof it === "string" ? encode(it) : it));
  const lengths = bodies.map((body) => body.length);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  bodies.reduce((at, body) => (bytes.set(body, at), at + body.length), 0);
  return { lengths, bytes };
}
