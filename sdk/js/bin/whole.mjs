// Builds the component that has the author's code in it.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { bundled, check, componentized, dist, entryOf } from "./entry.mjs";

/** What the author's module wants of the node, and what its class is to a node. */
async function look(source, folder) {
  const [probe, entry] = [join(folder, "probe.mjs"), join(folder, "probe-entry.mjs")];
  writeFileSync(
    entry,
    `import Inhabitant from ${JSON.stringify(source)};
import { aboutOf } from ${JSON.stringify(join(dist, "kinds.js"))};
import { wanted } from ${JSON.stringify(join(dist, "host.js"))};
const about = aboutOf(Inhabitant);
export default { ...about, wanted: ["logging", ...wanted, ...about.imports], name: Inhabitant.name };`,
  );
  writeFileSync(probe, (await bundled(entry, "esm")).code);
  return (await import(pathToFileURL(probe))).default;
}

/** The component of the class that a file exports. */
export async function whole(source, wit, folder) {
  const found = await look(source, folder);
  check(found);
  const first = [`import Inhabitant from ${JSON.stringify(source)};`];
  return componentized(entryOf(found, first, "guarded(home(Inhabitant), complain)"), found, wit, folder);
}
