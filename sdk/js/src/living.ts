/** Where the one instance of a Soul lives inside its component, and how calls reach it. @module */
import * as clock from "./clock.js";
import type { Functions } from "./guarded.js";
import * as packing from "./packing.js";
import { Experience, type Learner, type Player, type Soul, type SoulClass } from "./soul.js";
import { Content, Refusal, type Message } from "./types.js";

/** The interfaces by which a node reaches a Soul of this class. */
export function living(inhabitant: SoulClass): Record<string, Functions> {
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

function answer(soul: () => Soul<any>, read: () => Message): unknown {
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
