/**
 * A node for tests: Souls run in it as in a node, without WebAssembly.
 *
 * ```js
 * const node = new Node();
 * const tally = node.spawn(Counter, { name: "tally" });
 * assert.equal(tally.ask("add 3"), "3");
 * tally.restart();
 * assert.equal(tally.ask("get"), "3");
 * ```
 *
 * Rules run in a `Run`, and messages pass an interceptor in a `Stage`.
 *
 * Every call passes what it passes in a component: messages are packed, states are bytes. Grants and quotas are not checked
 * unless a test denies them. `Date` and `Math.random` are the test's own: `clock` has what a Soul would see. @module
 */
import * as clock from "./clock.js";
import { exportsFor } from "./component.js";
import type { Functions } from "./guarded.js";
import { give } from "./host.js";
import { Hosts } from "./hosts.js";
import { Experience, type Metrics, type SoulClass } from "./soul.js";
import { Services } from "./services.js";
import { Buckets, Episodes, failed } from "./stores.js";
import { BEGINNING_MS, Failure, joined, refused } from "./testing-types.js";
import { encode } from "./text.js";
import { Address, Content, KINDS, Refusal, type MessageId, type Said } from "./types.js";

/** More words of a chain of messages than a test has. */
const HOPS_MAX = 16;

/** How a Soul is born in a test. */
export interface Manifest {
  readonly name?: string;
  readonly config?: Readonly<Record<string, string>>;
  readonly persona?: { description?: string; traits?: string[]; values?: Record<string, number> };
  readonly seed?: number;
}

/** One turn of a tick: the seat, what it sees, what its last action earned, and whether its game is over. */
export type TestTurn = readonly [seat: number, observation: Uint8Array, reward?: number, isFinal?: boolean];

/** A Soul in a fake node. */
export class Resident {
  #calls: Record<string, Functions> = {};
  readonly name: string;

  /** @internal */
  constructor(readonly node: Node, private inhabitant: SoulClass, private readonly manifest: Manifest) {
    this.name = manifest.name ?? "soul";
    this.#begin();
  }

  /** Sends a message; the reply as text, or undefined. Throws a `Failure`. */
  ask(said: Said, sender = "client:test", topic = ""): string | undefined {
    const reply = this.askAll([said], sender, topic)[0];
    if (reply instanceof Failure) throw reply;
    return reply?.decode();
  }

  /** Sends messages that arrive as one batch; one answer each, in order. */
  askAll(said: readonly Said[], sender = "client:test", topic = ""): (Content | Failure | undefined)[] {
    const batch = this.node.pack(said.map(Content.of), Address.parse(sender), topic);
    const results: any[] = this.#enter("agent", "receive", batch);
    return results.map(({ tag, val }) => (tag === "err" ? new Failure(val) : val));
  }

  /** Plays one tick. Throws a `Failure`. */
  act(matrix: string, tick: number, turns: readonly TestTurn[]): Uint8Array[] {
    const heads = turns.flatMap(([seat, observation, reward = 0, isFinal = false]) => {
      const double = new DataView(new ArrayBuffer(8));
      double.setFloat64(0, reward);
      return [seat, observation.length, Number(isFinal), double.getUint32(0), double.getUint32(4)];
    });
    const decided = this.#enter("player", "act", matrix, tick, { heads, bytes: joined(turns.map((turn) => turn[1])) });
    let at = 0;
    return decided.lengths.map((length: number) => decided.bytes.slice(at, (at += length)));
  }

  /** Trains a copy, as a node does, and takes up its state. Throws a `Failure`. */
  train(batch: readonly Experience[]): Metrics {
    const copy = new Resident(this.node, this.inhabitant, this.manifest);
    copy.restore(...this.snapshot());
    const figures = named(copy.#enter("learner", "train", batch));
    this.restore(...copy.snapshot());
    return figures;
  }

  /** Measures. Throws a `Failure`. */
  evaluate(batch: readonly Experience[]): Metrics {
    return named(this.#enter("learner", "evaluate", batch));
  }

  /** The schema and the bytes of its state. */
  snapshot(): [schema: string, bytes: Uint8Array] {
    return [this.#enter("stateful", "schema"), this.#enter("stateful", "snapshot")];
  }

  /** Gives it a state. Throws a `Failure`. */
  restore(schema: string, bytes: Uint8Array): void {
    this.#enter("stateful", "restore", schema, bytes);
  }

  /** Another instance of the same code, with the same state if it keeps one. */
  restart(): void {
    this.swap(this.inhabitant);
  }

  /** New code, with the state of the old. Throws a `Failure`, and the old code goes on. */
  swap(inhabitant: SoulClass): void {
    const state = "stateful" in this.#calls ? this.snapshot() : undefined;
    const [old, calls] = [this.inhabitant, this.#calls];
    this.inhabitant = inhabitant;
    try {
      this.#begin();
      if (state !== undefined && "stateful" in this.#calls) this.restore(...state);
    } catch (error) {
      [this.inhabitant, this.#calls] = [old, calls];
      throw error;
    }
  }

  #begin(): void {
    this.#calls = exportsFor(this.inhabitant, (fault) => this.node.faults.push(fault));
    const { persona = {}, config = {}, seed = 1 } = this.manifest;
    const values = Object.entries(persona.values ?? {}).map(([name, weight]) => ({ name, weight }));
    const told = { description: persona.description ?? "", traits: persona.traits ?? [], values };
    this.#enter("agent", "init", { name: this.name, persona: told, config: Object.entries(config), seed });
  }

  #enter(name: string, call: string, ...given: unknown[]): any {
    const found = this.#calls[name]?.[call];
    if (found === undefined) throw new Failure(`\`${this.inhabitant.name}\` does not export \`${name}\``);
    return this.node.entered(this.name, () => refused(() => found(...given)));
  }
}

/** A node without grants, quotas and time: `nowMs` stands still until a test moves it. */
export class Node {
  nowMs = BEGINNING_MS;
  /** What was sent to nobody who lives here, to topics too. */
  readonly sent: { sender: string; to: string; content: Content }[] = [];
  /** What was published. */
  readonly events: { source: string; kind: string; content: Content }[] = [];
  /** What each Soul subscribes to. */
  readonly topics = new Map<string, Set<string>>();
  /** What was thrown that is no refusal. */
  readonly faults: unknown[] = [];
  /** What Souls can call. */
  readonly services = new Services(this);
  /** Whom Souls can send requests to. */
  readonly hosts = new Hosts(this);
  readonly #souls = new Map<string, Resident>();
  readonly #denied = new Set<string>();
  readonly #inside: string[] = [];
  #messages = 0;

  constructor() {
    const buckets = new Buckets(this);
    const deliver = (to: any, content: Content) => this.#deliver(to, content);
    const topics = () => this.topics.get(this.inside) ?? this.topics.set(this.inside, new Set()).get(this.inside)!;
    give("messaging", {
      send: (to: any, content: Content) => this.#send(to, content),
      ask: deliver,
      subscribe: (topic: string) => void topics().add(topic),
      unsubscribe: (topic: string) => void topics().delete(topic),
    });
    give("events", { emit: (kind: string, content: Content) => this.events.push({ source: this.inside, kind, content }) });
    give("memory", new Episodes(this));
    give("grpc", this.services);
    const { handler, types } = this.hosts.interfaces();
    give("http", handler);
    give("httpTypes", types);
    for (const name of ["store", "atomics", "batch"]) give(name, buckets);
  }

  /** A new Soul. Throws a `Failure` where it is not born. */
  spawn(inhabitant: SoulClass, manifest: Manifest = {}): Resident {
    const soul = new Resident(this, inhabitant, manifest);
    this.#souls.set(soul.name, soul);
    return soul;
  }

  /** From now on there is no grant for this: `memory`, `keyvalue`, or an address such as `soul:ada`. */
  deny(grant: string): void {
    this.#denied.add(grant);
  }

  /** Whether a test denied it. */
  isDenied(grant: string): boolean {
    return this.#denied.has(grant);
  }

  /** The Soul that is entered. */
  get inside(): string {
    return this.#inside.at(-1) ?? "";
  }

  /** @internal */
  entered<R>(name: string, call: () => R): R {
    this.#inside.push(name);
    clock.moveTo(this.nowMs);
    try {
      return call();
    } finally {
      this.#inside.pop();
    }
  }

  /** @internal */
  pack(said: readonly Content[], sender: Address, topic: string): { heads: number[]; bytes: Uint8Array } {
    const parts: Uint8Array[] = [];
    const heads = said.flatMap((content) => {
      const pieces = [encode(sender.name), encode(topic), encode(content.contentType), content.body];
      parts.push(...pieces);
      const time = [Math.floor(this.nowMs / 2 ** 32), this.nowMs >>> 0];
      const lengths = pieces.map((piece) => piece.length);
      return [0, 0, 0, ++this.#messages, KINDS.indexOf(sender.kind), ...lengths, 0, 0, 0, 0, ...time, 0];
    });
    return { heads, bytes: joined(parts) };
  }

  #deliver(to: { tag: string; val: string }, content: Content): Content | undefined {
    const address = `${to.tag}:${to.val}`;
    if (this.isDenied(address)) throw failed("denied", `no grant for \`${address}\``);
    if (this.#inside.length > HOPS_MAX) throw failed("too-many-hops");
    const soul = to.tag === "soul" ? this.#souls.get(to.val) : undefined;
    if (soul === undefined) throw failed("unknown-recipient");
    const answer = soul.askAll([content], `soul:${this.inside}`)[0];
    if (answer instanceof Failure) throw failed("failed", answer.message);
    return answer;
  }

  #send(to: { tag: string; val: string }, content: Content): MessageId {
    if (to.tag !== "soul") this.sent.push({ sender: this.inside, to: `${to.tag}:${to.val}`, content });
    else {
      try {
        this.#deliver(to, content);
      } catch (error) {
        // Who sends does not learn what became of the message.
        if ((error as any)?.payload?.tag !== "failed") throw error;
      }
    }
    return { a: 0, b: 0, c: 0, d: ++this.#messages };
  }
}

/** Something to learn from, taught by a person. */
export function experience(input: string, output: string, reward?: number, id = 1): Experience {
  return new Experience(id, "user", encode(input), encode(output), reward, BEGINNING_MS);
}

function named(figures: { name: string; value: number }[]): Metrics {
  return Object.fromEntries(figures.map(({ name, value }) => [name, value]));
}

export { BEGINNING_MS, clock, encode, Failure, Refusal };
export { Run, Stage, type Choice, type TestSetup } from "./testing-rules.js";
