/** Nouns shared by everything: messages, addresses, content. @module */
import { parseJson } from "./json.js";
import { decode, encode } from "./text.js";

/** What can have an address, in the order of the interface. */
export const KINDS = ["soul", "matrix", "topic", "client"] as const;
/** A case of an address. */
export type Kind = (typeof KINDS)[number];

/**
 * Why a Soul does not do what it was asked. The text goes back to whoever asked. Whatever else is thrown is a fault of the
 * Soul's own: it is logged, and the Soul crashes, to come back from its last saved state.
 */
export class Refusal extends Error {
  override name = "Refusal";
}

/** A ULID: 128 bits, most significant part first, 32 bits each. */
export interface MessageId {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** A message's id as ULIDs are written: 26 digits, ordered by time of creation. */
export function ulid(id: MessageId): string {
  let bits = (BigInt(id.a) << 96n) | (BigInt(id.b) << 64n) | (BigInt(id.c) << 32n) | BigInt(id.d);
  let text = "";
  for (let place = 0; place < 26; place++, bits >>= 5n) text = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[Number(bits & 31n)] + text;
  return text;
}

/** Where a message comes from or goes to. Names are location-free. */
export class Address {
  constructor(readonly kind: Kind, readonly name: string) {}

  /** Reads an address as it is written in grants: `soul:ada`, `topic:news`. Throws a `TypeError` where it is none. */
  static parse(text: string): Address {
    const colon = text.indexOf(":");
    const kind = KINDS.find((known) => known === text.slice(0, colon));
    if (colon < 0 || kind === undefined) {
      throw new TypeError(`\`${text}\` is no address: write \`soul:\`, \`matrix:\`, \`topic:\` or \`client:\`, and a name`);
    }
    return new Address(kind, text.slice(colon + 1));
  }

  toString(): string {
    return `${this.kind}:${this.name}`;
  }
}

/** Bytes with their media type. */
export class Content {
  constructor(readonly contentType: string, readonly body: Uint8Array) {}

  /** Text, as `text/plain`. */
  static text(text: string): Content {
    return new Content("text/plain", encode(text));
  }

  /** A picture, as `image/svg+xml`. */
  static svg(document: string): Content {
    return new Content("image/svg+xml", encode(document));
  }

  /** Any value that JSON has, as `application/json`. */
  static json(value: unknown): Content {
    return new Content("application/json", encode(JSON.stringify(value)));
  }

  /** What was said: text and bytes become content of their own type. Throws a `TypeError` where it is none of them. */
  static of(said: Said): Content {
    if (said instanceof Content) return said;
    if (typeof said === "string") return Content.text(said);
    if (said instanceof Uint8Array) return new Content("application/octet-stream", said);
    throw new TypeError(`${typeof said} is no content: give text, a Uint8Array or a Content`);
  }

  /** Whether its media type is one of texts: `text/…`. */
  get isText(): boolean {
    return this.contentType.trimStart().slice(0, 5).toLowerCase() === "text/";
  }

  /** The body as text. Throws a `Refusal` where it is not UTF-8. */
  decode(): string {
    return utf8(this.body, "the body");
  }
}

/** What can be sent, and replied. */
export type Said = string | Uint8Array | Content;

/** One message, as it is received. */
export class Message {
  constructor(
    /** Names this message. */
    readonly id: MessageId,
    /** Who sent it, as the node knows it: a sender cannot forge this. */
    readonly sender: Address,
    /** The topic that it was sent to; undefined: it was sent to this Soul, or this Matrix, itself. */
    readonly topic: string | undefined,
    /** The message that this one answers. */
    readonly inReplyTo: MessageId | undefined,
    /** What it says. */
    readonly content: Content,
    /** Milliseconds since the Unix epoch, on the sending node's clock. */
    readonly sentAt: number,
  ) {}

  /** The body as text. Throws a `Refusal` where it is not UTF-8. */
  get text(): string {
    return this.content.decode();
  }

  /** The body, read as JSON. Throws a `Refusal` where it is none. */
  json(): unknown {
    try {
      return parseJson(this.text);
    } catch (error) {
      throw new Refusal(`the body is not JSON: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** Bytes as text. Throws a `Refusal`, naming `what`, where they are not UTF-8. */
export function utf8(bytes: Uint8Array, what: string): string {
  const text = decode(bytes);
  if (text === undefined) throw new Refusal(`${what} is not text in UTF-8`);
  return text;
}
