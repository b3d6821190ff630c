/** What the parts of the node for tests have in common. @module */
import { encode } from "./text.js";
import { Address, Content } from "./types.js";

/** When the first message of a test is sent: 2001-09-09, 01:46:40 UTC. */
export const BEGINNING_MS = 1_000_000_000_000;

/** An answer that is none: the text that the asker is told. */
export class Failure extends Error {
  override name = "Failure";
}

/** What is thrown where a call is refused; a refusal crosses the boundary of a component as its text alone. */
export function refused<R>(call: () => R): R {
  try {
    return call();
  } catch (error) {
    throw typeof error === "string" ? new Failure(error) : error;
  }
}

/** A message as the generated bindings have it. */
export function wire(content: Content, sender: string, recipient: string): object {
  const [from, to] = [Address.parse(sender), Address.parse(recipient)];
  return {
    id: { a: 0, b: 0, c: 0, d: 1 },
    sender: { tag: from.kind, val: from.name },
    recipient: { tag: to.kind, val: to.name },
    inReplyTo: undefined,
    contentType: content.contentType,
    body: content.body,
    sentAt: BEGINNING_MS,
  };
}

/** Bytes, or text as its UTF-8. */
export function bytesOf(said: Uint8Array | string): Uint8Array {
  return typeof said === "string" ? encode(said) : said;
}

/** Parts, one behind the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
  return bytes;
}
