// What a component says of itself.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { ofPackage, producersOf, said, written } from "../bin/labels.mjs";

const COMPONENT = Buffer.from("0061736d0d000100", "hex");

test("what is said replaces what was said, and leaves the rest", () => {
  const inside = Buffer.from([1, 3, 0, 1, 0]);
  const names = Buffer.concat([Buffer.from("\0\x16\x0ecomponent-name", "latin1"), inside, Buffer.from("\0\x01\x00", "latin1")]);
  names[1] = names.length - 2;
  const before = Buffer.concat([COMPONENT, Buffer.from([1, 2, 97, 98]), names]);
  const first = written(before, { version: "1", revision: "kept" }, [["sdk", "matrix-soul", "0"]]);
  const again = written(first, { name: "greeter", version: "1.2.3" }, [
    ["sdk", "matrix-soul", "1"],
    ["language", "JavaScript", ""],
  ]);
  const found = said(again);
  assert.equal(found["component-name"].toString("latin1"), "\0\x08\x07greeter" + inside.toString("latin1"));
  assert.equal(`${found.version} ${found.revision}`, "1.2.3 kept");
  assert.deepEqual(producersOf(found.producers), [
    ["sdk", "matrix-soul", "1"],
    ["language", "JavaScript", ""],
  ]);
  assert.ok(again.includes(Buffer.from([1, 2, 97, 98])));
  assert.deepEqual(written(again, { version: "1.2.3" }, []), written(written(again, { version: "1.2.3" }, []), { version: "1.2.3" }, []));
});

test("long texts are framed, and what is no component is refused", () => {
  const text = "ä".repeat(200);
  assert.equal(said(written(COMPONENT, { description: text }, [])).description.toString(), text);
  assert.throws(() => written(Buffer.from("0061736d01000000", "hex"), {}, []), /no component/);
  assert.throws(() => written(Buffer.concat([COMPONENT, Buffer.from([0, 0x80])]), {}, []), /cut off/);
});

test("the nearest package is read, but for this one", () => {
  const folder = mkdtempSync(join(tmpdir(), "labels-"));
  try {
    mkdirSync(join(folder, "src"));
    writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({
        name: "many",
        version: "2.0.0",
        description: "Greets.",
        license: "MIT",
        author: "Ada Example <ada@example.org>",
        contributors: [{ name: "Eve Example", email: "eve@example.org" }],
        repository: { type: "git", url: "git+https://example.org/many.git" },
        homepage: "nowhere",
      }),
    );
    assert.deepEqual(ofPackage(join(folder, "src")), {
      version: "2.0.0",
      authors: "Ada Example <ada@example.org>, Eve Example <eve@example.org>",
      description: "Greets.",
      licenses: "MIT",
      source: "https://example.org/many.git",
    });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "matrix-soul", version: "9" }));
    assert.deepEqual(ofPackage(folder), {});
  } finally {
    rmSync(folder, { recursive: true });
  }
});
