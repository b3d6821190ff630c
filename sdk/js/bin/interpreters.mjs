// Builds a component for an author who waits: an interpreter that was built before, and the code beside it.
//
// The interpreter is a component too. It is kept, and serves until the code wants something else of the node, exports something else,
// or imports another module of this package. What code does when it is loaded it does in the node then, not here.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { bundled, check, componentized, dist, entryOf } from "./entry.mjs";
import { custom } from "./labels.mjs";

/** How many interpreters are kept; those that were used longest ago go. */
const KEPT = 8;
/** What this package gives to authors. */
const OWN = /^matrix-soul(\/|$)/;
/** The section of a component in which it carries what it is to run. */
const SECTION = "matrix:program";
/** What interpreters are made by. */
const BUILDERS = ["componentize-qjs", "rolldown"];

/** Where interpreters are kept: beside what else `matrix` keeps for the next time. */
function kept() {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return join(process.env.MATRIX_CACHE_DIR || join(cache, "matrix"), "interpreters");
}

/** The component of the class that a file exports. */
export async function interpreted(source, wit, folder) {
  const { code, imports } = await bundled(source, "cjs", [OWN]);
  const own = imports.filter((name) => OWN.test(name)).sort();
  const files = own.map((name) => join(dist, `${name.slice("matrix-soul/".length) || "index"}.js`));
  const found = await look(code, own, files);
  check(found);
  found.wanted.push("program");
  const first = [
    `import { carried, entrances } from ${JSON.stringify(join(dist, "program.js"))};`,
    ...files.map((file, at) => `import * as own${at} from ${JSON.stringify(file)};`),
  ];
  const modules = `{ ${own.map((name, at) => `${JSON.stringify(name)}: own${at}`).join(", ")} }`;
  const live = `() => guarded(home(carried(${modules})), complain)`;
  const entry = entryOf(found, first, `entrances(${JSON.stringify(found.exports)}, ${live}, complain)`);
  return Buffer.concat([await interpreter(entry, found, wit, folder), custom(SECTION, [Buffer.from(code)])]);
}

/** What the author's module wants of the node, and what its class is to a node. */
async function look(code, names, files) {
  const load = (file) => import(pathToFileURL(file));
  const [{ aboutOf }, { wanted }, { run }] = await Promise.all(
    ["kinds", "host", "program"].map((name) => load(join(dist, `${name}.js`))),
  );
  const modules = await Promise.all(files.map(load));
  const inhabitant = run(code, Object.fromEntries(names.map((name, at) => [name, modules[at]])));
  const about = aboutOf(inhabitant);
  // What runs the code wants it; the author's does not.
  wanted.delete("program");
  return { ...about, wanted: ["logging", ...[...wanted].sort(), ...about.imports], name: inhabitant.name };
}

/** The interpreter with this module, which is built where none is kept. */
async function interpreter(entry, found, wit, folder) {
  const path = join(kept(), `js-${keyOf(entry, wit)}.wasm`);
  try {
    const interpreter = readFileSync(path);
    utimesSync(path, new Date(), new Date());
    return interpreter;
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  const made = await componentized(entry, found, wit, folder);
  mkdirSync(kept(), { recursive: true, mode: 0o700 });
  const aside = join(kept(), `.${process.pid}.wasm`);
  writeFileSync(aside, made);
  renameSync(aside, path);
  const all = readdirSync(kept()).filter((name) => name.startsWith("js-")).map((name) => join(kept(), name));
  const used = (file) => statSync(file).mtimeMs;
  for (const old of all.sort((one, other) => used(other) - used(one)).slice(KEPT)) rmSync(old, { force: true });
  return made;
}

/** What an interpreter goes by: all that it is built from. */
function keyOf(entry, wit) {
  const key = createHash("sha256").update(entry);
  for (const name of BUILDERS) {
    const file = new URL(import.meta.resolve(name));
    key.update(`${name} ${statSync(file).mtimeMs} ${statSync(file).size}`);
  }
  for (const folder of [dist, wit]) {
    const names = readdirSync(folder, { recursive: true }).filter((name) => /\.(js|wit)$/.test(name)).sort();
    for (const name of names) key.update(`${name}\0`).update(readFileSync(join(folder, name)));
  }
  return key.digest("hex").slice(0, 32);
}
