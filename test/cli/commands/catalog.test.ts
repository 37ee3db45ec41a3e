/** `mlxd catalog` through the real router: what it asks of the catalog, what it prints, and what it refuses before it calls. */
import { Effect } from "effect";
import { assert, describe, it } from "vitest";

import type { EntryChange } from "../../../src/service/models/Models.ts";
import { runCommand } from "../../support/mlxd-command.ts";
import { startTestServer } from "../../support/test-server.ts";

describe("mlxd catalog", { timeout: 120_000 }, () => {
  it("adds, changes and removes entries by the keys of mlxd.yaml", async () => {
    const asked: EntryChange[] = [];
    await using server = await startTestServer({
      changeEntry: (change) =>
        Effect.sync(() => {
          asked.push(change);
          return { added: change.how === "create" ? [change.name] : [], removed: [], changed: [] };
        }),
    });
    const mlxd = (...args: string[]) => runCommand(["catalog", ...args, "--server", server.url]);
    const added = await mlxd("add", "model", "far", "backend=attic", "context_length=64", "defaults.top_p=0.5");
    assert.deepEqual([added.exitCode, added.stdout], [0, "far is added\n"], added.stderr);
    const changed = await mlxd("change", "backend", "attic", "engine=ollama", "permits=2", "--write-back", "--json");
    assert.deepEqual(JSON.parse(changed.stdout), { added: [], removed: [], changed: [] }, changed.stderr);
    const removed = await mlxd("remove", "model", "far");
    assert.strictEqual(removed.stdout, "done; no model is concerned\n", removed.stderr);
    assert.deepEqual(
      asked.map(({ how, kind, name, declaration, writesBack }) => [how, kind, name, declaration, writesBack]),
      [
        ["create", "model", "far", { backend: "attic", context_length: 64, defaults: { top_p: 0.5 } }, false],
        ["update", "backend", "attic", { engine: "ollama", permits: 2 }, true],
        ["delete", "model", "far", undefined, false],
      ],
    );
  });

  it.each([
    [["add", "modle", "a", "engine=ollama"], /"modle" is neither backend nor model/],
    [["add", "model", "a", "ollama"], /"ollama" is not key=value/],
    [["add", "model", "a"], /missing required argument/],
    [["remove", "model"], /missing required argument/],
  ] as const)("is refused as %j", async (args, message) => {
    const { exitCode, stderr } = await runCommand(["catalog", ...args]);
    assert.strictEqual(exitCode, 2);
    assert.match(stderr, message);
  });
});
