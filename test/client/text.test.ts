/** Text comes through as it was sent: whole characters in every piece, and the pieces make the whole. */
import fc from "fast-check";
import { assert, describe, it } from "vitest";
import { clientKinds, connect } from "../support/client-kinds.ts";
import { collect } from "../support/collect.ts";
import { createInMemoryClient } from "../support/in-memory-client.ts";
import { saying } from "../support/scripted-events.ts";

const pieces = [
  "plain",
  " größer",
  " 東京",
  " 🍏",
  "👩‍👩‍👧", // several code points, one character
  "e\u0301", // a letter and its accent apart
  "\u0301",
  "\u200d",
  "\uFEFF", // would be taken for a byte order mark
  "\0",
  "\r\n",
  "\uFFFD",
  '"\\u0041',
];

describe.each(clientKinds)("over $name", (kind) => {
  it("text of every kind arrives as it was sent, joined and piece by piece", async () => {
    await using pair = await connect(kind, {
      async *stream() {
        yield* saying(...pieces);
      },
      generate: (request) => {
        const { input } = request.task ?? {};
        const message = input?.case === "chat" ? input.value.messages[0] : undefined;
        const part = message?.content[0]?.part;
        return { result: { candidates: [{ text: part?.case === "text" ? part.value : "" }] } };
      },
    });
    const stream = pair.client.stream("hi");
    assert.deepEqual(await collect(stream.textDeltas()), pieces);
    assert.equal((await stream.collect()).text, pieces.join(""));
    assert.equal((await pair.client.generate(pieces.join(""))).text, pieces.join(""));
  });

  it("a megabyte arrives whole", async () => {
    const piece = "🍏".repeat(1 << 16);
    await using pair = await connect(kind, {
      async *stream() {
        yield* saying(piece, piece, piece, piece);
      },
    });
    assert.equal((await pair.client.stream("hi").collect()).text, piece.repeat(4));
  });
});

describe("any text", () => {
  it("is what its pieces join to", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: "binary" })), async (texts) => {
        const client = createInMemoryClient({ stream: () => saying(...texts) });
        const stream = client.stream("hi");
        let joined = "";
        for await (const delta of stream.textDeltas()) joined += delta;
        assert.equal(joined, texts.join(""));
        assert.equal((await stream.collect()).text, joined);
      }),
      { numRuns: 50 },
    );
  });
});
