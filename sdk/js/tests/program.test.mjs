// Code that a component carries: it runs with the first call, and what it imports is what the interpreter has.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as soul from "matrix-soul";
import { exportsFor } from "matrix-soul/component";
import { given } from "matrix-soul/host";
import { carried, entrances, run } from "matrix-soul/program";
import { encode } from "matrix-soul/text";

const CODE = `const { Soul } = require("matrix-soul");
class Teller extends Soul {
  receive(message) { return "Hello, " + message.text; }
}
Teller.schema = "teller/1";
Object.defineProperty(Teller.prototype, "state", { value: { told: 3 }, writable: true });
exports.default = Teller;`;
const MODULES = { "matrix-soul": soul };
const carrying = (code, call) => given("program", { read: () => encode(code) }, call);

test("the class that is carried is what a build would put in", () => {
  const made = carrying(CODE, () => carried(MODULES));
  assert.equal(made.name, "Teller");
  assert.ok(made.prototype instanceof soul.Soul);
});

test("code runs with the first call, once, and faults are told", () => {
  const faults = [];
  let lives = 0;
  const live = () => ((lives += 1), exportsFor(carried(MODULES), (fault) => faults.push(fault)));
  const { agent, stateful } = entrances(["agent", "stateful"], live, (fault) => faults.push(fault));
  assert.deepEqual(Object.keys(agent), ["init", "receive"]);
  assert.equal(lives, 0);
  assert.equal(carrying(CODE, () => stateful.schema()), "teller/1");
  assert.equal(stateful.schema(), "teller/1");
  assert.deepEqual([lives, faults], [1, []]);
});

test("why code cannot be run is told", () => {
  const told = (code) => {
    const faults = [];
    const { agent } = entrances(["agent"], () => exportsFor(carried(MODULES), () => {}), (fault) => faults.push(String(fault)));
    assert.throws(() => carrying(code, () => agent.init({})));
    return faults.join();
  };
  assert.match(told(""), /carries no code/);
  assert.match(told(`require("node:fs")`), /`node:fs` cannot be imported/);
  assert.match(told("undeclared = 1"), /undeclared/, "code is as strict as modules are");
  assert.match(told("exports.default = 7"), /must be a class/);
});

test("a class without a component is none here either", () => {
  assert.throws(() => exportsFor(run("exports.default = class {}", MODULES), () => {}), /must be a class/);
});
