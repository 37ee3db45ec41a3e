import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import type { BackendEngine } from "../../../../src/service/domain/backend-presets.ts";
import { askAbilities } from "../../../../src/service/engine/backends/ask-abilities.ts";
import { scriptedBackend } from "../../../support/scripted-backend.ts";
import { servedModel } from "../../../support/served-model.ts";

const asked = (engine: BackendEngine, answer: unknown, { status = 200, vision = false } = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const backend = yield* scriptedBackend(
        (response) =>
          void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer)),
        { engine },
      );
      const model = servedModel({ id: "demo", source: "org/demo", engine });
      const told = yield* askAbilities({ ...model, capabilities: { ...model.capabilities, vision } }, backend.settings);
      return { told, paths: backend.requests.map(({ path }) => path), body: backend.requests[0]?.body };
    }),
  );

const images = ["chat.images", "chat.image_urls"] as const;

describe("what a server says of its model", () => {
  it.live("is asked of Ollama", () =>
    Effect.gen(function* () {
      const { told, paths, body } = yield* asked("ollama", { capabilities: ["completion", "vision"] });
      assert.deepStrictEqual(told, ["chat.tools", "chat.tool_choice", "reasoning.effort"]);
      assert.deepStrictEqual(paths, ["/api/show"]);
      assert.deepStrictEqual(body, { model: "org/demo" });
    }),
  );

  it.live("comes after much else, such as a licence, as far as can be read", () =>
    Effect.gen(function* () {
      const answer = (characters: number) => ({
        license: "x".repeat(characters),
        capabilities: ["completion", "vision", "tools", "thinking"],
      });
      assert.deepStrictEqual((yield* asked("ollama", answer(500_000))).told, []);
      assert.deepStrictEqual((yield* asked("ollama", answer(1_100_000))).told, images);
    }),
  );

  it.live("is not waited for where the server says it a byte at a time, and no connection is left", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend(
        (response) => {
          response.writeHead(200, { "content-type": "application/json" });
          const drip = setInterval(() => response.write(" "), 20);
          response.on("close", () => clearInterval(drip));
        },
        { engine: "ollama" },
      );
      const model = servedModel({ id: "demo", source: "org/demo", engine: "ollama" });
      assert.deepStrictEqual(yield* askAbilities(model, backend.settings), images);
      while (backend.connections().open > 0) yield* Effect.sleep(10);
    }),
  );

  it.live("is asked of llama.cpp, LM Studio and OpenRouter", () =>
    Effect.gen(function* () {
      const llamacpp = yield* asked("llamacpp", { modalities: { vision: true } });
      assert.deepStrictEqual([llamacpp.told, llamacpp.paths], [[], ["/props"]]);
      const lmstudio = yield* asked("lmstudio", { type: "llm" }, { vision: true });
      assert.deepStrictEqual([lmstudio.told, lmstudio.paths], [images, ["/api/v0/models/org%2Fdemo"]]);
      const openrouter = yield* asked("openrouter", {
        data: {
          architecture: { input_modalities: ["text", "image"] },
          endpoints: [{ supported_parameters: ["temperature", "tools", "tool_choice", "stop", "seed", "top_p"] }],
        },
      });
      assert.deepStrictEqual(openrouter.paths, ["/v1/models/org/demo/endpoints"]);
      assert.deepStrictEqual(openrouter.told, [
        "sampling.top_k",
        "sampling.presence_penalty",
        "sampling.frequency_penalty",
      ]);
    }),
  );

  it.live("is nothing but that it takes no images where it does not say, unless it is known to", () =>
    Effect.gen(function* () {
      for (const [answer, status] of [
        [{}, 200],
        [{}, 404],
        [[], 200],
      ] as const) {
        assert.deepStrictEqual((yield* asked("ollama", answer, { status })).told, images);
        assert.deepStrictEqual((yield* asked("ollama", answer, { status, vision: true })).told, []);
      }
      const closed = yield* Effect.scoped(
        Effect.map(
          scriptedBackend(() => {}, { engine: "llamacpp" }),
          ({ settings }) => settings,
        ),
      );
      const model = servedModel({ id: "demo", source: "org/demo", engine: "llamacpp" });
      assert.deepStrictEqual(yield* askAbilities(model, closed), images);
    }),
  );

  it.live("is not asked of a server that does not tell", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* asked("vllm", {})).paths, []);
    }),
  );
});
