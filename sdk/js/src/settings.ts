/**
 * Settings of rules: what there is, how it is read from JSON, and its JSON Schema.
 *
 * ```ts
 * const settings = group({ turns: integer(200, { min: 1, max: 1000 }), tie: word("all", ["all", "none"]) });
 * ```
 * @module
 */
import { parseJson } from "./json.js";
import { Refusal } from "./types.js";

/** A setting: what it is where nothing is said, how people are told of it, and how it is read. */
export interface Setting<T> {
  readonly byDefault: T;
  readonly schema: Readonly<Record<string, unknown>>;
  /** Throws a `Refusal` that begins with the setting's name. */
  read(value: unknown, name: string): T;
}

/** What is said of a setting. */
export interface About {
  /** For people: what it is for. */
  readonly description?: string;
}

/** The least and the most that a number may be. */
export interface Bounds extends About {
  readonly min?: number;
  readonly max?: number;
}

/** The values that settings have. */
export type Values<T> = T extends Setting<infer Value> ? Value : never;

/** Whether something is so. */
export function flag(byDefault: boolean, about: About = {}): Setting<boolean> {
  return plain(byDefault, "boolean", (value): value is boolean => typeof value === "boolean", about);
}

/** A text. */
export function text(byDefault: string, about: About = {}): Setting<string> {
  return plain(byDefault, "string", (value): value is string => typeof value === "string", about);
}

/** A number. */
export function number(byDefault: number, bounds: Bounds = {}): Setting<number> {
  return bounded(plain(byDefault, "number", (value): value is number => Number.isFinite(value), bounds), bounds);
}

/** A whole number, which a double holds exactly. */
export function integer(byDefault: number, bounds: Bounds = {}): Setting<number> {
  return bounded(plain(byDefault, "integer", (value): value is number => Number.isSafeInteger(value), bounds), bounds);
}

/** One of some words. */
export function word<Word extends string>(byDefault: Word, words: readonly Word[], about: About = {}): Setting<Word> {
  const schema = { enum: words, default: byDefault, ...about };
  const read = (value: unknown, name: string): Word => {
    const found = words.find((it) => it === value);
    if (found === undefined) {
      throw new Refusal(`config: \`${name}\` is ${shown(value)}: it must be one of ${words.map((it) => `\`${it}\``).join(", ")}`);
    }
    return found;
  };
  return { byDefault, schema, read };
}

/** Settings in an object. */
export function group<Parts extends Readonly<Record<string, Setting<any>>>>(
  parts: Parts,
  about: About = {},
): Setting<{ [Name in keyof Parts]: Values<Parts[Name]> }> {
  type Whole = { [Name in keyof Parts]: Values<Parts[Name]> };
  const entries = Object.entries(parts);
  const byDefault = Object.fromEntries(entries.map(([name, part]) => [name, part.byDefault])) as Whole;
  const properties = Object.fromEntries(entries.map(([name, part]) => [name, part.schema]));
  const schema = { type: "object", additionalProperties: false, properties, default: byDefault, ...about };
  const read = (value: unknown, name: string): Whole => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new Refusal(`config: ${name === "" ? "settings are" : `\`${name}\` is`} ${shown(value)}: it must be an object`);
    }
    const inside = name === "" ? "" : `${name}.`;
    const strange = Object.keys(value).find((key) => !Object.hasOwn(parts, key));
    if (strange !== undefined) {
      const known = Object.keys(parts).join(", ") || "none";
      throw new Refusal(`config: there is no setting \`${inside}${strange.slice(0, 40)}\`: there are ${known}`);
    }
    const given = value as Record<string, unknown>;
    const values = entries.map(([key, part]) => {
      return [key, Object.hasOwn(given, key) ? part.read(given[key], `${inside}${key}`) : part.byDefault];
    });
    return Object.fromEntries(values) as Whole;
  };
  return { byDefault, schema, read };
}

/** Settings in a text of JSON; an empty one stands for all defaults. Throws a `Refusal` that names what is wrong. */
export function read<T>(settings: Setting<T>, json: string): T {
  let value: unknown;
  try {
    value = parseJson(json.trim() === "" ? "{}" : json);
  } catch (error) {
    throw new Refusal(`config: no JSON: ${error instanceof Error ? error.message : error}`);
  }
  return settings.read(value, "");
}

function plain<T>(byDefault: T, type: string, is: (value: unknown) => value is T, about: About): Setting<T> {
  const told = about.description === undefined ? {} : { description: about.description };
  const read = (value: unknown, name: string): T => {
    if (!is(value)) throw new Refusal(`config: \`${name}\` is ${shown(value)}: it must be ${type}`);
    return value;
  };
  return { byDefault, schema: { type, default: byDefault, ...told }, read };
}

function bounded(setting: Setting<number>, { min, max }: Bounds): Setting<number> {
  const [least, most] = [min ?? -Infinity, max ?? Infinity];
  const read = (value: unknown, name: string): number => {
    const found = setting.read(value, name);
    if (found < least || found > most) throw new Refusal(`config: \`${name}\` is ${found}: it must be from ${least} to ${most}`);
    return found;
  };
  const bounds = { ...(min === undefined ? {} : { minimum: min }), ...(max === undefined ? {} : { maximum: max }) };
  return { ...setting, schema: { ...setting.schema, ...bounds }, read };
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`;
}
