/** Runs the code that a component carries, where the component is an interpreter: in the place of what a build puts into it. @module */
import type { Functions } from "./guarded.js";
import { port } from "./host.js";
import type { Inhabitant } from "./kinds.js";
import { decode } from "./text.js";

const host = port("program");

/** The functions of each interface that a component may export. */
const FUNCTIONS: Record<string, readonly string[]> = {
  agent: ["init", "receive"],
  stateful: ["schema", "snapshot", "restore"],
  player: ["act"],
  learner: ["train", "evaluate"],
  rules: ["describe", "start", "step", "join", "leave", "receive", "view"],
  interceptor: ["outbound", "inbound"],
};

/** What a module gives. */
type Module = Record<string, unknown>;

/** Runs a module whose imports were made calls of `require`: the class that it exports as `default`. */
export function run(code: string, modules: Record<string, Module>): Inhabitant {
  const require = (name: string): Module => {
    const found = modules[name];
    if (found === undefined) throw new Error(`\`${name}\` cannot be imported: a component has the modules of \`matrix-soul\`, and what is bundled`);
    return found;
  };
  const exports: Module = {};
  new Function("require", "exports", `"use strict";${code}`)(require, exports);
  return exports["default"] as Inhabitant;
}

/** The class that the component carries. */
export function carried(modules: Record<string, Module>): Inhabitant {
  const code = decode(host.read());
  if (code === undefined || code === "") throw new Error("this component is an interpreter, and carries no code");
  return run(code, modules);
}

/**
 * The interfaces of these names, by which calls reach what `live` makes with the first of them. `complain` is told why that could
 * not be made.
 */
export function entrances(
  names: readonly string[],
  live: () => Record<string, Functions>,
  complain: (fault: unknown) => void,
): Record<string, Functions> {
  let made: Record<string, Functions> | undefined;
  const living = () => {
    try {
      return (made ??= live());
    } catch (fault) {
      complain(fault);
      throw fault;
    }
  };
  const entrance = (name: string, call: string) => [call, (...given: any[]) => living()[name]?.[call]?.(...given)];
  const all = (name: string) => [name, Object.fromEntries((FUNCTIONS[name] ?? []).map((call) => entrance(name, call)))];
  return Object.fromEntries(names.map(all));
}
