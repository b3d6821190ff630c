/** The rules of a Matrix. @module */
import { read, type Setting } from "./settings.js";
import type { Reply } from "./soul.js";
import { Stateful, type Migration } from "./stateful.js";
import { encode } from "./text.js";
import { Content, Refusal, type Message, type Said } from "./types.js";

/** What rules are, before a Matrix is started. */
export interface Description {
  /** Of the rules, such as `ipd`. */
  readonly name: string;
  /** Of the rules, as semantic versioning has it. */
  readonly version: string;
  /** The fewest and the most players that they take. */
  readonly players: readonly [least: number, most: number];
  /** Media type of what players are shown; `text/plain` unless told. */
  readonly observations?: string;
  /** Media type of what players answer; `text/plain` unless told. */
  readonly actions?: string;
  /** What may be set: see `matrix-soul/settings`. */
  readonly settings?: Setting<unknown>;
}

/** What a Matrix starts from. */
export class Setup {
  constructor(
    /** JSON; empty means every default. */
    readonly config: string,
    /** The only source of chance: for `Chance.seeded(setup.seed)`. */
    readonly seed: number,
    /** The players' names; a player is its place among them from here on. */
    readonly players: readonly string[],
  ) {}

  /** The settings in `config`. Throws a `Refusal` that names what is wrong. */
  settings<T>(settings: Setting<T>): T {
    return read(settings, this.config);
  }
}

/** Asks a player for an action. */
export interface Prompt {
  /** Whom to ask: a place in the setup's players. */
  readonly player: number;
  /** Which of its seats is asked. */
  readonly seat: number;
  /** What the seat sees. */
  readonly observation: Uint8Array;
  /** What the seat's last action earned. */
  readonly reward: number;
  /** The seat's game is over: the player is told, and its answer dropped. */
  readonly isFinal: boolean;
}

/** A player's answer to a prompt. */
export interface Action {
  /** The player who was asked. */
  readonly player: number;
  /** The seat that was asked. */
  readonly seat: number;
  /** Undefined: the player did not answer in time, or failed. */
  readonly choice: Uint8Array | undefined;
}

/** What a tick led to. Without prompts, and not finished: the next step follows at once. */
export class Outcome {
  /** Whom to ask before the next step. */
  readonly prompts: Prompt[] = [];
  /** What happened, in order. */
  readonly events: { readonly kind: string; readonly content: Content }[] = [];
  /** What emerges: figures of the whole, by dotted names. */
  signals: Record<string, number> = {};
  /** The run is over; prompts that come with it are final ones. */
  finished = false;

  /** Asks a seat of a player for its next action; text counts as its UTF-8. */
  ask(player: number, observation: Uint8Array | string, about: { seat?: number; reward?: number; isFinal?: boolean } = {}): this {
    const seen = typeof observation === "string" ? encode(observation) : observation;
    const { seat = 0, reward = 0, isFinal = false } = about;
    this.prompts.push({ player, seat, observation: seen, reward, isFinal });
    return this;
  }

  /** Tells whoever watches what happened; `kind` is a dotted name, such as `match.finished`. */
  event(kind: string, said: Said): this {
    this.events.push({ kind, content: Content.of(said) });
    return this;
  }
}

/**
 * The rules of a Matrix. They see only what is passed in: no clock, no chance but the seed (`Chance`). The same setup and the same
 * actions give the same outcomes and the same state. An instance that is given a state is not started: the state is all that it
 * goes by.
 */
export abstract class Rules<State = unknown> extends Stateful<State> {
  /** What these rules are. */
  static readonly description: Description;

  /** Sets a Matrix up, and asks for the first actions. A `Refusal` says what is wrong with the setup, and what to change. */
  abstract start(setup: Setup): Outcome;

  /**
   * Advances by one tick. One action comes for each prompt that was not final, in their order. Actions are untrusted: a wrong one
   * is the player's loss. A `Refusal` stops the Matrix, never for what a player did.
   */
  abstract step(actions: readonly Action[]): Outcome;

  /** A player comes while the Matrix runs; its place in the list of players is returned. By default refused. */
  join(player: string): number {
    throw new Refusal(`\`${player}\` cannot join: these rules take players at the start only`);
  }

  /** A player goes while the Matrix runs. By default refused. */
  leave(player: number): void {
    throw new Refusal(`player ${player} cannot leave: these rules keep their players to the end`);
  }

  /** A message sent to the Matrix's address; what is returned is the reply. By default refused. */
  receive(message: Message): Reply {
    throw new Refusal(`these rules take no messages, and so none of ${message.content.contentType}`);
  }

  /**
   * The present state as people would look at it: `Content.svg` or `Content.json`. By default the state itself, which is JSON unless
   * `snapshot` is overridden.
   */
  view(): Content {
    return new Content("application/json", this.snapshot());
  }
}

/** A class that is rules. */
export interface RulesClass {
  new (): Rules<any>;
  readonly schema?: string | undefined;
  readonly migrations?: Readonly<Record<string, Migration>>;
  readonly description: Description;
}

/** A media type of which there are so many, or, for actions, which are these words: Souls that learn from rewards rely on it. */
export function discrete(mediaType: string, of: number | readonly string[]): string {
  if (typeof of === "number") return `${mediaType};discrete=${of}`;
  return `${mediaType};discrete=${of.length};values="${of.join(" ")}"`;
}
