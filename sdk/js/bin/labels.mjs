// What a component says of itself: name, version, authors, licences, in the sections that `wasm-tools metadata` and registries
// read.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What can be said. All but the name stand in a section each, of that name: the annotations of OCI. */
export const KEYS = ["name", "version", "authors", "description", "licenses", "source", "homepage", "revision"];

const COMPONENT = Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);
const OWN_NAME = 0;

/**
 * What the nearest `package.json` says, in the folder or above it; without a name, as a package may have many Souls. One that is
 * this SDK's own says nothing of a Soul.
 */
export function ofPackage(folder) {
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, "package.json");
    if (existsSync(file)) return ofManifest(JSON.parse(readFileSync(file, "utf8")));
    if (dirname(at) === at) return {};
  }
}

function ofManifest(it) {
  if (it.name === "matrix-soul") return {};
  const person = (author) =>
    typeof author === "string" ? author : [author.name, author.email && `<${author.email}>`].filter(Boolean).join(" ");
  const said = {
    version: it.version,
    authors: [it.author, ...(it.contributors ?? [])].filter(Boolean).map(person).join(", "),
    description: it.description,
    licenses: it.license,
    source: url(typeof it.repository === "string" ? it.repository : it.repository?.url),
    homepage: url(it.homepage),
  };
  return Object.fromEntries(Object.entries(said).filter(([, text]) => typeof text === "string" && text !== ""));
}

/** What other tools take for an address: they refuse a component that has anything else there. */
const url = (text) => (text?.includes("://") ? text.replace(/^git\+/, "") : undefined);

/**
 * The component with this label. What it says replaces what the component said; `producers` ([role, name, version]) are added.
 */
export function written(component, label, producers) {
  const [kept, names, made] = [[COMPONENT], [], new Map()];
  const add = ([role, name, version]) => made.set(role, (made.get(role) ?? new Map()).set(name, version));
  for (const { whole, name, data } of sections(Buffer.from(component))) {
    if (name === "component-name" && "name" in label) {
      names.push(...parts(data).filter((part) => part[0] !== OWN_NAME));
    } else if (name === "producers") {
      producersOf(data).forEach(add);
    } else if (name === undefined || name === "name" || !(name in label)) {
      kept.push(whole);
    }
  }
  producers.forEach(add);
  if ("name" in label) {
    const own = framed(label.name);
    kept.push(custom("component-name", [Buffer.from([OWN_NAME]), number(own.length), own, ...names]));
  }
  const fields = [...made].flatMap(([role, all]) => [
    framed(role),
    number(all.size),
    ...[...all].flatMap(([name, version]) => [framed(name), framed(version)]),
  ]);
  kept.push(custom("producers", [number(made.size), ...fields]));
  for (const key of KEYS) if (key !== "name" && key in label) kept.push(custom(key, [Buffer.from(label[key])]));
  return Buffer.concat(kept);
}

/** Reads bytes from the front. */
class Reader {
  constructor(data, at = 0) {
    Object.assign(this, { data, at });
  }
  get done() {
    return this.at >= this.data.length;
  }
  byte() {
    if (this.done) throw new Error("the component is cut off");
    return this.data[this.at++];
  }
  /** A number in LEB128. */
  number() {
    for (let [value, unit] = [0, 1]; ; unit *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
  }
  counted() {
    const length = this.number();
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }
  text() {
    return this.counted().toString("utf8");
  }
}

/** Each section: all of it, and of a custom one its name and what it holds. */
export function* sections(component) {
  if (!component.subarray(0, COMPONENT.length).equals(COMPONENT)) throw new Error("this is no component");
  const reader = new Reader(component, COMPONENT.length);
  while (!reader.done) {
    const start = reader.at;
    const isCustom = reader.byte() === 0;
    const body = new Reader(reader.counted());
    const name = isCustom ? body.text() : undefined;
    yield { whole: component.subarray(start, reader.at), name, data: body.data.subarray(body.at) };
  }
}

/** The numbered parts of a section of names, each with its frame. */
function parts(data) {
  const [reader, found] = [new Reader(data), []];
  while (!reader.done) {
    const start = reader.at;
    reader.byte();
    reader.counted();
    found.push(data.subarray(start, reader.at));
  }
  return found;
}

/** What had a part in a component: [role, name, version]. */
export function producersOf(data) {
  const [reader, found] = [new Reader(data), []];
  for (let roles = reader.number(); roles > 0; roles--) {
    const role = reader.text();
    for (let count = reader.number(); count > 0; count--) found.push([role, reader.text(), reader.text()]);
  }
  return found;
}

/** The custom sections of a component, by name. */
export function said(component) {
  const named = [...sections(Buffer.from(component))].filter(({ name }) => name !== undefined);
  return Object.fromEntries(named.map(({ name, data }) => [name, data]));
}

function number(value) {
  const out = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) out.push((value % 128) | 0x80);
  return Buffer.from([...out, value]);
}

function framed(text) {
  const data = Buffer.from(text);
  return Buffer.concat([number(data.length), data]);
}

/** A section that no engine reads. */
export function custom(name, data) {
  const body = Buffer.concat([framed(name), ...data]);
  return Buffer.concat([Buffer.from([0]), number(body.length), body]);
}
