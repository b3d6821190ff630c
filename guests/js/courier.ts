/**
 * Sends the request that it is told, and says what came of it: the status in a line of its own, and what the host said. A message
 * is `METHOD URL`, a line for each header, and behind an empty line the body. Needs the grant `http` for the host, and a node whose
 * operator lets it reach that. @module
 */
import { Refusal, Soul, type Message } from "matrix-soul";
import { request } from "matrix-soul/http";

/** Less than a caller waits for a reply. */
const PATIENCE_MS = 5_000;

export default class Courier extends Soul {
  receive(message: Message): string {
    const { method, url, headers, body } = read(message.text);
    const answer = request(method, url, { headers, body, timeoutMs: PATIENCE_MS });
    return `${answer.status}\n${answer.text()}`;
  }
}

/** What a message wants sent. */
export function read(text: string): { method: string; url: string; headers: [string, string][]; body: string } {
  const end = text.indexOf("\n\n");
  const [head, body] = end < 0 ? [text, ""] : [text.slice(0, end), text.slice(end + 2)];
  const [first = "", ...lines] = head.split("\n");
  const [method, url, ...rest] = first.split(" ");
  if (!method || !url || rest.length > 0) throw new Refusal("say `METHOD URL` in the first line");
  const headers = lines.filter((line) => line !== "").map((line): [string, string] => {
    const colon = line.indexOf(":");
    if (colon < 1) throw new Refusal(`\`${line}\` is no header: write \`Name: value\``);
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return { method, url, headers, body };
}
