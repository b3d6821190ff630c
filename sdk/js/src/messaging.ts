/** Messages to Souls, Matrices, topics and clients, wherever they run (`matrix:node/messaging`). @module */
import { failure, port } from "./host.js";
import { Address, Content, Refusal, type MessageId, type Said } from "./types.js";

const host = port("messaging");
/** The longest time that can be waited for a reply, in milliseconds. */
const WAIT_MAX_MS = 2 ** 32 - 1;

/** Which way a message was not accepted, or not answered. */
export type SendErrorKind =
  | "unknown-recipient"
  | "denied"
  | "mailbox-full"
  | "unreachable"
  | "too-large"
  | "deadline-exceeded"
  | "quota-exceeded"
  | "too-many-hops"
  | "failed";

/** Why a message was not accepted, or not answered. Not caught, it becomes the failure of the message being handled. */
export class SendError extends Refusal {
  override name = "SendError";

  constructor(readonly kind: SendErrorKind, message: string) {
    super(message);
  }
}

/** Sends a message; `to` may be written as `soul:ada`. Returns once it is accepted. Throws a `SendError`. */
export function send(to: Address | string, said: Said): MessageId {
  const address = addressOf(to);
  return called(address, () => host.send(wire(address), Content.of(said)));
}

/**
 * Sends a message and waits for its reply, up to `timeoutMs`; undefined: the recipient had nothing to say. The Soul receives
 * nothing else meanwhile. Throws a `SendError`: why there is no reply, and not whether the recipient acted on the message.
 */
export function ask(to: Address | string, said: Said, timeoutMs: number): Content | undefined {
  const address = addressOf(to);
  const within = Math.max(0, Math.min(Math.trunc(timeoutMs), WAIT_MAX_MS));
  const reply = called(address, () => host.ask(wire(address), Content.of(said), within));
  return reply ? new Content(reply.contentType, reply.body) : undefined;
}

/** Receives, from now on, what is sent to this topic. Throws a `SendError`. */
export function subscribe(topic: string): void {
  called(new Address("topic", topic), () => host.subscribe(topic));
}

/** Ends a subscription; ending one that does not exist is no error. Throws a `SendError`. */
export function unsubscribe(topic: string): void {
  called(new Address("topic", topic), () => host.unsubscribe(topic));
}

function addressOf(to: Address | string): Address {
  return typeof to === "string" ? Address.parse(to) : to;
}

function wire(to: Address): object {
  return { tag: to.kind, val: to.name };
}

function called<R>(to: Address, call: () => R): R {
  try {
    return call();
  } catch (error) {
    const { tag, val } = failure(error);
    const texts: Record<SendErrorKind, string> = {
      "unknown-recipient": `nobody is called \`${to}\``,
      denied: String(val),
      "mailbox-full": `the mailbox of \`${to}\` is full: try later`,
      unreachable: `the node of \`${to}\` does not answer`,
      "too-large": `the body is larger than ${val} bytes`,
      "deadline-exceeded": `\`${to}\` did not answer in time`,
      "quota-exceeded": "the quota of messages is used up for now",
      "too-many-hops": "the chain of messages that led here is too long",
      failed: String(val),
    };
    const kind = tag as SendErrorKind;
    throw new SendError(kind, texts[kind]);
  }
}
