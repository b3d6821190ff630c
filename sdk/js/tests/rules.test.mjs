// Rules and interceptors in tests: what an author writes works as the README says.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Chance, Content, discrete, Interceptor, Outcome, Refusal, Rules } from "matrix-soul";
import { emit } from "matrix-soul/events";
import { aboutOf } from "matrix-soul/kinds";
import { parseJson } from "matrix-soul/json";
import { flag, group, integer, number, text, word } from "matrix-soul/settings";
import { BEGINNING_MS, Failure, Run, Stage } from "matrix-soul/testing";
import { binary, decode, encode, fromBinary } from "matrix-soul/text";

const SIDES = ["heads", "tails"];
const SETTINGS = group({
  rounds: integer(3, { min: 1, max: 100, description: "How often it is tossed." }),
  tie: word("all", ["all", "none"]),
  weight: number(1),
  loud: flag(false),
  title: text(""),
});

/** Every player says before what a coin will show. */
class Coin extends Rules {
  static schema = "coin/2";
  static migrations = { "coin/1": { read: ({ points, rounds }) => ({ points, rounds, tossed: 0, chance: Chance.seeded(1) }) } };
  static description = {
    name: "coin",
    version: "0.2.0",
    players: [1, 9],
    observations: discrete("text/plain", 3),
    actions: discrete("text/plain", SIDES),
    settings: SETTINGS,
  };
  state = { points: [], rounds: 0, tossed: 0, chance: [] };

  start(setup) {
    const { rounds } = setup.settings(SETTINGS);
    this.state = { points: setup.players.map(() => 0), rounds, tossed: 0, chance: Chance.seeded(setup.seed) };
    return this.asked(new Outcome(), "");
  }

  step(actions) {
    const side = new Chance(this.state.chance).pick(SIDES);
    this.state.tossed++;
    for (const { player, choice } of actions) this.state.points[player] += Number(choice !== undefined && decode(choice) === side);
    const outcome = this.asked(new Outcome(), side);
    outcome.signals.points = this.state.points.reduce((a, b) => a + b);
    outcome.finished = this.state.tossed === this.state.rounds;
    outcome.event("coin.tossed", side);
    emit("coin.heard", side);
    return outcome;
  }

  asked(outcome, side) {
    const { points, tossed, rounds } = this.state;
    points.forEach((reward, player) => outcome.ask(player, side, { reward, isFinal: tossed === rounds }));
    return outcome;
  }

  receive(message) {
    return message.text === "nothing" ? undefined : `${message.sender} at ${message.sentAt}: ${this.state.points}`;
  }
}

/** Asks as it is told by the players' names. */
class Odd extends Rules {
  static schema = "odd/1";
  static description = { name: "odd", version: "1.0.0", players: [0, 9] };
  state = { how: "" };

  start({ players }) {
    this.state.how = players[0];
    return new Outcome();
  }

  step() {
    const outcome = new Outcome();
    const ways = {
      nobody: () => outcome.ask(7, ""),
      twice: () => outcome.ask(0, "").ask(0, ""),
      reward: () => outcome.ask(0, "", { reward: NaN }),
      signal: () => (outcome.signals.x = Infinity),
      kind: () => outcome.event("Upper Case", ""),
      random: () => (outcome.signals.x = Math.random()),
      refuses: () => { throw new Refusal("it stops"); },
      crashes: () => { throw new RangeError("a fault"); },
    };
    ways[this.state.how]();
    return outcome;
  }
}

test("a run is played to its end", () => {
  const setup = { players: ["ada", "bob"], config: { rounds: 4 }, seed: 7 };
  const [run, again] = [new Run(Coin, setup), new Run(Coin, setup)];
  for (const it of [run, again]) it.play(({ player }) => SIDES[player]);
  assert.deepEqual([run.ticks, run.finished, run.signals], [4, true, { points: 4 }]);
  assert.deepEqual(run.events.map(({ kind }) => kind), Array(4).fill(["coin.heard", "coin.tossed"]).flat());
  assert.ok(run.prompts.every(({ isFinal }) => isFinal));
  assert.equal(run.prompts.reduce((sum, { reward }) => sum + reward, 0), 4);
  assert.deepEqual(again.snapshot(), run.snapshot());
});

test("a state is taken up and migrated", () => {
  const run = new Run(Coin, { players: 1 });
  run.step(() => "heads");
  const state = run.snapshot();
  run.restart();
  assert.deepEqual(run.snapshot(), state);
  run.restore("coin/1", encode('{"points": [5], "rounds": 2}'));
  assert.equal(run.ask("?"), `client:test at ${BEGINNING_MS}: 5`);
  assert.equal(JSON.parse(run.view().decode()).rounds, 2);
  for (const wrong of [["coin/3", state[1]], ["coin/2", encode("{}")], ["coin/2", encode("[".repeat(9000))]]) {
    assert.throws(() => run.restore(...wrong), Failure);
  }
});

test("what rules do not take is refused", () => {
  const run = new Run(Odd, { players: ["ada"] });
  for (const call of [() => run.join("bob"), () => run.leave(0), () => run.ask("hello")]) assert.throws(call, Failure);
  assert.equal(new Run(Coin).ask("nothing"), undefined);
});

test("what a node would not carry out fails a test", () => {
  const wrong = {
    nobody: /player 7 is asked/,
    twice: /asked twice/,
    reward: /the reward/,
    signal: /the signal `x`/,
    kind: /`Upper Case`/,
    random: /went on in another way/,
    refuses: /it stops/,
  };
  for (const [how, message] of Object.entries(wrong)) {
    assert.throws(() => new Run(Odd, { players: [how] }).step(() => ""), { name: "Failure", message });
  }
  const run = new Run(Odd, { players: ["crashes"] });
  assert.throws(() => run.step(() => ""), RangeError);
  assert.equal(run.faults[0].message, "a fault");
});

test("settings are read and described", () => {
  const said = new Run(Coin).describe();
  assert.deepEqual([said.name, said.version, said.playersMin, said.playersMax], ["coin", "0.2.0", 1, 9]);
  assert.equal(said.actionType, 'text/plain;discrete=2;values="heads tails"');
  assert.deepEqual(JSON.parse(said.configSchema).properties, {
    rounds: { type: "integer", default: 3, description: "How often it is tossed.", minimum: 1, maximum: 100 },
    tie: { enum: ["all", "none"], default: "all" },
    weight: { type: "number", default: 1 },
    loud: { type: "boolean", default: false },
    title: { type: "string", default: "" },
  });
  assert.equal(new Run(Odd).describe().observationType, "text/plain");
  const wrong = [{ rounds: 0 }, { rounds: 1.5 }, { tie: "some" }, { weight: "x" }, { loud: 1 }, { title: [] }, { other: 1 }];
  for (const config of [...wrong, '{"weight": 1e999}', "null", "[]", "\0", '{"__proto__": 1}']) {
    assert.throws(() => new Run(Coin, { config }), { name: "Failure", message: /^config/ });
  }
});

test("what cannot be a component is refused where it is built", () => {
  assert.deepEqual(aboutOf(Coin), { kind: "rules", exports: ["rules", "stateful"], imports: [] });
  assert.throws(() => aboutOf(class extends Rules {}), /static schema/);
  assert.throws(() => aboutOf(class extends Rules { static schema = "a/1"; }), /static description/);
  for (const wrong of [undefined, {}, () => 1, class {}]) assert.throws(() => aboutOf(wrong), TypeError);
});

test("chance is that of all languages", () => {
  const chance = new Chance([0, 1, 0, 2, 0, 3, 0, 4]);
  const drawn = [1, 2, 3, 4].map(() => chance.bits()).map(([high, low]) => (BigInt(high) << 32n) | BigInt(low));
  assert.deepEqual(drawn, [41_943_041n, 58_720_359n, 3_588_806_011_781_223n, 3_591_011_842_654_386n]);
  assert.deepEqual(Chance.seeded(0).slice(0, 2), [0xe220a839, 0x7b1dcdaf]);
  const mask = (1n << 64n) - 1n;
  for (const seed of [1, 42, 2 ** 53 - 1]) {
    let at = BigInt(seed);
    const expected = [0, 1, 2, 3].flatMap(() => {
      at = (at + 0x9e3779b97f4a7c15n) & mask;
      let mixed = ((at ^ (at >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
      mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & mask;
      mixed ^= mixed >> 31n;
      return [Number(mixed >> 32n), Number(mixed & 0xffffffffn)];
    });
    assert.deepEqual(Chance.seeded(seed), expected);
  }
  const other = new Chance(Chance.seeded(7));
  const seen = [0, 0, 0, 0, 0];
  for (let times = 0; times < 5000; times++) seen[other.below(5)]++;
  assert.ok(seen.every((count) => count >= 850 && count < 1150), String(seen));
  for (let times = 0; times < 1000; times++) assert.ok(other.unit() < 1 && other.below(2 ** 32) < 2 ** 32 && other.below(1) === 0);
  const bound = 0xc0000001;
  for (let times = 0; times < 100; times++) {
    const copy = new Chance([...other.words]);
    const mine = other.below(bound);
    let product;
    do product = BigInt(copy.bits()[0]) * BigInt(bound);
    while ((product & 0xffffffffn) < BigInt((2 ** 32 - bound) % bound));
    assert.equal(BigInt(mine), product >> 32n);
  }
  const items = [...Array(9).keys()];
  other.shuffle(items);
  assert.deepEqual([...items].sort(), [...Array(9).keys()]);
  for (const wrong of [0, 1.5, 2 ** 33]) assert.throws(() => other.below(wrong), RangeError);
  assert.throws(() => new Chance([]), TypeError);
});

/** Changes what it is told to, in every way. */
class Shout extends Interceptor {
  configured(settings) {
    if (settings.get("loud") !== "yes") throw new Refusal("set `loud`");
  }

  outbound(message) {
    const verbs = {
      text: () => `${message.sender} to ${message.recipient}, ${message.topic}`,
      bytes: () => Uint8Array.of(255),
      content: () => Content.json([1]),
      refuse: () => { throw new Refusal("not this"); },
      crash: () => { throw new RangeError("a fault"); },
    };
    return verbs[message.text]?.();
  }
}

test("messages pass, are changed and refused", () => {
  const stage = new Stage(Shout, { loud: "yes" });
  const plain = new Content("text/x-own", encode("plain"));
  assert.deepEqual(stage.outbound(plain), plain);
  assert.equal(stage.inbound("refuse").decode(), "refuse");
  const said = stage.outbound(new Content("text/x-own", encode("text")), "client:web", "topic:news");
  assert.deepEqual(said, new Content("text/x-own", encode("client:web to topic:news, news")));
  assert.deepEqual(stage.outbound("bytes"), new Content("text/plain", Uint8Array.of(255)));
  assert.deepEqual(stage.outbound("content"), new Content("application/json", encode("[1]")));
  for (const [wrong, message] of [["refuse", /not this/], [Uint8Array.of(255), /UTF-8/]]) {
    assert.throws(() => stage.outbound(new Content("text/plain", typeof wrong === "string" ? encode(wrong) : wrong)), { message });
  }
  assert.throws(() => stage.outbound("crash"), RangeError);
  assert.equal(stage.faults[0].message, "a fault");
});

test("wrong settings reject every message; without settings of its own none are asked for", () => {
  const stage = new Stage(Shout);
  for (let times = 0; times < 2; times++) assert.throws(() => stage.inbound("hello"), /set `loud`/);
  class Plain extends Interceptor {}
  assert.deepEqual([aboutOf(Shout).imports, aboutOf(Plain).imports], [["config"], []]);
  assert.equal(new Stage(Plain).outbound("hello").decode(), "hello");
});

test("bytes are letters for whoever searches them", () => {
  const bytes = Uint8Array.from({ length: 10_000 }, (_, at) => at);
  assert.deepEqual(fromBinary(binary(bytes)), bytes);
  assert.ok([...binary(bytes)].every((letter, at) => letter.charCodeAt(0) === bytes[at]));
});

test("long texts are read and written as short ones are", () => {
  const { fromBase64 } = Uint8Array;
  const { toBase64 } = Uint8Array.prototype;
  const all = ["a", "é", "€", "🌍", "\ud800", "\udc00", "\udc00\ud800", "\ud83c\udf0d\udf0d", "\0", "\uffff"].map((it) => it.repeat(40));
  const texts = [all.join("|"), all[3].repeat(9), all[0].repeat(9)];
  const set = (from, to) => {
    Uint8Array.fromBase64 = from;
    Uint8Array.prototype.toBase64 = to;
  };
  try {
    set(undefined, undefined);
    const bytes = texts.map(encode);
    const expected = [bytes.map(decode), bytes.map(binary)];
    // As an engine has them.
    set((text) => Uint8Array.from(Buffer.from(text, "base64")), function () { return Buffer.from(this).toString("base64"); });
    assert.deepEqual(texts.map(encode), bytes);
    assert.deepEqual([bytes.map(decode), bytes.map(binary)], expected);
    assert.deepEqual(bytes.map(binary).map(fromBinary), bytes);
    assert.equal(decode(Uint8Array.of(...bytes[1], 0xff)), undefined);
  } finally {
    set(fromBase64, toBase64);
  }
});

test("JSON that is nested too deep is none", () => {
  for (const deep of ["[".repeat(129) + "]".repeat(129), "[".repeat(100_000), '{"a":'.repeat(129)]) {
    assert.throws(() => parseJson(deep), /128 deep/);
  }
  assert.deepEqual(parseJson(JSON.stringify(Array(500).fill([{}]))).length, 500);
  assert.equal(parseJson(JSON.stringify("[".repeat(500) + '"\\')), "[".repeat(500) + '"\\');
  assert.equal(parseJson("[".repeat(128) + "]".repeat(128)).length, 1);
});
