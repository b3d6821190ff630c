/** Where a Soul meets the node: the interfaces inside a component, a fake node in tests, and otherwise nothing. @module */

const bound = new Map<string, any>();
/** The interfaces that the modules which were loaded take of the node, such as `messaging`. */
export const wanted = new Set<string>();

/** Gives an interface: called by a component's own module, and by fake nodes. */
export function give(name: string, functions: object): void {
  bound.set(name, functions);
}

/** Has functions stand in for an interface during a call: for tests. */
export function given<R>(name: string, functions: object, call: () => R): R {
  const before = bound.get(name);
  bound.set(name, functions);
  try {
    return call();
  } finally {
    bound.set(name, before);
  }
}

/** An interface, to be found when it is called. */
export function port(name: string): any {
  wanted.add(name);
  const find = (_: unknown, key: string | symbol) => {
    const functions = bound.get(name);
    if (functions === undefined) {
      throw new Error(`\`${name}\` is reached inside a node only: in tests, run it in a \`Node\`, a \`Run\` or a \`Stage\` of \`matrix-soul/testing\``);
    }
    const found = functions[key];
    // A fake is an object whose methods need it; a generated namespace does not mind. A class is the same everywhere.
    return typeof found === "function" && found.prototype === undefined ? found.bind(functions) : found;
  };
  return new Proxy({}, { get: find });
}

/** What an interface failed with: a case of its error's variant. Whatever else was thrown is thrown on. */
export function failure(error: unknown): { tag: string; val?: any } {
  const payload = (error as { payload?: unknown } | null)?.payload;
  if (typeof payload === "object" && payload !== null && "tag" in payload) return payload as { tag: string };
  throw error;
}
