// Souls in a fake node: what an author writes works as the README says.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Address, Content, Refusal, Soul, ulid } from "matrix-soul";
import * as clock from "matrix-soul/clock";
import { emit } from "matrix-soul/events";
import { open } from "matrix-soul/keyvalue";
import { recall, remember } from "matrix-soul/memory";
import { ask, SendError, send, subscribe } from "matrix-soul/messaging";
import { BEGINNING_MS, experience, Failure, Node } from "matrix-soul/testing";
import { decode, encode } from "matrix-soul/text";

class Sum extends Soul {
  static schema = "sum/1";
  state = { total: 0 };
  unit = "";

  born(birth) {
    if (!birth.config.has("unit")) throw new Refusal("set `unit`");
    this.unit = birth.config.get("unit");
  }

  receive(message) {
    if (!/^\d+$/.test(message.text)) throw new Refusal("say a number");
    this.state.total += Number(message.text);
    return `${this.state.total} ${this.unit}`;
  }
}

class Newer extends Soul {
  static schema = "sum/3";
  static migrations = {
    "sum/1": { to: "sum/2", read: (old) => ({ total: old.total, name: "old" }) },
    "sum/2": { read: (old) => ({ total: old.total, names: [old.name] }) },
  };
  state = { total: 0, names: [] };

  receive() {
    return JSON.stringify(this.state);
  }
}

/** Does what it is told by the first word. */
class Busybody extends Soul {
  receive(message) {
    const [verb, ...words] = message.text.split(" ");
    const rest = words.join(" ");
    const verbs = {
      ask: () => ask("soul:sum", rest, 1500),
      send: () => ulid(send(new Address("topic", "news"), rest)),
      hear: () => subscribe(rest),
      tell: () => emit("word.said", rest),
      remember: () => String(remember(rest, { importance: 0.9, tags: ["tag"] })),
      recall: () => recall(rest, 2).map((it) => it.text).join("; "),
      count: () => {
        const bucket = open("notes");
        bucket.set(rest, encode("x"));
        return `${[...bucket.keys()].length} ${bucket.increment("total", 2)}`;
      },
      time: () => String(clock.nowMs()),
      dice: () => String(clock.random()),
      crash: () => null.fault,
    };
    return verbs[verb]();
  }
}

class Guess extends Soul {
  static schema = "guess/1";
  state = { answers: {} };

  receive() {}

  act(turn) {
    return this.state.answers[decode(turn.observation)] ?? `? ${turn.reward}`;
  }

  train(batch) {
    for (const it of batch) this.state.answers[it.inputText] = it.outputText;
    return { seen: batch.length };
  }

  evaluate(batch) {
    const wrong = batch.filter((it) => this.state.answers[it.inputText] !== it.outputText);
    return { loss: wrong.length / batch.length };
  }
}

const apples = { name: "sum", config: { unit: "apples" } };
const text = (bytes) => decode(bytes);

test("a batch is answered in order, one by one", () => {
  const tally = new Node().spawn(Sum, apples);
  const [first, wrong, second] = tally.askAll(["1", "x", encode("2")]);
  assert.deepEqual([first, second], [Content.text("1 apples"), Content.text("3 apples")]);
  assert.ok(wrong instanceof Failure && wrong.message === "say a number");
  assert.throws(() => tally.ask(Uint8Array.of(0xff)), /UTF-8/);
});

test("who is not born does not start", () => {
  assert.throws(() => new Node().spawn(Sum), new Failure("set `unit`"));
});

test("a state outlives restarts and leaves the manifest alone", () => {
  const tally = new Node().spawn(Sum, apples);
  tally.ask("300");
  assert.deepEqual(tally.snapshot(), ["sum/1", encode('{"total":300}')]);
  tally.restart();
  assert.equal(tally.ask("1"), "301 apples");
});

test("new code migrates step by step and refuses what it does not know", () => {
  const tally = new Node().spawn(Sum, apples);
  tally.ask("7");
  tally.swap(Newer);
  const state = '{"total":7,"names":["old"]}';
  assert.equal(tally.ask("?"), state);
  assert.throws(() => tally.swap(Sum), /cannot take up .* `sum\/3`.* reads `sum\/1`/);
  for (const [schema, data] of [["sum/9", "{}"], ["sum/3", ""], ["sum/3", "{}"], ["sum/3", '{"total":"7","names":[]}']]) {
    assert.throws(() => tally.restore(schema, encode(data)), Failure);
  }
  assert.equal(tally.ask("?"), state);
});

test("Souls reach each other and the world", () => {
  const node = new Node();
  node.spawn(Sum, apples);
  const busy = node.spawn(Busybody, { name: "busy" });
  assert.equal(busy.ask("ask 2"), "2 apples");
  assert.throws(() => busy.ask("ask much"), new Failure("say a number"));
  busy.ask("send hello");
  assert.deepEqual(node.sent, [{ sender: "busy", to: "topic:news", content: Content.text("hello") }]);
  assert.equal(busy.ask("hear news"), undefined);
  assert.deepEqual([...node.topics.get("busy")], ["news"]);
  busy.ask("tell it");
  assert.deepEqual(node.events, [{ source: "busy", kind: "word.said", content: Content.text("it") }]);
  node.deny("soul:sum");
  assert.throws(() => busy.ask("ask 2"), /no grant for `soul:sum`/);
  assert.ok(new SendError("denied", "") instanceof Refusal);
});

test("what is remembered and kept", () => {
  const node = new Node();
  const busy = node.spawn(Busybody);
  busy.ask("remember the harbour in rain");
  busy.ask("remember a dry day");
  assert.equal(busy.ask("recall harbour"), "the harbour in rain");
  assert.equal(busy.ask("recall tag"), "the harbour in rain; a dry day");
  for (let count = 1; count < 7; count++) {
    assert.equal(busy.ask(`count ${"k".repeat(count)}`), `${count + Number(count > 1)} ${2 * count}`);
  }
  node.deny("memory");
  assert.throws(() => busy.ask("recall x"), /no grant `memory`/);
});

test("time is the message's, chance the birth's, and a fault is no refusal", () => {
  const node = new Node();
  const busy = node.spawn(Busybody);
  assert.equal(busy.ask("time"), String(BEGINNING_MS));
  const drawn = [busy.ask("dice"), busy.ask("dice")];
  assert.ok(drawn.every((it) => it >= 0 && it < 1) && drawn[0] !== drawn[1]);
  node.nowMs += 5000;
  busy.restart();
  assert.deepEqual([busy.ask("time"), busy.ask("dice")], [String(BEGINNING_MS + 5000), drawn[0]]);
  assert.notEqual(node.spawn(Busybody, { seed: 2 }).ask("dice"), drawn[0]);
  assert.throws(() => busy.ask("crash"), TypeError);
  assert.ok(node.faults[0] instanceof TypeError);
});

test("a Soul plays and learns", () => {
  const guess = new Node().spawn(Guess);
  const lessons = [experience("red", "stop"), experience("green", "go", undefined, 2)];
  assert.deepEqual(guess.evaluate(lessons), { loss: 1 });
  assert.deepEqual(guess.train(lessons), { seen: 2 });
  assert.deepEqual(guess.evaluate(lessons), { loss: 0 });
  assert.deepEqual(guess.act("street", 3, [[0, encode("red")], [1, encode("blue"), -1.25]]).map(text), ["stop", "? -1.25"]);
});

test("the same state gives the same bytes, and what JSON cannot hold is named", () => {
  const spawned = (state) => {
    class Made extends Soul {
      static schema = "made/1";
      state = state;
      receive() {}
    }
    return new Node().spawn(Made);
  };
  const [one, two] = [spawned({ b: [1, null], a: { d: 1, c: "é" } }), spawned({ a: { c: "é", d: 1 }, b: [1, null] })];
  assert.deepEqual(one.snapshot(), two.snapshot());
  for (const wrong of [{ a: NaN }, { a: undefined }, { a: new Map() }, { a: [1n] }]) {
    assert.throws(() => spawned(wrong).snapshot(), /state\.a.* JSON cannot hold/);
  }
});

test("text is UTF-8, and nothing else is", () => {
  for (const said of ["", "a", "é", "€", "🌍", "\u0000\u{10ffff}"]) {
    assert.deepEqual(encode(said), new Uint8Array(Buffer.from(said)));
    assert.equal(decode(encode(said)), said);
  }
  assert.deepEqual(encode("\ud800"), encode("\ufffd"));
  for (const bytes of [[0x80], [0xc3], [0xc0, 0x80], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff]]) {
    assert.equal(decode(Uint8Array.from(bytes)), undefined, String(bytes));
  }
});

test("addresses are read as they are written", () => {
  for (const said of ["soul:ada", "matrix:market", "topic:a:b", "client:web"]) assert.equal(String(Address.parse(said)), said);
  for (const said of ["ada", "node:ada"]) assert.throws(() => Address.parse(said), TypeError);
});

test("outside a node nothing is reached", async () => {
  const { port } = await import("matrix-soul/host");
  assert.throws(() => port("elsewhere").send(), /matrix-soul\/testing/);
});
