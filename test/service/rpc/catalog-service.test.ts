/** The calls of CatalogService through the real router: what they ask of the catalog, and what they refuse themselves. */
import { Effect } from "effect";
import { assert, describe, it } from "vitest";

import { createMlxdClient, MlxdError, type NodeClient } from "../../../src/client/node.ts";
import type { EntryChange } from "../../../src/service/models/Models.ts";
import { errorOf } from "../../support/error-of.ts";
import { startTestServer } from "../../support/test-server.ts";

const changed = { added: ["m"], removed: ["n"], changed: ["o"] };

/** Returns what the catalog was asked for. */
const askedBy = async (
  calls: (catalog: NodeClient["catalog"]) => Promise<void>,
): Promise<ReadonlyArray<EntryChange>> => {
  const asked: EntryChange[] = [];
  await using server = await startTestServer({
    changeEntry: (change) => Effect.sync(() => (asked.push(change), changed)),
  });
  using client = createMlxdClient({ baseUrl: server.url });
  await calls(client.catalog);
  return asked;
};

describe("CatalogService", () => {
  it("changes entries by the keys of mlxd.yaml, and tells which models that concerned", async () => {
    const asked = await askedBy(async (catalog) => {
      const backend = { engine: "vllm", baseUrl: "http://attic/v1", apiKeyVariable: "ATTIC_KEY", readTimeoutMs: 10 };
      assert.deepStrictEqual(await catalog.create(" attic ", { backend }), changed);
      const adapters = [{ id: "a", path: "models/a" }];
      const model = { backend: "attic", contextLength: 64, defaults: { topP: 0.5, stopSequences: ["$"] }, adapters };
      assert.deepStrictEqual(await catalog.update("m", { model }, { writeBack: true }), changed);
      assert.deepStrictEqual(await catalog.delete({ model: "m" }), changed);
    });
    assert.deepStrictEqual(asked, [
      {
        how: "create",
        kind: "backend",
        name: "attic",
        declaration: {
          engine: "vllm",
          base_url: "http://attic/v1",
          api_key_variable: "ATTIC_KEY",
          read_timeout_ms: 10,
        },
        writesBack: false,
      },
      {
        how: "update",
        kind: "model",
        name: "m",
        declaration: {
          backend: "attic",
          context_length: 64,
          defaults: { top_p: 0.5, stop_sequences: ["$"] },
          adapters: [{ id: "a", path: "models/a" }],
        },
        writesBack: true,
      },
      { how: "delete", kind: "model", name: "m", declaration: undefined, writesBack: false },
    ]);
  });

  it("sends no key to a server that it is not for", async () => {
    const own = "the service's own variables are not sent to other servers";
    const providers = "a key of openai is sent to no other server";
    const asked = await askedBy(async (catalog) => {
      for (const [backend, problem] of [
        [{ engine: "vllm", apiKeyVariable: "MLXD_HF_TOKEN" }, own],
        [{ engine: "vllm", apiKeyVariable: "hf_token" }, own],
        [{ engine: "vllm", apiKeyVariable: "OTEL_EXPORTER_OTLP_HEADERS" }, own],
        [{ engine: "vllm", apiKeyVariable: "OPENAI_API_KEY" }, providers],
        [{ engine: "openai", apiKeyVariable: "OPENAI_API_KEY", baseUrl: "http://attic/v1" }, providers],
      ] as const) {
        for (const how of ["create", "update"] as const) {
          const error = await errorOf(catalog[how]("attic", { backend }));
          assert.instanceOf(error, MlxdError);
          assert.deepStrictEqual(
            [error.code, error.violations[0]?.field],
            ["INVALID_ARGUMENT", "backend.apiKeyVariable"],
          );
          assert.include(error.message, problem);
        }
      }
      await catalog.create("provider", { backend: { engine: "OpenAI", apiKeyVariable: "OPENAI_API_KEY" } });
    });
    assert.lengthOf(asked, 1);
  });
});
