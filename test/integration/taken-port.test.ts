/** A port that was taken was told of after the model had loaded: minutes, for a large one. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { assert, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

it("a port that is taken is told of before a model is loaded", { timeout: 120_000 }, async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const child = spawn(process.execPath, ["src/service/main.ts"], {
    cwd: root,
    env: { ...process.env, MLXD_PORT: String(port), MLXD_LOG_LEVEL: "Debug" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    const log = text(child.stderr);
    assert.strictEqual((await once(child, "exit"))[0], 1);
    assert.include(await log, `mlxd cannot start: 127.0.0.1:${port} is in use`);
    assert.notMatch(await log, /load|engine/i);
  } finally {
    child.kill("SIGKILL");
    taken.close();
  }
});
