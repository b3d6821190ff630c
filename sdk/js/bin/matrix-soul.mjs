#!/usr/bin/env node
// Builds a component: `matrix-soul build counter.ts -o counter.wasm --wit …/wit`.
//
// The component exports what the class is (a Soul, rules, an interceptor), and imports what the code imports of `matrix-soul`.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { componentize } from "componentize-qjs";
import { rolldown } from "rolldown";

import { KEYS, ofPackage, sections, written } from "./labels.mjs";

/** What modules of this package take of the node. */
const IMPORTS = {
  logging: "wasi:logging/logging@0.1.0-draft",
  messaging: "matrix:node/messaging@0.1.0",
  memory: "matrix:node/memory@0.1.0",
  grpc: "matrix:node/grpc@0.1.0",
  http: "wasi:http/outgoing-handler@0.2.12",
  httpTypes: "wasi:http/types@0.2.12",
  events: "matrix:node/events@0.1.0",
  config: "wasi:config/store@0.2.0-rc.1",
  store: "wasi:keyvalue/store@0.2.0-draft",
  atomics: "wasi:keyvalue/atomics@0.2.0-draft",
  batch: "wasi:keyvalue/batch@0.2.0-draft",
};
// What the code of rules and of interceptors may use: rules see only what they are passed; a stage of the transport sends nothing,
// and waits for nothing.
const ALLOWED = ["events", "config"];
// The module, and its function, by which a node reaches a component of a kind: others are no part of it.
const HOMES = { soul: "living", rules: "refereeing", interceptor: "judging" };
// Stubbing takes away every package called `wasi`: the engine's clock, entropy and streams, which a component must not have, and also
// the log, the settings, the KV and HTTP, which the node gives, with streams of its own. These go by a name of the same length until
// the component is made.
const DISGUISED = ["logging", "config", "keyvalue", "http", "io"].map((name) => [`wasi:${name}`, `wasx:${name}`]);
// The section of a component that names what it imports.
const IMPORTED = 10;
const VERSION = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version;
const dist = join(dirname(fileURLToPath(import.meta.url)), "../dist");

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

/** One module of the file and all that it imports, but for what a node gives. */
async function bundle(input, file) {
  const made = await rolldown({ input, external: /^(wasx|matrix):/, logLevel: "warn" });
  await made.write({ file, format: "esm" });
}

/** What the author's module wants of the node, and what its class is to a node. */
async function look(source, folder) {
  const probe = join(folder, "probe.mjs");
  writeFileSync(
    join(folder, "probe-entry.mjs"),
    `import Inhabitant from ${JSON.stringify(source)};
import { aboutOf } from ${JSON.stringify(join(dist, "kinds.js"))};
import { wanted } from ${JSON.stringify(join(dist, "host.js"))};
const about = aboutOf(Inhabitant);
export default { ...about, wanted: [...wanted, ...about.imports], name: Inhabitant.name };`,
  );
  await bundle(join(folder, "probe-entry.mjs"), probe);
  return (await import(pathToFileURL(probe))).default;
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

/** What is said of the component: on the command line, by the package, by the file's name. */
function labelOf(source, given) {
  const label = { name: basename(source, extname(source)), ...ofPackage(dirname(source)) };
  for (const pair of given) {
    const [key, ...text] = pair.split("=");
    if (!KEYS.includes(key) || text.join("=") === "") {
      throw new Error(`\`--label ${pair}\`: say KEY=TEXT; the keys are ${KEYS.join(", ")}`);
    }
    label[key] = text.join("=");
  }
  return label;
}

async function build(source, wit, output, label) {
  mkdirSync(dirname(output), { recursive: true });
  const folder = mkdtempSync(join(dirname(output), ".matrix-soul-"));
  try {
    const found = await look(source, folder);
    const strange = found.kind === "soul" ? undefined : found.wanted.find((name) => !ALLOWED.includes(name));
    if (strange !== undefined) throw new Error(`\`${found.name}\` cannot use ${IMPORTS[strange]}: a node gives it to Souls alone`);
    const wanted = ["logging", ...found.wanted];
    world(wit, folder, wanted, found.exports);
    const imports = wanted.map((name) => `import * as ${name} from "${disguised(IMPORTS[name])}";\n`);
    const gives = wanted.map((name) => `give("${name}", ${name});\n`);
    const exports = found.exports.map((name) => `export const ${name} = made.${name};\n`);
    const home = HOMES[found.kind];
    const chance = found.kind === "soul" ? "" : `import ${JSON.stringify(join(dist, "no-chance.js"))};\n`;
    // The prelude comes first: what the author's code does when it is loaded has the component's clock.
    const entry = `import { line } from ${JSON.stringify(join(dist, "prelude.js"))};
${chance}import { give } from ${JSON.stringify(join(dist, "host.js"))};
import { guarded } from ${JSON.stringify(join(dist, "guarded.js"))};
import { ${home} } from ${JSON.stringify(join(dist, `${home}.js`))};
import Inhabitant from ${JSON.stringify(source)};
${imports.join("")}${gives.join("")}const made = guarded(${home}(Inhabitant), (fault) => line("error", fault));
${exports.join("")}`;
    writeFileSync(join(folder, "entry.mjs"), entry);
    await bundle(join(folder, "entry.mjs"), join(folder, "bundled.mjs"));
    const { component } = await componentize({
      witPath: join(folder, "wit"),
      world: "component",
      jsSource: readFileSync(join(folder, "bundled.mjs"), "utf8"),
      sync: true,
      stubWasi: true,
    });
    // Written aside and renamed, so that whoever reads the old one at this moment reads it whole.
    const producers = [
      ["language", extname(source) === ".ts" ? "TypeScript" : "JavaScript", ""],
      ["sdk", "matrix-soul", VERSION],
    ];
    writeFileSync(join(folder, "out.wasm"), written(undisguised(component), label, producers));
    renameSync(join(folder, "out.wasm"), output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const options = {
  output: { type: "string", short: "o" },
  wit: { type: "string", default: "wit" },
  label: { type: "string", multiple: true, default: [] },
};
const { positionals, values } = parseArgs({ options, allowPositionals: true });
const [command, source] = positionals;
if (command !== "build" || source === undefined || positionals.length > 2) {
  console.error("usage: matrix-soul build SOURCE [-o COMPONENT] [--wit FOLDER] [--label KEY=TEXT]...");
  process.exit(2);
}
const output = resolve(values.output ?? `${basename(source, extname(source))}.wasm`);
try {
  await build(resolve(source), resolve(values.wit), output, labelOf(resolve(source), values.label));
} catch (error) {
  console.error(`matrix-soul: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
