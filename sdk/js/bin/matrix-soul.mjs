#!/usr/bin/env node
// Builds a component: `matrix-soul build counter.ts -o counter.wasm --wit …/wit`.
//
// The component exports what the class is (a Soul, rules, an interceptor), and imports what the code imports of `matrix-soul`.
// `--quick`: an interpreter is built once, and from then on the code is put beside it; for trying things out.

import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { interpreted } from "./interpreters.mjs";
import { KEYS, ofPackage, written } from "./labels.mjs";
import { whole } from "./whole.mjs";

const VERSION = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version;

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

async function build(source, wit, output, label, quick) {
  mkdirSync(dirname(output), { recursive: true });
  const folder = mkdtempSync(join(dirname(output), ".matrix-soul-"));
  try {
    const component = await (quick ? interpreted : whole)(source, wit, folder);
    // Written aside and renamed, so that whoever reads the old one at this moment reads it whole.
    const producers = [
      ["language", extname(source) === ".ts" ? "TypeScript" : "JavaScript", ""],
      ["sdk", "matrix-soul", VERSION],
    ];
    writeFileSync(join(folder, "out.wasm"), written(component, label, producers));
    renameSync(join(folder, "out.wasm"), output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const options = {
  output: { type: "string", short: "o" },
  wit: { type: "string", default: "wit" },
  label: { type: "string", multiple: true, default: [] },
  quick: { type: "boolean", default: false },
};
const { positionals, values } = parseArgs({ options, allowPositionals: true });
const [command, source] = positionals;
if (command !== "build" || source === undefined || positionals.length > 2) {
  console.error("usage: matrix-soul build SOURCE [-o COMPONENT] [--wit FOLDER] [--label KEY=TEXT]... [--quick]");
  process.exit(2);
}
const output = resolve(values.output ?? `${basename(source, extname(source))}.wasm`);
try {
  await build(resolve(source), resolve(values.wit), output, labelOf(resolve(source), values.label), values.quick);
} catch (error) {
  console.error(`matrix-soul: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
