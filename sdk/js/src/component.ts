/** What a class is inside its component, whatever it is: for tests. A component has the part that is its own. @module */
import { guarded, type Functions } from "./guarded.js";
import type { InterceptorClass } from "./interceptor.js";
import { judging } from "./judging.js";
import { aboutOf, type Inhabitant } from "./kinds.js";
import { living } from "./living.js";
import { refereeing } from "./refereeing.js";
import type { RulesClass } from "./rules.js";
import type { SoulClass } from "./soul.js";

/** The interfaces by which a node reaches a component of this class, by name. `complain` is told of faults before they end it. */
export function exportsFor(inhabitant: Inhabitant, complain: (fault: unknown) => void): Record<string, Functions> {
  const { kind, exports } = aboutOf(inhabitant);
  const made = {
    soul: () => living(inhabitant as SoulClass),
    rules: () => refereeing(inhabitant as RulesClass),
    interceptor: () => judging(inhabitant as InterceptorClass),
  }[kind]();
  return guarded(Object.fromEntries(exports.map((name) => [name, made[name] ?? {}])), complain);
}
