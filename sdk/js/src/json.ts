/** JSON that is somebody else's: the engine inside a component reads what is nested deeply at the cost of its stack. @module */

/** How deep arrays and objects may be nested. */
const DEPTH_MAX = 128;

/** A text as a value of JSON. Throws a `SyntaxError` where it is none, or nested deeper than 128. */
export function parseJson(text: string): unknown {
  const opened = text.split("[").length + text.split("{").length - 2;
  if (opened > DEPTH_MAX && depth(text) > DEPTH_MAX) throw new SyntaxError(`JSON may be nested ${DEPTH_MAX} deep, and no deeper`);
  return JSON.parse(text);
}

/** How deep a text of JSON is nested, at least where it is none. */
function depth(text: string): number {
  let [deep, deepest] = [0, 0];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === "[" || token === "{") deepest = Math.max(deepest, ++deep);
    else if (token === "]" || token === "}") deep--;
  }
  return deepest;
}
