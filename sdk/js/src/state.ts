/** The state of a Soul as bytes: JSON with sorted keys, because the same state must give the same bytes. @module */
import { parseJson } from "./json.js";
import { encode } from "./text.js";
import { Refusal, utf8 } from "./types.js";

/** What a state may be made of. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A state as bytes. Throws a `Refusal` where it holds what JSON has not, and says where. */
export function dump(state: unknown): Uint8Array {
  return encode(written(state, "state"));
}

/** Bytes as a state. Throws a `Refusal` where they are no JSON. */
export function parse(bytes: Uint8Array, schema: string): Json {
  try {
    return parseJson(utf8(bytes, "the state")) as Json;
  } catch (error) {
    throw new Refusal(`not a state of schema \`${schema}\`: ${error instanceof Error ? error.message : error}`);
  }
}

/** Throws a `Refusal` unless a state has the fields of the one that a Soul is born with, each of the same kind. */
export function check(state: Json, born: unknown): void {
  if (kind(state) !== kind(born)) throw new Refusal(`the state is ${kind(state)}, and should be ${kind(born)}`);
  if (kind(born) !== "an object") return;
  const [found, wanted] = [state as Record<string, Json>, born as Record<string, unknown>];
  for (const key of new Set([...Object.keys(found), ...Object.keys(wanted)])) {
    if (!Object.hasOwn(found, key) || !Object.hasOwn(wanted, key)) {
      throw new Refusal(`the state and the class differ in \`${key}\`: a new layout needs a new schema`);
    }
    // What begins as null may become anything.
    if (wanted[key] !== null && kind(found[key]) !== kind(wanted[key])) {
      throw new Refusal(`\`${key}\` is ${kind(found[key])}, and should be ${kind(wanted[key])}`);
    }
  }
}

function kind(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function written(value: unknown, where: string): string {
  if (Array.isArray(value)) return `[${value.map((it, at) => written(it, `${where}[${at}]`)).join(",")}]`;
  if (value !== null && typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${fields.map(([key, it]) => `${JSON.stringify(key)}:${written(it, `${where}.${key}`)}`).join(",")}}`;
  }
  const plain = value === null || ["boolean", "string"].includes(typeof value) || Number.isFinite(value);
  if (!plain) throw new Refusal(`${where} is ${String(value)}, which JSON cannot hold`);
  return JSON.stringify(value);
}
