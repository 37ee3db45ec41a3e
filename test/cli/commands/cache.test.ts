/** `mlxd cache` with a real service: what it prints, how it ends, and what it refuses before it calls. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { createMlxdClient, type NodeClient } from "../../../src/client/node.ts";
import { runCommand } from "../../support/mlxd-command.ts";
import { type RunningService, startService } from "../../support/running-service.ts";

describe("mlxd cache", { timeout: 120_000 }, () => {
  let service: RunningService;
  let client: NodeClient;
  beforeAll(async () => {
    service = await startService({ MLXD_PRELOAD: "none" });
    client = createMlxdClient({ baseUrl: service.url });
  }, 120_000);
  afterAll(async () => {
    client.close();
    await service.stop();
  });

  const mlxd = (...args: string[]) => runCommand(["cache", ...args, "--server", service.url]);
  const printed = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await mlxd(...args);
    assert.strictEqual(exitCode, 0, stderr);
    return stdout;
  };
  const ask = () => client.generate("What is 2+2? Tell me, and think well about it.", { temperature: 0 });

  it("lists what is in memory, and tells how it was used", async () => {
    assert.strictEqual(await printed("list"), "No model is in memory.\n");
    await ask();
    await ask();
    assert.match(await printed("list"), /local_mlx:demo +active [^]+ 2 /);
    const stats = await printed("stats");
    assert.match(stats, /model lookups +2, 1 found \(50\.0 %\)[^]+local_mlx:demo +yes +2 +50\.0 %/);
    assert.match(stats, /models in memory +1 of 4/);
    assert.match(stats, /prompt lookups +2, 1 found/);
    assert.deepInclude(JSON.parse(await printed("stats", "--json")).models, { lookups: 2, hits: 1, loaded: 1 });
    assert.strictEqual(JSON.parse(await printed("list", "--json"))[0].key, "local_mlx:demo");
  });

  it("changes the limits, and says what holds", async () => {
    assert.match(
      await printed("resize", "--models", "10", "--memory-gb", "16"),
      /^max_cache_size: 4, now 10\n[^]*in force: 10 models, 16\.0 GiB; configured: 4 models/,
    );
    assert.match(await printed("resize", "--models", "10"), /^nothing has changed\n/);
    const refused = await mlxd("resize", "--memory-gb", "100.1");
    assert.deepEqual([refused.exitCode, refused.stdout], [1, ""]);
    assert.match(refused.stderr, /100\.1 is out of range; it must be between 1 and 100/);
  });

  it("takes out what is in memory, and knows what is not there and what is unknown", async () => {
    await ask();
    assert.match(await printed("clear", "--prefixes", "--model", "demo"), /^dropped 1 prompt of [\d.]+ KiB\n$/);
    assert.match(await printed("clear", "--prefixes", "--partition", ""), /^dropped 0 prompts of 0 B\n$/);
    assert.match(await printed("remove", "local_mlx:demo"), /^local_mlx:demo is removed; it had [\d.]+ MiB\n$/);
    assert.strictEqual(await printed("remove", "local_mlx:demo"), "local_mlx:demo was not in memory\n");
    assert.strictEqual(await printed("clear"), "nothing was removed\n");
    const unknown = await mlxd("remove", "ollama:llama2-7b");
    assert.strictEqual(unknown.exitCode, 1);
    assert.match(unknown.stderr, /no model is called "ollama:llama2-7b"/);
    await ask();
    await client.pinModel("demo");
    assert.strictEqual(await printed("clear"), "nothing was removed\nlocal_mlx:demo stays: it is pinned\n");
    assert.match(await printed("clear", "--include-pinned"), /^removed: local_mlx:demo; they had [\d.]+ MiB\n$/);
  });

  it.each([
    [["resize"], /takes --models or --memory-gb/],
    [["resize", "--models", "1.5"], /--models/],
    [["clear", "--model", "demo"], /take --prefixes/],
    [["clear", "--partition", ""], /take --prefixes/],
    [["clear", "--prefixes", "--include-pinned"], /--include-pinned is for models/],
    [["remove"], /key/],
  ])("refuses %j before it calls", async (args, message) => {
    const { exitCode, stderr } = await runCommand(["cache", ...args, "--server", "http://127.0.0.1:9"]);
    assert.strictEqual(exitCode, 2);
    assert.match(stderr, message);
  });
});
