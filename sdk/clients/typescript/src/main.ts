/**
 * Deploys a component, spawns a Soul of it, follows its events, and talks to it:
 *
 *     node dist/src/main.js http://127.0.0.1:7777 data/token guests/out/counter.wasm ada 'add 3' 'add 4'
 *
 * @module
 */
import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import type { UploadRequestSchema } from "../generated/matrix/v1/components_pb.js";
import { connect, type Node } from "./node.js";

/** Bytes in a chunk of an upload; a node takes up to 1 MiB. */
const CHUNK_BYTES = 64 * 1024;

const [address, tokenFile, component, soul, ...sayings] = process.argv.slice(2);
if (address === undefined || tokenFile === undefined || component === undefined || soul === undefined) {
  console.error("usage: node dist/src/main.js ADDRESS TOKEN_FILE COMPONENT SOUL [SAYING]...");
  process.exit(2);
}

/** The messages of an upload: what comes, then its bytes. */
async function* parts(name: string, bytes: Buffer): AsyncGenerator<MessageInitShape<typeof UploadRequestSchema>> {
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  yield { part: { case: "header", value: { name, size: BigInt(bytes.length), digest, requestId: randomUUID() } } };
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    yield { part: { case: "chunk", value: bytes.subarray(at, at + CHUNK_BYTES) } };
  }
}

/** Tells the events of a Soul until it has stopped; calls `ready` once the node has begun to tell. */
async function follow(node: Node, soul: string, ready: () => void): Promise<void> {
  for await (const { item } of node.events.subscribe({ sources: [`soul:${soul}`] }, { onHeader: ready })) {
    if (item.case === "missed") console.log(`missed events ${item.value.from} to ${item.value.to}`);
    if (item.case !== "event") continue;
    console.log(`event ${item.value.kind} ${item.value.source}`);
    if (item.value.kind === "soul.stopped") return;
  }
}

async function main(node: Node, component: string, soul: string): Promise<void> {
  const bytes = readFileSync(component);
  const uploaded = await node.components.upload(parts(basename(component, ".wasm"), bytes));
  const digest = uploaded.component?.digest ?? "";
  console.log(`component ${digest}`);

  let followed = Promise.resolve();
  await new Promise<void>((ready, failed) => {
    followed = follow(node, soul, ready);
    followed.catch(failed);
  });
  await node.souls.spawn({ manifest: { name: soul, component: digest }, requestId: randomUUID() });
  for (const saying of sayings) {
    const { reply } = await node.souls.ask({
      recipient: { to: { case: "soul", value: soul } },
      content: { contentType: "text/plain", body: Buffer.from(saying) },
    });
    console.log(`${soul}: ${Buffer.from(reply?.body ?? []).toString("utf8")}`);
  }
  await node.souls.stop({ name: soul, requestId: randomUUID() });
  await followed;
}

const node = connect(address, tokenFile);
try {
  await main(node, component, soul);
} catch (error) {
  // What is wrong, where, and what to change is in the message.
  console.error(`${Code[ConnectError.from(error).code]}: ${ConnectError.from(error).rawMessage}`);
  process.exitCode = 1;
} finally {
  node.close();
}
