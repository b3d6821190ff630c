/**
 * `wasi:http` as the fake node has it. It minds what the component model minds: what is gone is of no use, and nothing goes
 * before what belongs to it. @module
 */
import { failed } from "./stores.js";
import { joined } from "./testing-types.js";

type Headers = readonly (readonly [name: string, value: Uint8Array])[];

/** A request, but for its body. */
export interface Sent {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly headers: Headers;
  /** In nanoseconds. */
  readonly timeout: number | undefined;
}

/** What comes of it: an answer, or a code of the standard. */
export type Came =
  | { readonly status: number; readonly headers: Headers; readonly body: Uint8Array }
  | { readonly failed: { readonly tag: string; readonly val?: unknown } };

/** Who decides over requests, and answers them. */
interface World {
  allows(sent: Sent): boolean;
  answers(sent: Sent, body: Uint8Array): Came;
}

/** Headers that are the node's. */
const FORBIDDEN = ["connection", "host", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization",
  "proxy-connection", "transfer-encoding", "upgrade"];
/** What a name and a method are written in. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
/** The most that is written at a time. */
const WRITTEN_MAX = 4096;

declare const Symbol: SymbolConstructor & { readonly dispose: unique symbol };

class Resource {
  #children = 0;
  #gone = false;

  constructor(readonly count: { count: number }, readonly parent?: Resource) {
    this.count.count++;
    if (parent !== undefined) parent.use().#children++;
  }

  /** Itself, as long as it is there. */
  use(): this {
    if (this.#gone) throw new Error(`${this.constructor.name} is gone`);
    return this;
  }

  [Symbol.dispose](): void {
    this.use();
    if (this.#children > 0) throw new Error(`${this.constructor.name} goes before what belongs to it`);
    this.#gone = true;
    this.count.count--;
    if (this.parent !== undefined) this.parent.#children--;
  }

  /** Itself, which is no longer the guest's. */
  taken(): this {
    this[Symbol.dispose]();
    return this;
  }
}

class Fields extends Resource {
  all: (readonly [string, Uint8Array])[] = [];

  append(name: string, value: Uint8Array): void {
    if (!TOKEN.test(name) || value.some((byte) => (byte < 32 && byte !== 9) || byte === 127)) throw failed("invalid-syntax");
    if (FORBIDDEN.includes(name.toLowerCase())) throw failed("forbidden");
    this.use().all.push([name.toLowerCase(), value.slice()]);
  }

  entries(): (readonly [string, Uint8Array])[] {
    return this.use().all;
  }
}

/** Sets one part, or throws as a function does whose error has nothing to say. */
function part(fits: boolean): void {
  if (!fits) throw Object.assign(new Error("wrong"), { payload: undefined });
}

class OutgoingRequest extends Resource {
  sent = { method: "GET", scheme: "HTTPS", authority: "", path: "/" };
  written: OutgoingBody | undefined;

  constructor(count: { count: number }, readonly headers: Fields) {
    super(count);
    headers.taken();
  }

  body(): OutgoingBody {
    return (this.written = new OutgoingBody(this.use().count));
  }

  setMethod({ tag, val }: { tag: string; val?: string }): void {
    this.use().sent.method = val ?? tag.toUpperCase();
    part(TOKEN.test(this.sent.method));
  }

  setScheme({ tag }: { tag: string }): void {
    this.use().sent.scheme = tag;
  }

  setAuthority(authority: string): void {
    this.use().sent.authority = authority;
    part(/^[\w.:@[\]~!$&'()*+,;=%-]+$/.test(authority));
  }

  setPathWithQuery(path: string): void {
    this.use().sent.path = path;
    part(!/[\x00-\x20\x7f]/.test(path));
  }
}

class RequestOptions extends Resource {
  timeout: number | undefined;

  setConnectTimeout(timeout: number): void {
    this.use().timeout = timeout;
  }

  setFirstByteTimeout(timeout: number): void {
    this.use().timeout = timeout;
  }
}

class OutgoingBody extends Resource {
  parts: Uint8Array[] = [];
  isComplete = false;
  /** The node has let go of it: nothing can be written. */
  isClosed = false;

  write(): OutputStream {
    return new OutputStream(this.count, this.use());
  }

  static finish(body: OutgoingBody): void {
    body.taken().isComplete = true;
  }
}

class OutputStream extends Resource {
  constructor(count: { count: number }, readonly body: OutgoingBody) {
    super(count, body);
  }

  blockingWriteAndFlush(bytes: Uint8Array): void {
    if (bytes.length > WRITTEN_MAX) throw new Error(`${WRITTEN_MAX} bytes are written at a time, and no more`);
    if (this.use().body.isClosed) throw failed("closed");
    this.body.parts.push(bytes.slice());
  }
}

class Pollable extends Resource {
  block(): void {
    this.use();
  }
}

class FutureIncomingResponse extends Resource {
  constructor(count: { count: number }, readonly answer: () => Came) {
    super(count);
  }

  subscribe(): Pollable {
    return new Pollable(this.count, this.use());
  }

  get(): { tag: string; val: object } {
    const came = this.use().answer();
    if (!("failed" in came)) return { tag: "ok", val: { tag: "ok", val: new IncomingResponse(this.count, came, undefined) } };
    // That an answer is too large turns out while it is read.
    if (came.failed.tag !== "HTTP-response-body-size") return { tag: "ok", val: { tag: "err", val: came.failed } };
    const begun = { status: 200, headers: [], body: new Uint8Array() };
    return { tag: "ok", val: { tag: "ok", val: new IncomingResponse(this.count, begun, came.failed) } };
  }
}

class IncomingResponse extends Resource {
  constructor(count: { count: number }, readonly came: Exclude<Came, { failed: unknown }>, readonly broken: object | undefined) {
    super(count);
  }

  status(): number {
    return this.use().came.status;
  }

  headers(): Fields {
    const fields = new Fields(this.count, this.use());
    fields.all = [...this.came.headers];
    return fields;
  }

  consume(): IncomingBody {
    return new IncomingBody(this.count, this.use());
  }
}

class IncomingBody extends Resource {
  constructor(count: { count: number }, readonly of: IncomingResponse) {
    super(count, of);
  }

  stream(): InputStream {
    return new InputStream(this.count, this.use());
  }
}

class InputStream extends Resource {
  #at = 0;

  constructor(count: { count: number }, readonly body: IncomingBody) {
    super(count, body);
  }

  blockingRead(most: number): Uint8Array {
    const { came, broken } = this.use().body.of;
    const read = came.body.slice(this.#at, this.#at + most);
    this.#at += read.length;
    if (read.length > 0) return read;
    throw broken === undefined ? failed("closed") : failed("last-operation-failed", new IoError(this.count, broken));
  }
}

class IoError extends Resource {
  constructor(count: { count: number }, readonly code: object) {
    super(count);
  }
}

/** The interfaces; `count` tells how many resources of them are held. */
export function interfaces(count: { count: number }, world: World): { handler: object; types: object } {
  const handle = (request: OutgoingRequest, options: RequestOptions | undefined) => {
    const { sent, headers, written } = request.taken();
    if (written === undefined) throw new Error("who sends a request has to take its body before");
    const whole = { ...sent, headers: headers.all, timeout: options?.taken().timeout };
    written.isClosed = !world.allows(whole);
    return new FutureIncomingResponse(count, () => {
      if (written.isClosed) return { failed: { tag: "HTTP-request-denied" } };
      if (!written.isComplete) throw new Error("who waits for an answer has to finish the body before");
      return world.answers(whole, joined(written.parts));
    });
  };
  const types = {
    Fields: class extends Fields { constructor() { super(count); } },
    OutgoingRequest: class extends OutgoingRequest { constructor(headers: Fields) { super(count, headers); } },
    RequestOptions: class extends RequestOptions { constructor() { super(count); } },
    OutgoingBody,
    httpErrorCode: (error: IoError) => error.use().code,
  };
  return { handler: { handle }, types };
}
