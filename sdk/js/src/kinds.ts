/** What a class is to a node. @module */
import { Interceptor, type InterceptorClass } from "./interceptor.js";
import { Rules, type RulesClass } from "./rules.js";
import { exportsOfSoul, type SoulClass } from "./soul.js";

/** A class that can be a component. */
export type Inhabitant = SoulClass | RulesClass | InterceptorClass;

/** What a component of a class is, and what crosses its boundary. */
export interface About {
  readonly kind: "soul" | "rules" | "interceptor";
  readonly exports: readonly string[];
  /** What it imports, whatever else its code reaches. */
  readonly imports: readonly string[];
}

/** What a class is. Throws a `TypeError` where it can be no component. */
export function aboutOf(inhabitant: Inhabitant): About {
  const made: unknown = typeof inhabitant === "function" ? inhabitant.prototype : undefined;
  if (made instanceof Rules) {
    const { schema, description } = inhabitant as RulesClass;
    if (schema === undefined) throw new TypeError("rules need a `static schema`, which names the layout of their state");
    if (description === undefined) throw new TypeError("rules need a `static description`, which says what they are");
    return { kind: "rules", exports: ["rules", "stateful"], imports: [] };
  }
  if (made instanceof Interceptor) {
    return { kind: "interceptor", exports: ["interceptor"], imports: made.configured === undefined ? [] : ["config"] };
  }
  const exports = exportsOfSoul(inhabitant as SoulClass);
  if (exports === undefined) throw new TypeError("the default export must be a class that extends `Soul`, `Rules` or `Interceptor`");
  return { kind: "soul", exports, imports: [] };
}
