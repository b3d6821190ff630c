// The rules and the interceptor in TypeScript, in a fake node.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Content } from "matrix-soul";
import { Failure, Node, Run, Stage } from "matrix-soul/testing";
import { decode, encode } from "matrix-soul/text";
import Ipd from "../dist/ipd.js";
import Mask from "../dist/mask.js";
import Strategist, { STRATEGIES } from "../dist/strategist.js";

const table = JSON.parse(readFileSync(process.env.MATRIX_AXELROD_TABLE, "utf8"));
const json = ({ contentType, body }) => (assert.equal(contentType, "application/json"), JSON.parse(decode(body)));

test("a tournament ends as the table says", () => {
  const names = table.strategies.filter((name) => name in STRATEGIES);
  assert.equal(names.length, 12);
  const node = new Node();
  const players = names.map((strategy) => node.spawn(Strategist, { name: strategy, config: { strategy } }));
  const run = new Run(Ipd, { players: names });
  run.play(({ player, seat, observation, reward }) => players[player].act("m", run.ticks, [[seat, observation, reward]])[0]);
  assert.equal(run.ticks, 200);
  assert.ok(run.prompts.length === 12 * 13 && run.prompts.every(({ isFinal }) => isFinal));
  assert.equal(run.events.length, 79);
  for (const event of run.events.slice(0, -1)) {
    assert.equal(event.kind, "match.finished");
    const told = json(event.content);
    const row = table.matches.find(({ a, b }) => a === told.players[0] && b === told.players[1]);
    assert.deepEqual(told.scores, [row.score_a, row.score_b]);
    assert.deepEqual(told.cooperations, [row.cooperations_a, row.cooperations_b]);
  }
  const whole = json(run.events.at(-1).content);
  assert.deepEqual([run.events.at(-1).kind, whole.turns, whole.matches], ["tournament.finished", 200, 78]);
  const totals = whole.ranking.map((rank) => rank.total_without_self_play);
  assert.deepEqual(totals, [...totals].sort((a, b) => b - a));
});

test("wrong actions are the players' loss", () => {
  for (const [config, expected] of [["", 0], [{ on_invalid: "cooperate" }, 1]]) {
    const run = new Run(Ipd, { players: ["a", "b", "c"], config });
    const wrong = [undefined, "", "c", "CC", new Uint8Array(4096)];
    let at = 0;
    run.step(() => wrong[at++ % wrong.length]);
    assert.equal(run.signals["cooperation.rate"], expected);
  }
});

test("the description says what may be set, and that both are discrete", () => {
  const { observationType, actionType, configSchema } = new Run(Ipd).describe();
  assert.equal(observationType, "application/vnd.matrix.ipd.observation;discrete=5");
  assert.equal(actionType, 'application/vnd.matrix.ipd.action;discrete=2;values="C D"');
  const { properties } = JSON.parse(configSchema);
  assert.deepEqual([properties.turns.default, properties.turns.maximum], [200, 1_000_000]);
  assert.deepEqual(properties.payoffs.default, { reward: 3, sucker: 0, temptation: 5, punishment: 1 });
});

test("self-play is an option", () => {
  const seats = (run) => run.prompts.map(({ player, seat }) => [player, seat]);
  assert.deepEqual(seats(new Run(Ipd)), [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]);
  assert.deepEqual(seats(new Run(Ipd, { config: { self_play: false } })), [[0, 1], [1, 0]]);
});

test("wrong setups are named", () => {
  const wrong = [
    ["{", /no JSON/],
    [{ turn: 3 }, /`turn`/],
    [{ turns: 0 }, /`turns` is 0/],
    [{ turns: 1_000_001 }, /from 1 to 1000000/],
    [{ turns: 2.5 }, /must be integer/],
    [{ payoffs: { reward: 1e10 } }, /`payoffs.reward`/],
    [{ payoffs: { rewards: 1 } }, /`payoffs.rewards`/],
    [{ on_invalid: "forgive" }, /`cooperate`/],
    ["null", /must be an object/],
  ];
  for (const [config, named] of wrong) assert.throws(() => new Run(Ipd, { config }), { name: "Failure", message: named });
  for (const players of [0, 1, 101]) assert.throws(() => new Run(Ipd, { players }), /take 2 to 100/);
  assert.equal(new Run(Ipd, { players: 100 }).prompts.length, 100 * 101);
});

test("what is no state is refused", () => {
  const run = new Run(Ipd, { players: ["ada", "bob"], config: { turns: 9 } });
  run.step(() => "C");
  const [schema, bytes] = run.snapshot();
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => run.restore(schema, bytes.slice(0, length)), Failure);
  }
  for (const wrong of [Uint8Array.of(...bytes, 0), new Uint8Array(64), new Uint8Array(64).fill(255)]) {
    assert.throws(() => run.restore(schema, wrong), Failure);
  }
  assert.throws(() => run.restore("ipd/2", bytes), /this code reads `ipd\/1`/);
  assert.deepEqual(run.snapshot(), [schema, bytes]);
});

test("the state is that of the rules in Rust", () => {
  const config = { turns: 2, self_play: false, payoffs: { reward: 1, sucker: 0 } };
  const run = new Run(Ipd, { players: ["a", "b"], config });
  run.step(({ player }) => (player === 0 ? "C" : "D"));
  const [one, five] = [[0, 0, 0, 0, 0, 0, 0xf0, 0x3f], [0, 0, 0, 0, 0, 0, 0x14, 0x40]];
  const none = Array(8).fill(0);
  const head = [2, 1, 97, 1, 98, 2, ...one, ...none, ...five, ...one, 0, 1, 2, 1, 1];
  const expected = Uint8Array.of(...head, 0, 1, ...none, ...five, 1, 0, 0, 1);
  assert.deepEqual(run.snapshot(), ["ipd/1", expected]);
});

test("the view is a picture without foreign markup", () => {
  const view = new Run(Ipd, { players: ["<script>", "b&b"] }).view();
  assert.equal(view.contentType, "image/svg+xml");
  const text = view.decode();
  assert.ok(text.startsWith("<svg ") && text.endsWith("</svg>\n"));
  assert.ok(!text.includes("<script>") && text.includes("&lt;script&gt;") && text.includes("b&amp;b"));
});

test("words are masked in texts alone", () => {
  const stage = new Stage(Mask, { words: "zion neo zionist" });
  assert.equal(stage.outbound("neo, of zion and zionists").decode(), "***, of *** and ***s");
  for (const said of [Content.text("nothing of it"), new Content("application/octet-stream", encode("zion"))]) {
    assert.deepEqual(stage.outbound(said), said);
  }
  const said = new Content("Text/markdown; charset=utf-8", Uint8Array.of(255, ...encode(" zion "), 128));
  assert.deepEqual(stage.outbound(said), new Content(said.contentType, Uint8Array.of(255, ...encode(" *** "), 128)));
  assert.equal(stage.inbound("zion").decode(), "zion");
  assert.equal(new Stage(Mask, { words: "überall", with: "$&" }).outbound("überall").decode(), "$&");
});

test("a forbidden word is refused", () => {
  const stage = new Stage(Mask, { forbidden: "attack" });
  assert.equal(stage.outbound("at dawn").decode(), "at dawn");
  assert.throws(() => stage.outbound("attack at dawn"), /no message may say/);
});

test("with settings that it cannot read it rejects everything", () => {
  const wrong = [
    [{}, /nothing to do/],
    [{ word: "x" }, /no setting `word`/],
    [{ words: "zion ab" }, /`ab`, which is shorter/],
    [{ words: "zion ".repeat(65) }, /there may be 64/],
  ];
  for (const [settings, named] of wrong) assert.throws(() => new Stage(Mask, settings).outbound("hello"), named);
});
