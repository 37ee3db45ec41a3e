import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import { Agent } from "undici";

import {
  untilItAnswers,
  untilItListens,
  untilItServes,
} from "../../../../src/service/engine/managed/wait-until-it-answers.ts";
import { key, scriptedBackend } from "../../../support/scripted-backend.ts";

const dispatcherOf = Effect.acquireRelease(
  Effect.sync(() => new Agent()),
  (agent) => Effect.promise(() => agent.destroy()),
);
const said = (choices: unknown) => JSON.stringify({ choices });

describe("a server that is waited for", () => {
  it.live("is ready when it has answered a question, and not before", () =>
    Effect.gen(function* () {
      const statuses = [503, 429, 502];
      const backend = yield* scriptedBackend((response) => {
        const status = statuses.shift();
        if (status !== undefined) response.writeHead(status).end("{}");
        else response.writeHead(200).end(said([{ message: {} }]));
      });
      const server = { backend: backend.settings, dispatcher: yield* dispatcherOf, model: "org/demo" };
      yield* untilItAnswers(server);
      assert.lengthOf(backend.requests, 4);
      const [request] = backend.requests;
      assert.strictEqual(request?.path, "/v1/chat/completions");
      assert.strictEqual(request?.headers.authorization, `Bearer ${key}`);
      assert.deepInclude(request?.body, { model: "org/demo", max_tokens: 1, stream: false });
    }),
  );

  it.live("is asked in the form of its API", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend(
        (response, { path }) => {
          if (path === "/v1/messages") response.writeHead(200).end('{"content": [{"type": "text", "text": "1"}]}');
          else response.writeHead(404).end();
        },
        { engine: "anthropic" },
      );
      const server = { backend: backend.settings, dispatcher: yield* dispatcherOf, model: "org/demo" };
      yield* untilItAnswers(server);
      assert.strictEqual(backend.requests[0]?.headers["x-api-key"], key);
      assert.deepInclude(backend.requests[0]?.body, { max_tokens: 1, stream: false });
    }),
  );

  it.live("is asked again where its answer breaks off, and refuses with the beginning of a long one", () =>
    Effect.gen(function* () {
      let asked = 0;
      const backend = yield* scriptedBackend((response) => {
        asked += 1;
        if (asked === 1) response.writeHead(200).write('{"choices"', () => response.destroy());
        else response.writeHead(200).write("x".repeat(1024 ** 2));
      });
      const server = { backend: backend.settings, dispatcher: yield* dispatcherOf, model: "org/demo" };
      const refusal = yield* Effect.flip(untilItAnswers(server));
      assert.strictEqual(asked, 2);
      assert.lengthOf(refusal.words, 64 * 1024);
    }),
  );

  it.live.each([
    [404, '{"error": "generation thread died"}'],
    [400, "no"],
    [500, "{}"],
    [200, "hello"],
    [200, said([])],
  ] as const)("is given up when it answers %s with %s", ([status, body]) =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void response.writeHead(status).end(body));
      const server = { backend: backend.settings, dispatcher: yield* dispatcherOf, model: "org/demo" };
      const refusal = yield* Effect.flip(untilItAnswers(server));
      assert.deepInclude(refusal, { status, words: body });
    }),
  );

  it.live("listens with any answer, and serves with any but its own fault", () =>
    Effect.gen(function* () {
      let asked = 0;
      const backend = yield* scriptedBackend((response) => {
        asked += 1;
        response.writeHead(asked < 3 ? 500 : 404).end();
      });
      const server = { backend: backend.settings, dispatcher: yield* dispatcherOf, model: "org/demo" };
      yield* untilItListens(server);
      assert.strictEqual(asked, 1);
      yield* untilItServes(server);
      assert.strictEqual(asked, 3);
    }),
  );
});
