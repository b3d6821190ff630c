/**
 * Counts. `add N` adds N and answers the sum; `get` answers the count. Both are text, and so is the answer, so that a person can
 * talk to it from the command line.
 *
 * It takes up what the counter in Rust counted: that one's state has another layout, and so another schema. @module
 */
import { Refusal, Soul, type Message } from "matrix-soul";

export default class Counter extends Soul<{ count: number }> {
  static override readonly schema = "counter/2";
  static override readonly migrations = { "counter/1": { raw: true, read: fromRust } };
  override state = { count: 0 };

  receive(message: Message): string {
    const words = message.text.split(/\s+/).filter(Boolean);
    if (words.length === 2 && words[0] === "add") this.state.count = added(this.state.count, words[1] ?? "");
    else if (words.length !== 1 || words[0] !== "get") throw new Refusal("say `add N` or `get`");
    return String(this.state.count);
  }
}

/** The sum. Throws a `Refusal` where `text` is no number, or the sum too large to be exact. */
function added(count: number, text: string): number {
  if (!/^[0-9]{1,20}$/.test(text)) {
    throw new Refusal(`\`${text.slice(0, 40)}\` cannot be added: it must be a whole number, and none below zero`);
  }
  const sum = count + Number(text);
  if (!Number.isSafeInteger(sum)) throw new Refusal(`${count} + ${text} is more than 53 bits hold`);
  return sum;
}

/** Seven bits a byte, the lowest first; the highest bit says that more follow. */
function fromRust(bytes: Uint8Array): { count: number } {
  const count = bytes.reduce((sum, byte, place) => sum + (byte & 0x7f) * 2 ** (7 * place), 0);
  const ends = bytes.findIndex((byte) => byte < 0x80);
  if (ends !== bytes.length - 1 || bytes.length === 0 || !Number.isSafeInteger(count)) {
    throw new Refusal("not a state of schema `counter/1`, or a count beyond 53 bits");
  }
  return { count };
}
