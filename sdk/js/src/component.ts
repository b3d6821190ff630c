/** Where the one instance of what a component is lives, and how calls reach it. @module */
import * as clock from "./clock.js";
import { judging } from "./judging.js";
import { aboutOf, type Inhabitant } from "./kinds.js";
import type { InterceptorClass } from "./interceptor.js";
import * as packing from "./packing.js";
import type { RulesClass } from "./rules.js";
import { refereeing } from "./refereeing.js";
import { Experience, type Learner, type Player, type Soul, type SoulClass } from "./soul.js";
import { Content, Refusal } from "./types.js";

/** The functions of one interface. */
export type Functions = Record<string, (...given: any[]) => any>;

/** The interfaces by which a node reaches a component of this class, by name. `complain` is told of faults before they end it. */
export function exportsFor(inhabitant: Inhabitant, complain: (fault: unknown) => void): Record<string, Functions> {
  const { kind, exports } = aboutOf(inhabitant);
  const made = {
    soul: () => living(inhabitant as SoulClass),
    rules: () => refereeing(inhabitant as RulesClass),
    interceptor: () => judging(inhabitant as InterceptorClass),
  }[kind]();
  const guarded = (functions: Functions): Functions => {
    const entries = Object.entries(functions).map(([name, call]) => [name, (...given: any[]) => entered(call, given, complain)]);
    return Object.fromEntries(entries);
  };
  return Object.fromEntries(exports.map((name) => [name, guarded(made[name] ?? {})]));
}

function living(inhabitant: SoulClass): Record<string, Functions> {
  let living: (Soul<any> & Player & Partial<Learner>) | undefined;
  const soul = () => {
    if (living === undefined) throw new Refusal("called before `init`: a node gives birth to a Soul before anything else");
    return living;
  };
  const learn = (step: "train" | "evaluate") => (batch: any[]) => {
    const learner = soul();
    const figures = learner[step]?.(batch.map(experience));
    if (figures === undefined) throw new Refusal(`the Soul has no \`${step}\``);
    return Object.entries(figures).map(([name, value]) => ({ name, value }));
  };
  return {
    agent: {
      init(birth) {
        clock.seed(Number(birth.seed));
        const { description, traits, values } = birth.persona;
        const weights = new Map<string, number>(values.map((it: any) => [it.name, it.weight]));
        const persona = { description, traits, values: weights };
        const born: Soul<any> = new inhabitant();
        born.born?.({ name: birth.name, persona, config: new Map(birth.config), seed: Number(birth.seed) });
        living = born;
      },
      receive: ({ heads, bytes }) => packing.messages(heads, bytes, (message) => answer(soul, message)),
    },
    stateful: {
      schema: () => inhabitant.schema,
      snapshot: () => soul().snapshot(),
      restore: (schema, bytes) => soul().restore(schema, bytes),
    },
    player: {
      act(matrix, tick, { heads, bytes }) {
        const player = soul();
        const turns = packing.turns(matrix, Number(tick), heads, bytes);
        const decided = player.actAll?.(turns) ?? turns.map((turn) => player.act?.(turn) ?? "");
        return packing.choices(decided, turns.length);
      },
    },
    learner: { train: learn("train"), evaluate: learn("evaluate") },
  };
}

function answer(soul: () => Soul<any>, read: () => import("./types.js").Message): unknown {
  try {
    const message = read();
    clock.moveTo(message.sentAt);
    const reply = soul().receive(message);
    return { tag: "ok", val: reply === undefined || reply === null ? undefined : Content.of(reply) };
  } catch (error) {
    if (error instanceof Refusal) return { tag: "err", val: error.message };
    throw error;
  }
}

function experience(it: any): Experience {
  return new Experience(Number(it.id), it.source, it.input, it.output, it.reward ?? undefined, Number(it.at));
}

/** A call whose refusal is told as the interface has it, and whose fault is complained of before it ends the instance. */
function entered(call: (...given: any[]) => any, given: any[], complain: (fault: unknown) => void): any {
  try {
    return call(...given);
  } catch (error) {
    if (error instanceof Refusal) throw error.message;
    complain(error);
    throw error;
  }
}
