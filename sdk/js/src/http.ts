/**
 * Requests to hosts outside the realm, by the standard `wasi:http`. It takes the grant `http` and an operator who lets the node
 * reach the host; and it is there while a message is handled or a tick is played.
 *
 * ```js
 * const answer = get(`https://api.example.org/prices/${name}`, { timeoutMs: 2000 });
 * if (answer.status !== 200) throw new Refusal(`${answer.status}: no price`);
 * return answer.text();
 * ```
 *
 * Nobody follows a redirect but the Soul itself, by another request.
 * @module
 */
import { failure, port } from "./host.js";
import { parseJson } from "./json.js";
import { joined } from "./packing.js";
import { encode } from "./text.js";
import { Refusal, utf8 } from "./types.js";

const handler = port("http");
const types = port("httpTypes");

/** How much is written, and read, at a time. */
const CHUNK_BYTES = 4096;
/** Methods that the standard has a case for; others go by their name. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
/** Methods whose body's length is said also where there is none: else it would be sent in chunks, which not every host reads. */
const WITH_BODY = ["POST", "PUT", "PATCH"];

const TEXTS = {
  url: (url: string) => `\`${url}\` is no URL: write \`https://HOST/PATH\``,
  header: (name: string) => `the header \`${name}\` cannot be set so`,
  denied: () => "the request was denied: why stands in the Soul's log",
  prohibited: () => "the host has no address that may be reached (`http.private`)",
  timeout: () => "the host took too long",
  "too-large": () => "it is larger than the node lets it be",
  failed: (why: string) => why,
};
/**
 * Why there is no answer: the URL is none; a header may not be set; the Soul may not send this, or the operator does not let the
 * node; the name has no address that may be reached; it took too long; the body or the answer is too large; or whatever else.
 */
export type HttpErrorKind = keyof typeof TEXTS;
/** Codes of the standard that are told as such; all others are `failed`. */
const KINDS: Readonly<Record<string, HttpErrorKind>> = {
  "HTTP-request-denied": "denied",
  "destination-IP-prohibited": "prohibited",
  "connection-timeout": "timeout",
  "connection-read-timeout": "timeout",
  "connection-write-timeout": "timeout",
  "HTTP-response-timeout": "timeout",
  "HTTP-request-body-size": "too-large",
  "HTTP-response-body-size": "too-large",
  "HTTP-response-header-section-size": "too-large",
};

/** Why a request has no answer. Not caught, it becomes the failure of the message being handled. */
export class HttpError extends Refusal {
  override name = "HttpError";

  constructor(
    /** What went wrong. */
    readonly kind: HttpErrorKind,
    /** Which URL or header it was, or what failed, in words. */
    readonly detail = "",
  ) {
    super(TEXTS[kind](detail));
  }
}

/** A header: its name, and what it says. */
export type Header = readonly [name: string, value: Uint8Array | string];

/** What may be said of a request beside its method and its URL. */
export interface Options {
  /** By name, or in order. `host`, `connection` and the like are the node's to set. */
  readonly headers?: Readonly<Record<string, Uint8Array | string>> | Iterable<Header>;
  /** What is sent along. */
  readonly body?: Uint8Array | string;
  /** Waits for the answer to begin no longer than this; less, where the operator or the deadline of the message has it. */
  readonly timeoutMs?: number;
}

/** An answer. */
export class Response {
  constructor(
    /** Such as 200, or 404. */
    readonly status: number,
    /** Its headers, their names in lower case. */
    readonly headers: readonly (readonly [name: string, value: Uint8Array])[],
    /** What it says. */
    readonly body: Uint8Array,
  ) {}

  /** What the first header of this name says; undefined where there is none. Throws a `Refusal` where that is not UTF-8. */
  header(name: string): string | undefined {
    const found = this.headers.find(([known]) => known === name.toLowerCase());
    return found && utf8(found[1], `the header \`${name}\``);
  }

  /** The body as text. Throws a `Refusal` where it is not UTF-8. */
  text(): string {
    return utf8(this.body, "the answer");
  }

  /** The body, read as JSON. Throws a `Refusal` where it is none. */
  json(): unknown {
    try {
      return parseJson(this.text());
    } catch (error) {
      if (error instanceof Refusal) throw error;
      throw new Refusal(`the answer is not JSON: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/**
 * Sends a request by any method to a URL, `https://HOST[:PORT]/PATH` or `http://…`, and waits for the whole answer; one with any
 * status is an answer. The Soul receives nothing else meanwhile. Throws an `HttpError`.
 */
export function request(method: string, url: string, options: Options = {}): Response {
  const place = placeOf(url);
  if (place === undefined) throw new HttpError("url", url);
  const held = new Held();
  try {
    const body = bytesOf(options.body ?? "");
    const outgoing = held.keep(new types.OutgoingRequest(held.yield(fields(method, options.headers ?? [], body, held))));
    address(outgoing, method, url, place);
    const written = held.keep(outgoing.body());
    const limits = limited(options.timeoutMs, held);
    const future = held.keep(told(() => handler.handle(held.yield(outgoing), limits && held.yield(limits))));
    write(written, body, held);
    return answer(future, held);
  } finally {
    held.end();
  }
}

/** Asks for what is there, as `request` does. */
export function get(url: string, options: Options = {}): Response {
  return request("GET", url, options);
}

/** Hands something over, as `request` does. */
export function post(url: string, body: Uint8Array | string, options: Options = {}): Response {
  return request("POST", url, { ...options, body });
}

/**
 * Resources of the node that a request holds. They go as soon as they have done their part, and all that are left go with the
 * request, the last first: a stream has to go before the body that it belongs to.
 */
class Held {
  readonly #all: any[] = [];

  keep(resource: any): any {
    this.#all.push(resource);
    return resource;
  }

  /** It is handed on, and what becomes of it is no longer decided here. */
  yield(resource: any): any {
    this.#all.splice(this.#all.lastIndexOf(resource), 1);
    return resource;
  }

  drop(resource: any): void {
    this.yield(resource)[Symbol.dispose]();
  }

  end(): void {
    while (this.#all.length > 0) this.drop(this.#all.at(-1));
  }
}

/** What engines have beside the language as the compiler knows it. */
declare const Symbol: SymbolConstructor & { readonly dispose: unique symbol };

/** The parts of a URL. */
interface Place {
  readonly scheme: "HTTP" | "HTTPS";
  readonly authority: string;
  readonly path: string;
}

/** @internal The parts of a URL but for its fragment; undefined: it is none, or not of a scheme that there is. */
export function placeOf(url: string): Place | undefined {
  const [, scheme, authority, path] = /^(https?):\/\/([^/?#]+)([^#]*)/.exec(url) ?? [];
  if (authority === undefined || path === undefined) return undefined;
  return { scheme: scheme === "https" ? "HTTPS" : "HTTP", authority, path: path.startsWith("/") ? path : `/${path}` };
}

/** @internal */
export function bytesOf(said: Uint8Array | string): Uint8Array {
  return typeof said === "string" ? encode(said) : said;
}

function fields(method: string, headers: NonNullable<Options["headers"]>, body: Uint8Array, held: Held): any {
  const saysLength = body.length > 0 || WITH_BODY.includes(method);
  const made = held.keep(new types.Fields());
  const append = (name: string, value: Uint8Array) => {
    try {
      made.append(name, value);
    } catch (error) {
      failure(error);
      throw new HttpError("header", name);
    }
  };
  for (const [name, value] of Symbol.iterator in headers ? headers : Object.entries(headers)) {
    // Two lengths would be one too many.
    if (!saysLength || name.toLowerCase() !== "content-length") append(name, bytesOf(value));
  }
  if (saysLength) append("content-length", encode(String(body.length)));
  return made;
}

function address(outgoing: any, method: string, url: string, place: Place): void {
  try {
    outgoing.setMethod(METHODS.includes(method) ? { tag: method.toLowerCase() } : { tag: "other", val: method });
  } catch {
    throw new HttpError("failed", `\`${method}\` is no method`);
  }
  try {
    outgoing.setScheme({ tag: place.scheme });
    outgoing.setAuthority(place.authority);
    outgoing.setPathWithQuery(place.path);
  } catch {
    // The interface says no more than that it is wrong.
    throw new HttpError("url", url);
  }
}

function limited(timeoutMs: number | undefined, held: Held): any {
  if (timeoutMs === undefined) return undefined;
  const nanoseconds = Math.min(Math.max(Math.round(timeoutMs * 1e6), 0), Number.MAX_SAFE_INTEGER);
  const limits = held.keep(new types.RequestOptions());
  limits.setConnectTimeout(nanoseconds);
  limits.setFirstByteTimeout(nanoseconds);
  return limits;
}

function write(body: any, bytes: Uint8Array, held: Held): void {
  const stream = held.keep(body.write());
  let complete = true;
  try {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) stream.blockingWriteAndFlush(bytes.subarray(at, at + CHUNK_BYTES));
  } catch (error) {
    // Where the node has let go of it, the answer says why.
    const { tag, val } = failure(error);
    if (tag === "last-operation-failed") val[Symbol.dispose]();
    complete = false;
  }
  held.drop(stream);
  if (!complete) return held.drop(body);
  try {
    types.OutgoingBody.finish(held.yield(body), undefined);
  } catch (error) {
    failure(error);
  }
}

function answer(future: any, held: Held): Response {
  const pollable = held.keep(future.subscribe());
  pollable.block();
  held.drop(pollable);
  const come = future.get();
  if (come?.tag !== "ok") throw new HttpError("failed", "no answer came");
  if (come.val.tag === "err") throw coded(come.val.val);
  const response = held.keep(come.val.val);
  const headers = held.keep(response.headers());
  const entries = headers.entries();
  held.drop(headers);
  return new Response(response.status(), entries, read(held.keep(response.consume()), held));
}

function read(body: any, held: Held): Uint8Array {
  const stream = held.keep(body.stream());
  const parts: Uint8Array[] = [];
  try {
    for (;;) parts.push(stream.blockingRead(CHUNK_BYTES));
  } catch (error) {
    const { tag, val } = failure(error);
    if (tag === "closed") return joined(parts);
    const why = held.keep(val);
    const code = types.httpErrorCode(why);
    throw code ? coded(code) : new HttpError("failed", why.toDebugString().split("\n", 1)[0]);
  }
}

function told<R>(call: () => R): R {
  try {
    return call();
  } catch (error) {
    throw coded(failure(error));
  }
}

/** A code of the standard, which is a case with what there is to say of it. */
function coded({ tag, val }: { tag: string; val?: any }): HttpError {
  const kind = KINDS[tag];
  if (kind !== undefined) return new HttpError(kind);
  const parts = typeof val === "object" && val !== null ? Object.values(val) : [val];
  const more = parts.filter((part) => part !== undefined && part !== null).join(" ");
  // What the node has no case for, it says in its own words.
  if (tag === "internal-error" && more !== "") return new HttpError("failed", more);
  return new HttpError("failed", tag.replaceAll("-", " ") + (more && `: ${more}`));
}
