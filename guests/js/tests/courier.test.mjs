// The courier in TypeScript, in a fake node. Run where `guests/languages.sh` has compiled it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { HttpError } from "matrix-soul/http";
import { Node } from "matrix-soul/testing";
import { decode } from "matrix-soul/text";
import Courier, { read } from "../dist/courier.js";

const URL = "http://localhost:8080/letters";

test("it sends what it is told", () => {
  const node = new Node();
  const courier = node.spawn(Courier);
  node.hosts.serve(URL, ({ method, body }) => ({ status: 201, body: `${method} ${decode(body)}` }));
  assert.equal(courier.ask(`GET ${URL}`), "201\nGET ");
  assert.equal(courier.ask(`POST ${URL}\nX-From: ada: home\n\nfirst\n\nsecond`), "201\nPOST first\n\nsecond");
  const [, { headers, timeoutMs }] = node.hosts.asked;
  assert.deepEqual(headers.map(([name, value]) => [name, decode(value)]), [["x-from", "ada: home"], ["content-length", "13"]]);
  assert.equal(timeoutMs, 5000);
  assert.equal(courier.ask(`GET ${URL}/none`), "404\n");
});

test("it says why it did not", () => {
  const node = new Node();
  const courier = node.spawn(Courier);
  const late = () => {
    throw new HttpError("timeout");
  };
  node.hosts.serve(URL, late);
  assert.throws(() => courier.ask(`GET ${URL}`), { message: "the host took too long" });
  assert.throws(() => courier.ask("GET http://elsewhere/"), /denied/);
  assert.throws(() => courier.ask("GET nowhere"), /`nowhere` is no URL/);
  for (const wrong of ["", "GET", "GET a b", `GET ${URL}\nno header`]) assert.throws(() => read(wrong), /^Refusal: /);
});
