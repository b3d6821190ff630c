/** The hosts outside of the fake node of `matrix-soul/testing`: canned answers, or functions that answer. @module */
import { interfaces, type Came, type Sent } from "./hosts-wasi.js";
import { bytesOf, HttpError, placeOf, type HttpErrorKind, type Options } from "./http.js";

/** A request as a host has it: the names of headers in lower case, the URL without its fragment. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: Uint8Array])[];
  readonly body: Uint8Array;
  /** How long it may take until the answer begins; undefined: as long as the node lets it. */
  readonly timeoutMs: number | undefined;
}

/** What a host says: the body of an answer of status 200, or those parts of an answer that it wants to set. */
export type Told = Uint8Array | string | (Pick<Options, "headers" | "body"> & { readonly status?: number });

/** What there is at a URL: always the same, or what a function makes of the request. The function may throw an `HttpError`. */
export type HostAnswer = Told | ((asked: Asked) => Told);

/** What the node says for a kind of error. */
const CODES: Readonly<Partial<Record<HttpErrorKind, string>>> = {
  denied: "HTTP-request-denied",
  prohibited: "destination-IP-prohibited",
  timeout: "HTTP-response-timeout",
  "too-large": "HTTP-response-body-size",
};

/** Whom the Souls of the node can send requests to: the hosts of which a test serves a URL. */
export class Hosts {
  readonly #answers = new Map<string, HostAnswer>();
  readonly #known = new Set<string>();
  /** What was asked. */
  readonly asked: Asked[] = [];
  /** Why requests were denied, which a node writes to the Soul's log. */
  readonly refused: string[] = [];
  /** @internal Resources of the interfaces that are held. */
  readonly held = { count: 0 };

  constructor(private readonly node: { isDenied(grant: string): boolean }) {}

  /** From now on there is this at a URL, by whatever method; with any query, unless the URL has one. */
  serve(url: string, answer: HostAnswer): void {
    const place = placeOf(url);
    if (place === undefined) throw new HttpError("url", url);
    this.#known.add(`${place.scheme}://${place.authority}`);
    this.#answers.set(urlOf(place), answer);
  }

  /** @internal What the node gives. */
  interfaces(): { handler: object; types: object } {
    return interfaces(this.held, { allows: (sent) => this.#allows(sent), answers: (sent, body) => this.#answered(sent, body) });
  }

  #allows({ scheme, authority }: Sent): boolean {
    const host = `${scheme.toLowerCase()}://${authority}`;
    const why = this.node.isDenied("http")
      ? `no grant: add "${host}" to \`grants.http\` of the Soul's manifest`
      : `\`${host}\` is not among \`http.hosts\` of the node's configuration`;
    const allowed = !this.node.isDenied("http") && this.#known.has(`${scheme}://${authority}`);
    if (!allowed) this.refused.push(why);
    return allowed;
  }

  #answered(sent: Sent, body: Uint8Array): Came {
    const url = urlOf(sent);
    const timeoutMs = sent.timeout === undefined ? undefined : sent.timeout / 1e6;
    const asked = { method: sent.method, url, headers: sent.headers, body, timeoutMs };
    this.asked.push(asked);
    const answer = this.#answers.get(url) ?? this.#answers.get(url.split("?", 1)[0]!) ?? { status: 404 };
    try {
      const told = typeof answer === "function" ? answer(asked) : answer;
      const parts = typeof told === "string" || told instanceof Uint8Array ? { body: told } : told;
      const { status = 200, headers = [], body = "" } = parts;
      const all = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
      const named = all.map(([name, value]) => [name.toLowerCase(), bytesOf(value)] as const);
      return { status, headers: named, body: bytesOf(body) };
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      return { failed: { tag: CODES[error.kind] ?? "internal-error", val: CODES[error.kind] ? undefined : error.message } };
    }
  }
}

function urlOf({ scheme, authority, path }: { scheme: string; authority: string; path: string }): string {
  return `${scheme.toLowerCase()}://${authority}${path}`;
}
