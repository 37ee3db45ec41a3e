import { Effect } from "effect";
import { assert, describe, it } from "vitest";

import { Drain } from "../../../src/service/server/Drain.ts";
import { modelStatus } from "../../support/listed-models.ts";
import { requestHttp1 } from "../../support/raw-http.ts";
import { startTestServer } from "../../support/test-server.ts";

const page = async (port: number, path: string, method = "GET") => {
  const { status, body } = await requestHttp1(port, { path, method });
  return { status, text: body.toString() };
};

describe("/readyz", () => {
  it("tells that the server and its models serve", async () => {
    await using server = await startTestServer();
    assert.deepEqual(await page(server.port, "/readyz"), {
      status: 200,
      text: "server: serving\nmodels/demo: serving\n",
    });
    assert.deepEqual(await page(server.port, "/readyz", "HEAD"), { status: 200, text: "" });
  });

  it("tells in words why a model does not serve, and nothing of what it is", async () => {
    await using server = await startTestServer({
      models: () => [modelStatus("demo"), modelStatus("b", { state: "failed", stateReason: "a secret of its files" })],
    });
    const { status, text } = await page(server.port, "/readyz");
    assert.strictEqual(status, 200);
    assert.include(text, "models/b: not serving: it failed; GetModel tells why");
    assert.notInclude(text, "secret");
  });

  it("is 503 while no model can answer", async () => {
    await using server = await startTestServer({ models: () => [modelStatus("b", { state: "failed" })] });
    const { status, text } = await page(server.port, "/readyz");
    assert.strictEqual(status, 503);
    assert.include(text, "server: not serving: no model can answer");
    assert.deepEqual(await page(server.port, "/healthz"), { status: 200, text: "ok\n" });
  });

  it("is 503 from a shutdown's announcement on, while calls are still taken, and to its end", async () => {
    await using server = await startTestServer();
    await server.runtime.runPromise(Effect.flatMap(Drain, (drain) => drain.announce));
    assert.deepInclude(await page(server.port, "/readyz"), { status: 503 });
    assert.strictEqual((await page(server.port, "/")).status, 200);
    await server.runtime.runPromise(Effect.flatMap(Drain, (drain) => drain.begin));
    const { status, text } = await page(server.port, "/readyz");
    assert.strictEqual(status, 503);
    assert.include(text, "server: not serving: the service is shutting down");
    assert.strictEqual((await page(server.port, "/")).status, 503);
    assert.strictEqual((await page(server.port, "/healthz")).status, 200);
  });
});
