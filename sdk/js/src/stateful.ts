/** Classes whose state outlives the instance, and how older states are read. @module */
import { check, dump, parse, type Json } from "./state.js";
import { Refusal } from "./types.js";

/** How a state of an older schema is read. */
export interface Migration {
  /** The schema that it leads to; the present one unless told. */
  readonly to?: string;
  /** Whether it is given bytes, because the old state is no JSON. */
  readonly raw?: boolean;
  /** The old state, as JSON or as bytes, to the new one. Throws a `Refusal` where it is none. */
  readonly read: (old: any) => Json;
}

/** What Souls and rules have in common: a state that is given, and taken up again. */
export abstract class Stateful<State = unknown> {
  /** Names the layout of the state, such as `counter/1`. New layout, new name. Without one nothing is kept over restarts. */
  static readonly schema: string | undefined = undefined;
  /** How states of older schemas are read; they go on from one to the next. */
  static readonly migrations: Readonly<Record<string, Migration>> = {};

  /** All that outlives the instance: plain values, arrays and objects. It begins as an instance begins with it. */
  state?: State;

  /** The whole state as bytes: by default `state` as JSON. The same state gives the same bytes. */
  snapshot(): Uint8Array {
    return dump(this.state);
  }

  /** Takes up a state; older ones go through the migrations first. A `Refusal` says why it cannot: nothing has changed. */
  restore(schema: string, bytes: Uint8Array): void {
    const state = migrated(this.constructor as typeof Stateful, schema, bytes);
    check(state, this.state);
    this.state = state as State;
  }
}

/** The state of the present schema, of bytes of any schema that the class knows. */
function migrated(inhabitant: typeof Stateful, schema: string, bytes: Uint8Array): Json {
  const { schema: present, migrations } = inhabitant;
  if (schema === present) return parse(bytes, schema);
  let [at, state]: [string, Json | undefined] = [schema, undefined];
  // Each migration is gone through once at most: one that leads back to where it came from leads nowhere.
  for (let steps = Object.keys(migrations).length; steps > 0; steps--) {
    const step = migrations[at];
    if (step === undefined) break;
    state = step.read(step.raw ? (state === undefined ? bytes : dump(state)) : (state ?? parse(bytes, at)));
    at = step.to ?? present ?? "";
    if (at === present) return state;
  }
  const readable = [present, ...Object.keys(migrations)].map((it) => `\`${it}\``).join(", ");
  throw new Refusal(`cannot take up ${bytes.length} bytes of schema \`${schema}\`: this code reads ${readable}`);
}
