/** The calls of DiagnosticsService through the real router: what they tell of models that are only listed. */
import { assert, describe, it } from "vitest";

import { createMlxdClient, MlxdError, type NodeClient } from "../../../src/client/node.ts";
import { errorOf } from "../../support/error-of.ts";
import { modelStatus } from "../../support/listed-models.ts";
import { startTestServer, type TestServerOptions } from "../../support/test-server.ts";

const diagnose = async (
  models: ReturnType<NonNullable<TestServerOptions["models"]>>,
  test: (diagnostics: NodeClient["diagnostics"]) => Promise<void>,
): Promise<void> => {
  await using server = await startTestServer({ models: () => models });
  using client = createMlxdClient({ baseUrl: server.url });
  await test(client.diagnostics);
};

describe("ListSupportedTasks", () => {
  it("lists one kind of task of one model, and every engine with the number of its models", () =>
    diagnose([modelStatus("demo"), modelStatus("other", { state: "not-downloaded" })], async (diagnostics) => {
      const { tasks, engines, models } = await diagnostics.supportedTasks({ task: "chat", model: "other" });
      assert.deepEqual(
        tasks.map(({ name, calls }) => [name, calls[0]]),
        [["chat", "GenerationService/Generate"]],
      );
      assert.deepInclude(engines[0], { engine: "local_mlx", models: 2 });
      assert.isTrue(engines.some(({ engine, models: count }) => engine === "anthropic" && count === 0));
      const missing = [{ task: "chat", supported: false, reason: "its files are not here" }];
      assert.deepEqual(models, [
        { key: "local_mlx:other", model: "other", engine: "local_mlx", state: "not_downloaded", tasks: missing },
      ]);
    }));

  it("lists the models of all pages", () =>
    diagnose(
      Array.from({ length: 101 }, (_, index) => modelStatus(`m${index}`)),
      async (diagnostics) => assert.lengthOf((await diagnostics.supportedTasks({ task: "chat" })).models, 101),
    ));

  it("refuses a kind of task that there is not, with those that there are", () =>
    diagnose([modelStatus("demo")], async (diagnostics) => {
      const error = await errorOf(diagnostics.supportedTasks({ task: "smell" }));
      assert.instanceOf(error, MlxdError);
      assert.deepEqual([error.code, error.violations[0]?.field], ["INVALID_ARGUMENT", "task"]);
      assert.include(error.message, '"smell" is no kind of task; there are chat, prompt');
    }));
});

describe("GetPartsHealth", () => {
  it("tells the state of each part, and of the whole", () =>
    diagnose(
      [modelStatus("demo"), modelStatus("broken", { state: "failed", stateReason: "a tensor is missing" })],
      async (diagnostics) => {
        const { state, parts } = await diagnostics.health();
        assert.strictEqual(state, "degraded");
        assert.deepEqual(
          parts.map(({ kind, name, state: own, reason }) => [kind, name, own, reason]),
          [
            ["model", "local_mlx:demo", "ok", ""],
            ["model", "local_mlx:broken", "down", "a tensor is missing"],
            ["queue", "queue", "ok", "0 running, 0 waiting"],
            ["downloads", "downloads", "unused", "nothing is being downloaded"],
            ["job_store", "job_store", "unused", "no job has needed it"],
          ],
        );
      },
    ));
});
