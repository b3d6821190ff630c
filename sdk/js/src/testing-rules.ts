/** Rules and interceptors in tests: `matrix-soul/testing` hands them on. @module */
import { exportsFor } from "./component.js";
import type { Functions } from "./guarded.js";
import { give, given } from "./host.js";
import type { InterceptorClass } from "./interceptor.js";
import * as packing from "./packing.js";
import type { Prompt, RulesClass } from "./rules.js";
import { bytesOf, Failure, joined, refused, wire } from "./testing-types.js";
import { Content, type Said } from "./types.js";

/** More ticks than a run of a test has. */
const TICKS_MAX = 1_000_000;

/** A player's answer: undefined, where none comes in time. */
export type Choice = Uint8Array | string | undefined;

/** How a Matrix is set up in a test. */
export interface TestSetup {
  /** Their names, or how many there are; two unless told. */
  readonly players?: number | readonly string[];
  /** The settings, as JSON or as a value of it. */
  readonly config?: string | object;
  readonly seed?: number;
}

type Calls = Record<string, Functions>;

/**
 * A Matrix in a test: what is asked and answered passes what it passes in a component.
 *
 * ```js
 * const run = new Run(Coin, { players: ["ada", "bob"], config: { rounds: 3 } });
 * run.play(() => "heads");
 * assert.ok(run.finished);
 * ```
 *
 * At each tick another instance is given the state and takes the same step: a run that is taken up elsewhere must go on alike. Where
 * it does not, and where a node would not carry an outcome out, the test fails with a `Failure`.
 */
export class Run {
  /** The players' names. */
  readonly players: string[];
  /** Whom the rules ask now. */
  prompts: Prompt[] = [];
  /** The figures of the last tick. */
  signals: Record<string, number> = {};
  /** All that happened. */
  readonly events: { readonly kind: string; readonly content: Content }[] = [];
  finished = false;
  /** How many ticks there were. */
  ticks = 0;
  /** What was thrown that is no refusal. */
  readonly faults: unknown[] = [];
  #calls: Calls;

  constructor(private inhabitant: RulesClass, { players = 2, config = "", seed = 1 }: TestSetup = {}) {
    this.players = typeof players === "number" ? Array.from({ length: players }, (_, it) => `player-${it}`) : [...players];
    this.#calls = this.#made(inhabitant);
    const text = typeof config === "string" ? config : JSON.stringify(config);
    this.#take(this.#enter(this.#calls, "rules", "start", { config: text, seed, players: [...this.players] }));
  }

  /** What the rules say of themselves. */
  describe(): Record<string, any> {
    return this.#enter(this.#calls, "rules", "describe");
  }

  /** One tick. A function says what each prompt is answered. Throws a `Failure` where the rules refuse. */
  step(decide: (prompt: Prompt) => Choice): void {
    const bodies: Uint8Array[] = [];
    const heads = this.prompts.filter((prompt) => !prompt.isFinal).flatMap((prompt) => {
      const choice = decide(prompt);
      const body = choice === undefined ? undefined : bytesOf(choice);
      if (body !== undefined) bodies.push(body);
      return [prompt.player, prompt.seat, body === undefined ? 0 : body.length + 1];
    });
    const actions = { heads, bytes: joined(bodies) };
    const twin = this.#restored(this.inhabitant);
    const told = this.#enter(this.#calls, "rules", "step", actions);
    const other = this.#enter(twin, "rules", "step", actions);
    if (shown(told) !== shown(other) || shown(this.#state(this.#calls)) !== shown(this.#state(twin))) {
      throw new Failure(`after tick ${this.ticks}, an instance that was given the state went on in another way`);
    }
    this.ticks++;
    this.#take(told);
  }

  /** Steps until the run is over. */
  play(decide: (prompt: Prompt) => Choice): void {
    while (!this.finished) {
      if (this.ticks === TICKS_MAX) throw new Failure(`the run is not over after ${TICKS_MAX} ticks`);
      this.step(decide);
    }
  }

  /** Sends the Matrix a message; the reply as text, or undefined. Throws a `Failure`. */
  ask(said: Said, sender = "client:test"): string | undefined {
    return this.#enter(this.#calls, "rules", "receive", wire(Content.of(said), sender, "matrix:test"))?.decode();
  }

  /** A player comes. Throws a `Failure`. */
  join(player: string): number {
    const place: number = this.#enter(this.#calls, "rules", "join", player);
    this.players[place] = player;
    return place;
  }

  /** A player goes. Throws a `Failure`. */
  leave(player: number): void {
    this.#enter(this.#calls, "rules", "leave", player);
  }

  /** What people see. */
  view(): Content {
    return this.#enter(this.#calls, "rules", "view");
  }

  /** The schema and the bytes of the state. */
  snapshot(): [schema: string, bytes: Uint8Array] {
    return this.#state(this.#calls);
  }

  /** Gives the rules a state. Throws a `Failure`. */
  restore(schema: string, bytes: Uint8Array): void {
    this.#enter(this.#calls, "stateful", "restore", schema, bytes);
  }

  /** Another instance of the same code, with the same state. */
  restart(): void {
    this.swap(this.inhabitant);
  }

  /** New code, with the state of the old. Throws a `Failure`, and the old code goes on. */
  swap(inhabitant: RulesClass): void {
    this.#calls = this.#restored(inhabitant);
    this.inhabitant = inhabitant;
  }

  #made(inhabitant: RulesClass): Calls {
    return exportsFor(inhabitant, (fault) => this.faults.push(fault));
  }

  #restored(inhabitant: RulesClass): Calls {
    const made = this.#made(inhabitant);
    this.#enter(made, "stateful", "restore", ...this.#state(this.#calls));
    return made;
  }

  #state(calls: Calls): [string, Uint8Array] {
    return [this.#enter(calls, "stateful", "schema"), this.#enter(calls, "stateful", "snapshot")];
  }

  #enter(calls: Calls, name: string, call: string, ...arguments_: unknown[]): any {
    const emit = (kind: string, content: Content) => calls === this.#calls && this.events.push({ kind, content });
    return given("events", { emit }, () => refused(() => calls[name]?.[call]?.(...arguments_)));
  }

  /** Takes an outcome up as a node does. */
  #take({ prompts, signals, events, finished }: any): void {
    this.prompts = read(prompts, this.players.length);
    for (const { name, value } of signals) {
      if (!Number.isFinite(value)) throw new Failure(`the signal \`${name}\` is ${value}: leave it out while it is no number`);
    }
    for (const { kind } of events) {
      if (!/^[a-z0-9._-]{1,64}$/.test(kind)) {
        throw new Failure(`the kind of an event is \`${kind}\`: use a dotted name of [a-z0-9._-]`);
      }
    }
    this.signals = Object.fromEntries(signals.map(({ name, value }: any) => [name, value]));
    this.events.push(...events);
    this.finished = finished;
  }
}

/** What the rules asked, as a node reads it. */
function read({ heads, bytes }: { heads: number[]; bytes: Uint8Array }, players: number): Prompt[] {
  const askers = heads.filter((_, place) => place % 6 === 0);
  const turns = packing.turns("test", 0, heads.filter((_, place) => place % 6 !== 0), bytes);
  const seats = new Set<string>();
  return turns.map(({ seat, observation, reward, isFinal }, place) => {
    const player = askers[place] ?? 0;
    if (player >= players) {
      throw new Failure(`player ${player} is asked, and there are ${players}: ask by places in the setup's list, from 0`);
    }
    if (seats.has(`${player} ${seat}`)) throw new Failure(`seat ${seat} of player ${player} is asked twice in one tick`);
    if (!Number.isFinite(reward)) throw new Failure(`the reward of seat ${seat} of player ${player} is ${reward}`);
    seats.add(`${player} ${seat}`);
    return { player, seat, observation, reward, isFinal };
  });
}

/** A value in which two that differ differ. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_, it) => (it instanceof Uint8Array ? [...it] : Object.is(it, -0) ? "-0" : it));
}

/**
 * An interceptor in a test.
 *
 * ```js
 * const stage = new Stage(Mask, { words: "zion" });
 * assert.equal(stage.outbound("to zion").decode(), "to ***");
 * ```
 */
export class Stage {
  /** What was thrown that is no refusal. */
  readonly faults: unknown[] = [];
  readonly #calls: Calls;

  constructor(inhabitant: InterceptorClass, private readonly settings: Readonly<Record<string, string>> = {}) {
    this.#calls = exportsFor(inhabitant, (fault) => this.faults.push(fault));
  }

  /** What becomes of a message that leaves: the content with which it goes on. Throws a `Failure` where it is rejected. */
  outbound(said: Said, sender = "soul:ada", recipient = "soul:bob"): Content {
    return this.#judged("outbound", Content.of(said), sender, recipient);
  }

  /** What becomes of a message that arrives. */
  inbound(said: Said, sender = "soul:ada", recipient = "soul:bob"): Content {
    return this.#judged("inbound", Content.of(said), sender, recipient);
  }

  #judged(way: string, said: Content, sender: string, recipient: string): Content {
    const config = { getAll: () => Object.entries(this.settings) };
    const { tag, val } = given("config", config, () => this.#calls["interceptor"]?.[way]?.(wire(said, sender, recipient)));
    if (tag === "reject") throw new Failure(val);
    return tag === "pass" ? said : new Content(val.contentType, val.body);
  }
}

