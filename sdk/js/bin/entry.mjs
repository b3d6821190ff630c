// From a class to the component that a node takes: its world, its entry, and what the engine's own builder makes of them.

import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { rolldown } from "rolldown";

import { sections } from "./labels.mjs";

/** What modules of this package take of the node. */
const IMPORTS = {
  logging: "wasi:logging/logging@0.1.0-draft",
  messaging: "matrix:node/messaging@0.1.0",
  memory: "matrix:node/memory@0.1.0",
  grpc: "matrix:node/grpc@0.1.0",
  http: "wasi:http/outgoing-handler@0.2.12",
  httpTypes: "wasi:http/types@0.2.12",
  events: "matrix:node/events@0.1.0",
  program: "matrix:node/program@0.1.0",
  config: "wasi:config/store@0.2.0-rc.1",
  store: "wasi:keyvalue/store@0.2.0-draft",
  atomics: "wasi:keyvalue/atomics@0.2.0-draft",
  batch: "wasi:keyvalue/batch@0.2.0-draft",
};
// What the code of rules and of interceptors may use: rules see only what they are passed; a stage of the transport sends nothing,
// and waits for nothing.
const ALLOWED = ["logging", "events", "config"];
// The module, and its function, by which a node reaches a component of a kind: others are no part of it.
const HOMES = { soul: "living", rules: "refereeing", interceptor: "judging" };
// Stubbing takes away every package called `wasi`: the engine's clock, entropy and streams, which a component must not have, and also
// the log, the settings, the KV and HTTP, which the node gives, with streams of its own. These go by a name of the same length until
// the component is made.
const DISGUISED = ["logging", "config", "keyvalue", "http", "io"].map((name) => [`wasi:${name}`, `wasx:${name}`]);
// The section of a component that names what it imports.
const IMPORTED = 10;
/** Where this package's own modules are. */
export const dist = join(dirname(fileURLToPath(import.meta.url)), "../dist");

const disguised = (text) => DISGUISED.reduce((made, [real, other]) => made.replaceAll(real, other), text);

/** The component with the names that the node knows. */
function undisguised(component) {
  const named = (bytes, names) =>
    Buffer.from(names.reduce((made, [real, other]) => made.replaceAll(other, real), bytes.toString("latin1")), "latin1");
  // Inside, the engine's own streams, which are stubbed, have the true name: there those of the node keep the other.
  const made = named(component, DISGUISED.filter(([real]) => real !== "wasi:io"));
  for (const { whole } of sections(made)) if (whole[0] === IMPORTED) named(whole, DISGUISED).copy(whole);
  return made;
}

/** The folder of interfaces with the world of this component. */
function world(wit, folder, wanted, exported) {
  cpSync(join(wit, "deps"), join(folder, "wit/deps"), { recursive: true });
  mkdirSync(join(folder, "wit/deps/matrix-node"));
  for (const name of readdirSync(wit).filter((name) => extname(name) === ".wit")) {
    cpSync(join(wit, name), join(folder, "wit/deps/matrix-node", name));
  }
  for (const name of readdirSync(join(folder, "wit/deps"), { recursive: true })) {
    const file = join(folder, "wit/deps", name);
    if (extname(name) === ".wit") writeFileSync(file, disguised(readFileSync(file, "utf8")));
  }
  const imports = wanted.map((name) => `    import ${disguised(IMPORTS[name])};\n`);
  const exports = exported.map((name) => `    export matrix:node/${name}@0.1.0;\n`);
  writeFileSync(
    join(folder, "wit/world.wit"),
    `package matrix:component;\n\nworld component {\n${[...imports, ...exports].join("")}}\n`,
  );
}

/** Refuses what a class of its kind cannot use. */
export function check(found) {
  const strange = found.kind === "soul" ? undefined : found.wanted.find((name) => !ALLOWED.includes(name));
  if (strange !== undefined) throw new Error(`\`${found.name}\` cannot use ${IMPORTS[strange]}: a node gives it to Souls alone`);
}

/**
 * A component's own module, with what it takes of the node. `first` is imported before, and `made` is what makes its exports, by name,
 * with `home`, `guarded` and `complain`.
 */
export function entryOf(found, first, made) {
  const home = HOMES[found.kind];
  const own = (name) => JSON.stringify(join(dist, `${name}.js`));
  // The prelude comes first: what the author's code does when it is loaded has the component's clock.
  const lines = [
    `import { line } from ${own("prelude")};`,
    ...(found.kind === "soul" ? [] : [`import ${own("no-chance")};`]),
    `import { give } from ${own("host")};`,
    `import { guarded } from ${own("guarded")};`,
    `import { ${home} as home } from ${own(home)};`,
    ...first,
    ...found.wanted.map((name) => `import * as ${name} from "${disguised(IMPORTS[name])}";`),
    ...found.wanted.map((name) => `give("${name}", ${name});`),
    `const complain = (fault) => line("error", fault);`,
    `const made = ${made};`,
    ...found.exports.map((name) => `export const ${name} = made.${name};`),
  ];
  return `${lines.join("\n")}\n`;
}

/** One module and all that it imports, but for what a node gives and what is `external`, in this format. */
export async function bundled(input, format, external = []) {
  const made = await rolldown({ input, external: [/^(wasx|matrix):/, ...external], logLevel: "warn" });
  const { output } = await made.generate({ format, exports: "named" });
  return output[0];
}

/** The component that has this module for its own, and takes and gives what was found. Works in the folder. */
export async function componentized(entry, found, wit, folder) {
  world(wit, folder, found.wanted, found.exports);
  writeFileSync(join(folder, "entry.mjs"), entry);
  const { code } = await bundled(join(folder, "entry.mjs"), "esm");
  const { componentize } = await import("componentize-qjs");
  const { component } = await componentize({
    witPath: join(folder, "wit"),
    world: "component",
    jsSource: code,
    sync: true,
    stubWasi: true,
  });
  return undisguised(component);
}
