/**
 * Lists as they cross the boundary of a component: words, a fixed number for each element, and bytes, those of one element
 * behind those of the one before. @module
 */
import { Passing } from "./interceptor.js";
import type { Action, Prompt } from "./rules.js";
import type { Turn } from "./soul.js";
import { encode } from "./text.js";
import { Address, Content, KINDS, Message, Refusal, utf8, type MessageId } from "./types.js";

/** Words a message. */
const MESSAGE_WORDS = 16;
/** Words a turn. */
const TURN_WORDS = 5;
/** Words an action. */
const ACTION_WORDS = 3;

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
  return { lengths: bodies.map((body) => body.length), bytes: joined(bodies) };
}

/** What players answered. */
export function actions(heads: Words, bytes: Uint8Array): Action[] {
  const reader = new Reader(bytes);
  const found: Action[] = [];
  for (let at = 0; at + ACTION_WORDS <= heads.length; at += ACTION_WORDS) {
    const length = heads[at + 2] ?? 0;
    found.push({ player: heads[at] ?? 0, seat: heads[at + 1] ?? 0, choice: length > 0 ? reader.take(length - 1) : undefined });
  }
  return found;
}

/** Whom rules ask. */
export function prompts(asked: readonly Prompt[]): { heads: number[]; bytes: Uint8Array } {
  const double = new DataView(new ArrayBuffer(8));
  const heads: number[] = [];
  for (const { player, seat, observation, reward, isFinal } of asked) {
    double.setFloat64(0, reward);
    heads.push(player, seat, observation.length, Number(isFinal), double.getUint32(0), double.getUint32(4));
  }
  return { heads, bytes: joined(asked.map((it) => it.observation)) };
}

/** A message that is not packed, on its way or to a Matrix. */
export function passing(wire: any): Passing {
  const [sender, recipient] = [address(wire.sender), address(wire.recipient)];
  const topic = recipient.kind === "topic" ? recipient.name : undefined;
  const content = new Content(wire.contentType, wire.body);
  return new Passing(recipient, wire.id, sender, topic, wire.inReplyTo ?? undefined, content, Number(wire.sentAt));
}

function address({ tag, val }: { tag: string; val: string }): Address {
  return new Address(KINDS.find((kind) => kind === tag) ?? "client", val);
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
  return bytes;
}
