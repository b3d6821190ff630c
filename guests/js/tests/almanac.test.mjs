// The almanac in TypeScript, in a fake node. Run where `guests/languages.sh` has compiled it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { RpcError } from "matrix-soul/grpc";
import { Node } from "matrix-soul/testing";
import Almanac, { METHOD, read, written } from "../dist/almanac.js";

test("it tells what the service tells", () => {
  const node = new Node();
  const almanac = node.spawn(Almanac);
  node.services.serve("weather", { [METHOD]: (request) => written(`${read(request)}: rain`) });
  for (const place of ["Zion", "", "x".repeat(300)]) assert.equal(almanac.ask(place), `${place}: rain`);
  const away = () => {
    throw new RpcError("UNAVAILABLE", "away");
  };
  node.services.serve("weather", { [METHOD]: away });
  assert.throws(() => almanac.ask("Zion"), /UNAVAILABLE: away/);
  node.services.serve("weather", { [METHOD]: new Uint8Array() });
  assert.equal(almanac.ask("Zion"), "");
});
