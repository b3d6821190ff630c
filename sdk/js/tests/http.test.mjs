// Hosts in a fake node: what is asked is answered, or denied as a node denies, and nothing is held once that is done.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Refusal, Soul } from "matrix-soul";
import { get, HttpError, placeOf, post, request, Response } from "matrix-soul/http";
import { Failure, Node } from "matrix-soul/testing";
import { decode, encode } from "matrix-soul/text";

const HOST = "https://api.example.org";

/** Does what its test says. */
class Caller extends Soul {
  receive() {
    return Caller.does();
  }
}

/** What a Soul has of a call in a node whose hosts are prepared. */
function called(does, prepare = () => {}) {
  const node = new Node();
  const caller = node.spawn(Caller);
  prepare(node);
  let result;
  Caller.does = () => {
    try {
      result = does();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      result = error;
    }
  };
  caller.ask("go");
  assert.equal(node.hosts.held.count, 0, "resources are held");
  return { result, node };
}

const serving = (answer) => (node) => node.hosts.serve(`${HOST}/x`, answer);
const texts = (headers) => headers.map(([name, value]) => [name, decode(value)]);

test("a URL has its parts", () => {
  const parts = (scheme, authority, path) => ({ scheme, authority, path });
  assert.deepEqual(placeOf("https://a.org"), parts("HTTPS", "a.org", "/"));
  assert.deepEqual(placeOf("http://a.org:8080/b?c=d#e"), parts("HTTP", "a.org:8080", "/b?c=d"));
  assert.deepEqual(placeOf("https://a.org?q"), parts("HTTPS", "a.org", "/?q"));
  for (const wrong of ["", "a.org", "ftp://a.org", "https://", "https:///path"]) assert.equal(placeOf(wrong), undefined, wrong);
});

test("what is asked is answered, whatever the status", () => {
  const told = { status: 418, headers: { "X-Kind": "pot" }, body: '{"tea":true}' };
  const { result, node } = called(() => get(`${HOST}/x?q#part`, { headers: { Accept: "text/plain" }, timeoutMs: 1.5 }), serving(told));
  assert.deepEqual([result.status, result.header("x-kind"), result.header("none")], [418, "pot", undefined]);
  assert.deepEqual([result.text(), result.json()], ['{"tea":true}', { tea: true }]);
  const [{ headers, ...asked }] = node.hosts.asked;
  assert.deepEqual(asked, { method: "GET", url: `${HOST}/x?q`, body: new Uint8Array(), timeoutMs: 1.5 });
  assert.deepEqual(texts(headers), [["accept", "text/plain"]]);
  assert.equal(called(() => get(`${HOST}/y`), serving("x")).result.status, 404);
});

test("a body is sent whole, with its length, and read whole", () => {
  const long = Uint8Array.from({ length: 10_000 }, (_, place) => place % 251);
  const echo = ({ body }) => body;
  const headers = [["Content-Length", "7"], ["X-Raw", Uint8Array.of(0xff)], ["x-raw", "2"]];
  const { result, node } = called(() => post(`${HOST}/x`, long, { headers }), serving(echo));
  assert.deepEqual(result.body, long);
  const sent = node.hosts.asked[0].headers;
  assert.deepEqual(sent.map(([name]) => name), ["x-raw", "x-raw", "content-length"]);
  assert.deepEqual([sent[0][1], decode(sent[2][1])], [Uint8Array.of(0xff), "10000"]);
  const other = called(() => request("PURGE", `${HOST}/x`, { body: "é" }), serving(({ method, body }) => `${method} ${decode(body)}`));
  assert.equal(other.result.text(), "PURGE é");
});

test("a redirect is an answer", () => {
  const moved = { status: 302, headers: { location: `${HOST}/y` } };
  const { result, node } = called(() => get(`${HOST}/x`), serving(moved));
  assert.deepEqual([result.status, node.hosts.asked.length], [302, 1]);
});

test("what goes wrong has its kind, and leaves nothing behind", () => {
  const fails = (error) => called(() => post(`${HOST}/x`, "y".repeat(9000)), serving(() => { throw error; })).result;
  for (const kind of ["denied", "prohibited", "timeout", "too-large"]) {
    const error = fails(new HttpError(kind));
    assert.deepEqual([error.kind, error.message], [kind, new HttpError(kind).message]);
  }
  const failed = fails(new HttpError("failed", "away"));
  assert.deepEqual([failed.kind, failed.message, failed instanceof Refusal], ["failed", "away", true]);
  const wrong = (does) => called(does, serving("x"));
  for (const url of ["nowhere", "https://a b/", `${HOST}/a b`]) {
    const { result, node } = wrong(() => get(url));
    assert.deepEqual([result.kind, result.message, node.hosts.asked], ["url", `\`${url}\` is no URL: write \`https://HOST/PATH\``, []]);
  }
  for (const headers of [{ "a b": "" }, { Host: "a" }, { a: "b\nc" }]) {
    const { result } = wrong(() => get(`${HOST}/x`, { headers }));
    assert.deepEqual([result.kind, result.message], ["header", `the header \`${Object.keys(headers)[0]}\` cannot be set so`]);
  }
});

test("who has no grant, or no such host, is denied", () => {
  const elsewhere = called(() => post("http://elsewhere:1/x", "y".repeat(9000)), serving("x"));
  assert.deepEqual([elsewhere.result.kind, elsewhere.node.hosts.asked], ["denied", []]);
  assert.match(elsewhere.node.hosts.refused[0], /`http:\/\/elsewhere:1` is not among `http.hosts`/);
  const ungranted = called(() => get(`${HOST}/x`), (node) => (serving("x")(node), node.deny("http")));
  assert.equal(ungranted.result.kind, "denied");
  assert.match(ungranted.node.hosts.refused[0], /no grant: add "https:\/\/api.example.org" to `grants.http`/);
});

test("what is not caught is the failure of the message", () => {
  const caller = new Node().spawn(Caller);
  Caller.does = () => get(`${HOST}/x`).text();
  const message = "the request was denied: why stands in the Soul's log";
  assert.throws(() => caller.ask("go"), (error) => error instanceof Failure && error.message === message);
});

test("an answer that is no text, or no JSON, is refused", () => {
  const answer = (body) => new Response(200, [["raw", Uint8Array.of(0xff)]], body);
  assert.throws(() => answer(Uint8Array.of(0xff)).text(), { name: "Refusal", message: "the answer is not text in UTF-8" });
  assert.throws(() => answer(encode("{")).json(), { name: "Refusal", message: /^the answer is not JSON: / });
  assert.throws(() => answer(encode("")).header("Raw"), { message: "the header `Raw` is not text in UTF-8" });
});
