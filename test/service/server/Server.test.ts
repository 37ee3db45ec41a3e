import { createClient } from "@connectrpc/connect";
import { assert, describe, it } from "vitest";

import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { collect } from "../../support/collect.ts";
import { transports } from "../../support/rpc-transports.ts";
import { defaultTexts } from "../../support/scripted-generations.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { startTestServer } from "../../support/test-server.ts";

const task = { input: { case: "prompt", value: "hello" } } as const;

describe.each(transports)("over $name", ({ create }) => {
  it("answers a unary generation with its exact text, finish reason and usage", async () => {
    await using server = await startTestServer();
    const client = createClient(GenerationService, create(server.url));
    const { result } = await client.generate({ task: { ...task, output: { tokenIds: true, timings: true } } });
    assert.strictEqual(result?.candidates[0]?.text, defaultTexts.join(""));
    assert.deepStrictEqual(result?.candidates[0]?.tokenIds, [101, 102, 103, 104]);
    assertMatches(result?.usage, { promptTokens: 5, cachedPromptTokens: 2, outputTokens: 4 });
    assertMatches(result?.timings?.queue, { seconds: 0n, nanos: 1_250_000 });
    assertMatches(result?.parameters, { temperature: 0.7, seed: 42, stopSequences: ["<|end|>"] });
  });

  it("streams started, chunks and finished with dense sequence numbers", async () => {
    await using server = await startTestServer();
    const client = createClient(GenerationService, create(server.url));
    const events = await collect(client.streamGenerate({ task }));
    assert.deepStrictEqual(
      events.map(({ sequence }) => sequence),
      [0, 1, 2, 3, 4, 5],
    );
    assert.deepStrictEqual(
      events.map(({ event }) => event.case),
      ["started", "chunk", "chunk", "chunk", "chunk", "finished"],
    );
    const texts = events.map(({ event }) => (event.case === "chunk" ? event.value.text : ""));
    assert.strictEqual(texts.join(""), defaultTexts.join(""));
  });

  it("lists models without telling where they are", async () => {
    await using server = await startTestServer();
    const client = createClient(ModelService, create(server.url));
    const { models } = await client.listModels({});
    assert.deepStrictEqual(
      models.map(({ id }) => id),
      ["demo"],
    );
    assert.notInclude(
      JSON.stringify(models, (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value)),
      "secret",
    );
  });
});
