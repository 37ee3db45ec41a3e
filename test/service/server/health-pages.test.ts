import { Effect } from "effect";
import { describe, expect, it } from "vitest";

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
    expect(await page(server.port, "/readyz")).toEqual({
      status: 200,
      text: "server: serving\nmodels/demo: serving\n",
    });
    expect(await page(server.port, "/readyz", "HEAD")).toEqual({ status: 200, text: "" });
  });

  it("tells in words why a model does not serve, and nothing of what it is", async () => {
    await using server = await startTestServer({
      models: () => [modelStatus("demo"), modelStatus("b", { state: "failed", stateReason: "a secret of its files" })],
    });
    const { status, text } = await page(server.port, "/readyz");
    expect(status).toBe(200);
    expect(text).toContain("models/b: not serving: it failed; GetModel tells why");
    expect(text).not.toContain("secret");
  });

  it("is 503 while no model can answer", async () => {
    await using server = await startTestServer({ models: () => [modelStatus("b", { state: "failed" })] });
    const { status, text } = await page(server.port, "/readyz");
    expect(status).toBe(503);
    expect(text).toContain("server: not serving: no model can answer");
    expect(await page(server.port, "/healthz")).toEqual({ status: 200, text: "ok\n" });
  });

  it("is 503 from a shutdown's announcement on, while calls are still taken, and to its end", async () => {
    await using server = await startTestServer();
    await server.runtime.runPromise(Effect.flatMap(Drain, (drain) => drain.announce));
    expect(await page(server.port, "/readyz")).toMatchObject({ status: 503 });
    expect((await page(server.port, "/")).status).toBe(200);
    await server.runtime.runPromise(Effect.flatMap(Drain, (drain) => drain.begin));
    const { status, text } = await page(server.port, "/readyz");
    expect(status).toBe(503);
    expect(text).toContain("server: not serving: the service is shutting down");
    expect((await page(server.port, "/")).status).toBe(503);
    expect((await page(server.port, "/healthz")).status).toBe(200);
  });
});
