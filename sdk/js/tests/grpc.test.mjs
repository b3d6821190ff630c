// Services in a fake node: what is called is answered, or refused as a node refuses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Soul } from "matrix-soul";
import { call, RpcError } from "matrix-soul/grpc";
import { Failure, Node } from "matrix-soul/testing";
import { decode, encode } from "matrix-soul/text";

const METHOD = "weather.v1.Weather/Forecast";

/** Calls `weather` with what it is told; that a place is unknown it survives. */
class Caller extends Soul {
  receive(message) {
    try {
      return call("weather", METHOD, message.content.body, 0.1);
    } catch (error) {
      if (error instanceof RpcError && error.code === "NOT_FOUND") return "nowhere";
      throw error;
    }
  }
}

test("what is called is answered", () => {
  const node = new Node();
  const caller = node.spawn(Caller);
  const forecast = (request) => {
    if (decode(request) === "Atlantis") throw new RpcError("NOT_FOUND", "no such place");
    return encode(`${decode(request)}: rain`);
  };
  node.services.serve("weather", { [METHOD]: forecast });
  assert.deepEqual([caller.ask("Zion"), caller.ask("Atlantis")], ["Zion: rain", "nowhere"]);
  assert.deepEqual(node.services.called[0], { endpoint: "weather", method: METHOD, request: encode("Zion") });
  node.services.serve("weather", { [METHOD]: encode("always the same") });
  assert.equal(caller.ask("Zion"), "always the same");
  node.services.serve("weather", {});
  assert.throws(() => caller.ask("Zion"), { message: "the service says UNIMPLEMENTED: no method `weather.v1.Weather/Forecast`" });
});

test("what is not there, or not granted, is refused by the node", () => {
  const node = new Node();
  const caller = node.spawn(Caller);
  assert.throws(() => caller.ask("Zion"), /the node says FAILED_PRECONDITION: this node has no gRPC endpoint `weather`/);
  node.deny("grpc");
  assert.throws(() => caller.ask("Zion"), (error) => error instanceof Failure && error.message.includes("PERMISSION_DENIED"));
  assert.deepEqual(node.services.called, []);
});
