import type { ServerResponse } from "node:http";
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import { type Dispatcher, request } from "undici";

import { AnswerUnreadable } from "../../../../src/service/engine/backends/problems.ts";
import { connectionsTo } from "../../../../src/service/engine/backends/connections.ts";
import { beginningOf, decoded, linesOf, shortText } from "../../../../src/service/engine/backends/response-body.ts";
import { scriptedBackend } from "../../../support/scripted-backend.ts";

type Body = Dispatcher.ResponseData["body"];

/** What comes of reading a body; its failure, where it fails. */
const readFrom = <A>(answer: Parameters<typeof scriptedBackend>[0], read: (body: Body) => Promise<A>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { settings } = yield* scriptedBackend(answer);
      const dispatcher = yield* connectionsTo(settings);
      return yield* Effect.promise(async () => {
        const { body } = await request(settings.baseUrl, { dispatcher });
        body.on("error", () => {});
        return read(body).catch((error: unknown) => error);
      });
    }),
  );

const listed = async (texts: AsyncIterable<string>): Promise<ReadonlyArray<string>> => {
  const all: string[] = [];
  for await (const text of texts) all.push(text);
  return all;
};

describe("the body of a response", () => {
  it.live("has characters whole, however its bytes are cut", () =>
    Effect.gen(function* () {
      const read = yield* readFrom(
        async (response) => {
          for (const byte of Buffer.from("한 😀")) {
            response.write(Uint8Array.of(byte));
            await new Promise((resolve) => setImmediate(resolve));
          }
          response.end();
        },
        async (body) => (await listed(decoded(body))).join(""),
      );
      assert.strictEqual(read, "한 😀");
    }),
  );

  it.live("has lines, the last of which may lack its end", () =>
    Effect.gen(function* () {
      const lines = (text: string) =>
        readFrom(
          (response) => void response.end(text),
          (body) => listed(linesOf(body)),
        );
      assert.deepStrictEqual(yield* lines("a\r\n\nb\nc"), ["a", "b", "c"]);
      assert.deepStrictEqual(yield* lines(""), []);
      assert.instanceOf(yield* lines("x".repeat(65_537)), AnswerUnreadable);
      assert.instanceOf(yield* lines(`${"x".repeat(65_537)}\n`), AnswerUnreadable);
    }),
  );

  it.live("has a beginning, which is waited for no longer than for what a server says of an error", () =>
    Effect.gen(function* () {
      const beginning = (answer: Parameters<typeof scriptedBackend>[0]) => readFrom(answer, beginningOf);
      assert.strictEqual(yield* beginning((response) => void response.end("no")), "no");
      const long = yield* beginning((response) => void response.end("x".repeat(1024 ** 2)));
      assert.strictEqual(long, "x".repeat(64 * 1024));
      const breakOff = (response: ServerResponse) => void response.write("no", () => response.destroy());
      assert.strictEqual(yield* beginning(breakOff), "no");
      assert.instanceOf(yield* readFrom(breakOff, shortText), Error);
      // It neither ends nor says more.
      assert.strictEqual(yield* beginning((response) => void response.write("no")), "no");
    }),
  );
});
