/** Metrics as Prometheus gets them, over the real server. */
import { createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { assert, describe, it } from "@effect/vitest";

import { startTestServer } from "../../support/test-server.ts";
import { freePort } from "../../support/free-port.ts";

describe("GET /metrics", () => {
  it("answers on the service's port, in Prometheus' format", async () => {
    await using server = await startTestServer();
    const response = await fetch(`${server.url}/metrics`);
    assert.strictEqual(response.status, 200);
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    for (const name of [
      "mlxd_memory_budget_bytes",
      "mlxd_model_unloads_total",
      "vllm:num_requests_running",
      "vllm:num_requests_waiting",
      "vllm:kv_cache_usage_perc",
    ]) {
      assert.match(text, new RegExp(`^# TYPE ${name} (gauge|counter)$`, "m"));
    }
  });

  it("answers on a port of its own, and there alone", async () => {
    const port = await freePort();
    await using server = await startTestServer({ config: { metrics: port } });
    assert.strictEqual((await fetch(`${server.url}/metrics`)).status, 404);
    assert.strictEqual((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 200);
    assert.strictEqual((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
  });

  it("answers nowhere when it is off", async () => {
    await using server = await startTestServer({ config: { metrics: "off" } });
    assert.strictEqual((await fetch(`${server.url}/metrics`)).status, 404);
  });

  it("says that its port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const failed = await startTestServer({ config: { metrics: port } }).then(
      () => "started",
      (cause: unknown) => String(cause),
    );
    taken.close();
    assert.include(failed, `127.0.0.1:${port} is in use`);
  });
});
