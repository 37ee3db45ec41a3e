import { type Client, createClient } from "@connectrpc/connect";
import { Effect } from "effect";
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest";

import { EmbeddingService, Pooling } from "../../../src/client/gen/mlxd/v1/embedding_service_pb.ts";
import type { EmbeddingTask } from "../../../src/service/domain/embedding.ts";
import { transports } from "../../support/rpc-transports.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { detailsOf, errorOf, violationOf } from "../../support/wire-error.ts";

let tasks: EmbeddingTask[] = [];
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ embed: (task) => Effect.sync(() => void tasks.push(task)) });
});
beforeEach(() => (tasks = []));
afterAll(() => server.close());

const text = (value: string) => ({ input: { case: "text", value } }) as const;

describe.each(transports)("over $name", ({ create }) => {
  let client: Client<typeof EmbeddingService>;
  beforeAll(() => {
    client = createClient(EmbeddingService, create(server.url));
  });

  it("a call arrives with all that was set, and its vectors come back", async () => {
    const answer = await client.embed({
      model: "demo",
      modelRevision: "r1",
      inputs: [text("ab"), { input: { case: "tokens", value: { ids: [3, 4, 5] } } }],
      pooling: Pooling.MEAN,
      normalize: false,
      dimensions: 8,
      truncate: true,
      scheduling: { priority: 2, fairnessId: "team", maxQueueWait: { seconds: 2n } },
    });
    assert.deepStrictEqual(tasks, [
      {
        model: "demo",
        modelRevision: "r1",
        inputs: [
          { type: "text", text: "ab" },
          { type: "tokens", ids: [3, 4, 5] },
        ],
        pooling: "mean",
        normalize: false,
        dimensions: 8,
        truncate: true,
        scheduling: { priority: 2, fairnessId: "team", maxQueueWaitMs: 2000 },
      },
    ]);
    assertMatches(answer, {
      model: "demo",
      modelRevision: "r1",
      embeddings: [
        { values: [0, 2], tokens: 2, truncated: false },
        { values: [1, 3], tokens: 3, truncated: false },
      ],
      usage: { promptTokens: 9 },
      pooling: Pooling.MEAN,
      normalized: false,
    });
  });

  it("what is not set is left to the model, and vectors have length 1", async () => {
    const { normalized } = await client.embed({ inputs: [text("a")] });
    assert.isTrue(normalized);
    assert.deepStrictEqual(tasks, [
      {
        model: "",
        inputs: [{ type: "text", text: "a" }],
        normalize: true,
        truncate: false,
        scheduling: { fairnessId: "" },
      },
    ]);
  });

  it.each([
    ["no input", {}, "inputs: it has 0 items; it must contain at least 1 item(s)"],
    [
      "257 inputs",
      { inputs: Array.from({ length: 257 }, () => text("a")) },
      "inputs: it has 257 items; it must contain no more than 256 item(s)",
    ],
    ["an empty text", { inputs: [text("")] }, "inputs[0].text: "],
    ["an input of neither kind", { inputs: [{}] }, "inputs[0].input: "],
    ["no dimensions", { inputs: [text("a")], dimensions: 0 }, "dimensions: 0 is out of range"],
    ["an unknown pooling", { inputs: [text("a")], pooling: 9 as Pooling }, "pooling: 9 is not allowed"],
  ] as const)("refuses %s by its name", async (_what, request, violation) => {
    const error = await errorOf(client.embed(request as Parameters<typeof client.embed>[0]));
    assert.strictEqual(detailsOf(error).info?.reason, "INVALID_FIELD");
    assert.include(violationOf(error), violation);
    assert.deepStrictEqual(tasks, []);
  });
});
