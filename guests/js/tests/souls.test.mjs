// The Souls in TypeScript, in a fake node. Run where `guests/languages.sh` has compiled them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Content } from "matrix-soul";
import { Failure, Node } from "matrix-soul/testing";
import { decode, encode } from "matrix-soul/text";
import Counter from "../dist/counter.js";
import Echo from "../dist/echo.js";
import Strategist, { GAMES_MAX, STRATEGIES } from "../dist/strategist.js";

const table = JSON.parse(readFileSync(process.env.MATRIX_AXELROD_TABLE, "utf8"));

test("echo says what it is told", () => {
  const said = new Content("image/png", Uint8Array.of(0, 255));
  assert.deepEqual(new Node().spawn(Echo).askAll([said]), [said]);
});

test("counter adds and gets", () => {
  const counter = new Node().spawn(Counter);
  assert.deepEqual([counter.ask("add 40"), counter.ask(" add 2\n"), counter.ask("get")], ["40", "42", "42"]);
  counter.restart();
  assert.equal(counter.ask("get"), "42");
  const wrong = ["", "add", "add -1", "add x", "add 1 2", "get it", "add 1e3", `add ${2 ** 53}`, `add ${"9".repeat(5000)}`];
  for (const text of wrong) assert.throws(() => counter.ask(text), Failure, text);
  assert.equal(counter.ask("get"), "42");
});

test("counter takes up what the one in Rust counted", () => {
  const counter = new Node().spawn(Counter);
  counter.restore("counter/1", Uint8Array.of(0xac, 0x02));
  assert.deepEqual(counter.snapshot(), ["counter/2", encode('{"count":300}')]);
  for (const bytes of [[], [0x80], [1, 2], [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]]) {
    assert.throws(() => counter.restore("counter/1", Uint8Array.from(bytes)), Failure, String(bytes));
  }
});

function played(a, b, turns) {
  const node = new Node();
  const players = [a, b].map((strategy, side) => node.spawn(Strategist, { name: String(side), config: { strategy } }));
  let seen = [new Uint8Array(32), new Uint8Array(32)];
  const counts = [0, 0];
  for (let tick = 0; tick < turns; tick++) {
    const moves = players.map((player, side) => decode(player.act("m", tick, [[side, seen[side]]])[0]));
    moves.forEach((move, side) => (counts[side] += Number(move === "C")));
    seen = [encode(moves[0] + moves[1]), encode(moves[1] + moves[0])];
    if (tick === turns / 2) players[0].restart();
  }
  players[0].act("m", turns, [[0, seen[0], 0, true]]);
  assert.equal(decode(players[0].snapshot()[1]), '{"games":{}}', "a final turn forgets the game");
  return counts;
}

test("strategists play as the table says", () => {
  const rows = table.matches.filter(({ a, b }) => a in STRATEGIES && b in STRATEGIES);
  assert.equal(rows.length, 78);
  for (const { a, b, cooperations_a, cooperations_b } of rows) {
    assert.deepEqual(played(a, b, table.turns), [cooperations_a, cooperations_b], `${a}, ${b}`);
  }
});

test("a strategist says who it is and what is wrong", () => {
  const node = new Node();
  for (const config of [{}, { strategy: "Nobody" }, { strategy: "toString" }]) {
    assert.throws(() => node.spawn(Strategist, { config }), /one of Cooperator/);
  }
  const bully = node.spawn(Strategist, { config: { strategy: "Bully" } });
  assert.equal(bully.ask("who"), "Bully");
  for (const seen of ["CC", "", "C".repeat(33)]) assert.throws(() => bully.act("m", 1, [[0, encode(seen)]]), Failure);
  const first = (seat) => [seat, new Uint8Array(32)];
  for (let seat = 0; seat < GAMES_MAX; seat += 512) bully.act("m", 0, Array.from({ length: 512 }, (_, at) => first(seat + at)));
  assert.throws(() => bully.act("m", 0, [first(GAMES_MAX)]), /games go on already/);
  assert.deepEqual(bully.act("m", 0, [first(7)]).map(decode), ["D"]);
});
