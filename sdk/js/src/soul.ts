/** What makes a class a Soul. @module */
import { Stateful, type Migration } from "./stateful.js";
import { utf8, type Message, type Said } from "./types.js";

/** What handling a message leads to: a reply, or nothing. */
export type Reply = Said | null | undefined | void;

/** Who a Soul is, as its manifest says. */
export interface Persona {
  /** In a sentence or two. */
  readonly description: string;
  /** Words that describe it. */
  readonly traits: readonly string[];
  /** What it seeks (up to 1) and shuns (down to -1). */
  readonly values: ReadonlyMap<string, number>;
}

/** What a Soul is told when an instance of it comes to life. */
export interface Birth {
  /** Its name, unique in the realm. */
  readonly name: string;
  /** Who it is. */
  readonly persona: Persona;
  /** The Soul's own settings, from its manifest. */
  readonly config: ReadonlyMap<string, string>;
  /** The one source of chance: `Math.random` goes by it. */
  readonly seed: number;
}

/** A Soul: it is born, and it receives. One message at a time; nothing interrupts it. */
export abstract class Soul<State = unknown> extends Stateful<State> {
  /**
   * Called once for each instance, before anything else; a saved state is given afterwards. A `Refusal` says which part of
   * the manifest is wrong: the Soul then does not start.
   */
  born?(birth: Birth): void;

  /** Handles one message; what is returned is the reply. A `Refusal` goes back to the sender. */
  abstract receive(message: Message): Reply;
}

/** What one seat sees at one tick. */
export interface Turn {
  /** The Matrix. */
  readonly matrix: string;
  /** The tick, from 0. */
  readonly tick: number;
  /** The seat that this turn is for: a player may hold many. */
  readonly seat: number;
  /** What there is to see, in the rules' observation type. */
  readonly observation: Uint8Array;
  /** What the last action in this seat earned. */
  readonly reward: number;
  /** No action will follow: the seat's game is over, and what is returned is dropped. */
  readonly isFinal: boolean;
}

/** A Soul that can take part in a Matrix has one of these; `actAll` comes first. A `Refusal` costs all turns of the tick. */
export interface Player {
  /** Decides one turn, in the rules' action type. */
  act?(turn: Turn): Uint8Array | string;
  /** Decides all turns of one tick of one Matrix: one action a turn, in order. */
  actAll?(turns: readonly Turn[]): (Uint8Array | string)[];
}

/** Where an experience comes from. */
export type Source = "user" | "api" | "conversation" | "matrix";

/** Something to learn from. */
export class Experience {
  constructor(
    /** Its place in the Soul's log: from 1, each one once. */
    readonly id: number,
    /** Where it comes from. */
    readonly source: Source,
    /** What was said or seen. */
    readonly input: Uint8Array,
    /** What was, or should have been, the answer. */
    readonly output: Uint8Array,
    /** How good the answer was, from -1 to 1 where people judge; undefined: it is not known. */
    readonly reward: number | undefined,
    /** Milliseconds since the Unix epoch. */
    readonly at: number,
  ) {}

  /** What was said or seen, as text. Throws a `Refusal` where it is not UTF-8. */
  get inputText(): string {
    return utf8(this.input, "the input");
  }

  /** The answer, as text. Throws a `Refusal` where it is not UTF-8. */
  get outputText(): string {
    return utf8(this.output, "the output");
  }

  /** How much the answer counts: its reward, 1 where none is known. */
  get weight(): number {
    return this.reward ?? 1;
  }
}

/** Figures by name. */
export type Metrics = Record<string, number>;

/**
 * A Soul that learns from experience. The node trains a copy of it, which is given the Soul's state and answers nobody: so all
 * that is learnt belongs to the state.
 */
export interface Learner {
  /** Learns from a batch, in order; the figures say how it went. A `Refusal`: nothing of it is kept. */
  train(batch: readonly Experience[]): Metrics;
  /** Measures, by experience that is never trained on: at least `loss`, unless the manifest says otherwise. */
  evaluate(batch: readonly Experience[]): Metrics;
}

/** A class that is a Soul. */
export interface SoulClass {
  new (): Soul<any>;
  readonly schema?: string | undefined;
  readonly migrations?: Readonly<Record<string, Migration>>;
}

/** The interfaces that a component of the class exports; undefined: it is no Soul. */
export function exportsOfSoul(inhabitant: SoulClass): string[] | undefined {
  const made: unknown = typeof inhabitant === "function" ? inhabitant.prototype : undefined;
  if (!(made instanceof Soul)) return undefined;
  const has = (method: string) => typeof (made as unknown as Record<string, unknown>)[method] === "function";
  const found = ["agent"];
  if (inhabitant.schema !== undefined) found.push("stateful");
  if (has("act") || has("actAll")) found.push("player");
  if (has("train") || has("evaluate")) found.push("learner");
  return found;
}
