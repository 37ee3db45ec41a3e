/** What a real service says that it can do, and how its parts are; and that what it refuses is what it says it refuses. */
import { assert, describe, it } from "vitest";

import type { NodeClient } from "../../src/client/node.ts";
import { mlxdErrorOf } from "../support/error-of.ts";
import { runCommand } from "../support/mlxd-command.ts";
import { createModelFolder } from "../support/model-folder.ts";
import { startModelService } from "../support/model-service.ts";

const start = () => startModelService(createModelFolder(["demo", "gemma"], ["missing-tensor"]));

/** That a tensor is missing shows when the model is loaded. */
const loadBroken = async (client: NodeClient): Promise<void> => {
  assert.strictEqual((await mlxdErrorOf(client.loadModel("missing-tensor"))).reason, "MODEL_BROKEN");
};

describe("diagnostics", () => {
  it("tell which tasks are supported by which engines and models, and refusals point there", async () => {
    await using running = await start();
    const { client } = running;
    await loadBroken(client);
    const { tasks, engines, models } = await client.diagnostics.supportedTasks();
    const names = tasks.map(({ name }) => name);
    assert.includeMembers(names, ["chat", "prompt", "tokens", "tools", "vision", "embeddings", "tokenize"]);
    assert.strictEqual(engines[0]?.engine, "local_mlx");
    assert.strictEqual(engines[0]?.models, 3);
    assert.isTrue(engines.some(({ engine, models: count }) => engine === "ollama" && count === 0));
    for (const { tasks: each } of [...engines, ...models]) {
      assert.deepEqual(
        each.map(({ task }) => task),
        names,
      );
      for (const { supported, reason } of each) assert.strictEqual(supported, reason === "");
    }
    assert.deepEqual(
      models.map(({ key, state }) => [key, state]),
      [
        ["local_mlx:demo", "available"],
        ["local_mlx:gemma", "available"],
        ["local_mlx:missing-tensor", "failed"],
      ],
    );
    assert.match(models[2]?.tasks[0]?.reason ?? "", /^it has failed: /);
    const vision = await client.diagnostics.supportedTasks({ task: "vision", model: "local_mlx:demo" });
    assert.deepEqual(vision.models[0]?.tasks, [
      { task: "vision", supported: false, reason: "its engine takes no images" },
    ]);
    const image = { role: "user" as const, content: [{ image: new Uint8Array([1]), mediaType: "image/png" }] };
    const refused = await mlxdErrorOf(client.generate({ messages: [image] }, { model: "demo" }));
    assert.deepInclude(refused, { code: "INVALID_ARGUMENT", reason: "UNSUPPORTED_TASK" });
    assert.include(refused.message, "ListSupportedTasks");
    const unknown = await mlxdErrorOf(client.diagnostics.supportedTasks({ task: "smell" }));
    assert.deepInclude(unknown, { code: "INVALID_ARGUMENT", reason: "INVALID_FIELD" });
    assert.include(unknown.message, '"smell" is no kind of task; there are chat, prompt');
    assert.strictEqual(
      (await mlxdErrorOf(client.diagnostics.supportedTasks({ model: "none" }))).reason,
      "MODEL_NOT_FOUND",
    );
  }, 120_000);

  it("tell the health of each part, as a call and in mlxd stats", async () => {
    await using running = await start();
    const { client, service } = running;
    await loadBroken(client);
    await client.generate("What is 2+2?", { model: "demo" });
    const { state, parts } = await client.diagnostics.health();
    assert.strictEqual(state, "degraded");
    const stateOf = Object.fromEntries(parts.map(({ kind, name, state: own }) => [`${kind} ${name}`, own]));
    assert.deepInclude(stateOf, {
      "model local_mlx:demo": "ok",
      "model local_mlx:missing-tensor": "down",
      "queue queue": "ok",
    });
    assert.notProperty(stateOf, "model local_mlx:gemma");
    const { stdout } = await runCommand(["stats", "--server", service.url]);
    assert.match(stdout, /health: degraded\nPART +NAME +STATE +REASON *\nmodel +local_mlx:demo +ok *\n/);
    const json = await runCommand(["stats", "--json", "--server", service.url]);
    const told = JSON.parse(json.stdout) as { health?: { state?: string }; total?: { succeeded?: number } };
    assert.deepEqual([told.health?.state, told.total?.succeeded], ["degraded", 1]);
  }, 120_000);
});
