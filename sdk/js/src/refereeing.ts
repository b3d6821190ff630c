/** Where the one instance of rules lives inside its component, and how calls reach it. @module */
import type { Functions } from "./guarded.js";
import * as packing from "./packing.js";
import { Setup, type Outcome, type RulesClass, type Rules } from "./rules.js";
import { group } from "./settings.js";
import { Content, Refusal } from "./types.js";

/** The interfaces by which a node reaches rules of this class. */
export function refereeing(inhabitant: RulesClass): Record<string, Functions> {
  let living: Rules<any> | undefined;
  const rules = () => {
    if (living === undefined) throw new Refusal("called before `start`, and without a state to take up");
    return living;
  };
  return {
    rules: {
      describe: () => described(inhabitant),
      start({ config, seed, players }) {
        const made = new inhabitant();
        const outcome = made.start(new Setup(config, Number(seed), [...players]));
        living = made;
        return told(outcome);
      },
      step: ({ heads, bytes }) => told(rules().step(packing.actions(heads, bytes))),
      join: (player) => rules().join(player),
      leave: (player) => rules().leave(player),
      receive(message) {
        const reply = rules().receive(packing.passing(message));
        return reply === undefined || reply === null ? undefined : Content.of(reply);
      },
      view: () => rules().view(),
    },
    stateful: {
      schema: () => inhabitant.schema,
      snapshot: () => rules().snapshot(),
      restore(schema, bytes) {
        const made = new inhabitant();
        made.restore(schema, bytes);
        living = made;
      },
    },
  };
}

function described({ description }: RulesClass): object {
  const { name, version, players, observations = "text/plain", actions = "text/plain", settings = group({}) } = description;
  const [playersMin, playersMax] = players;
  const configSchema = JSON.stringify({ $schema: "https://json-schema.org/draft/2020-12/schema", ...settings.schema });
  return { name, version, observationType: observations, actionType: actions, playersMin, playersMax, configSchema };
}

function told({ prompts, events, signals, finished }: Outcome): object {
  const figures = Object.entries(signals).map(([name, value]) => ({ name, value }));
  return { prompts: packing.prompts(prompts), events, signals: figures, finished };
}
