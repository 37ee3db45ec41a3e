import { Code, createClient } from "@connectrpc/connect";
import { Stream } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { eventsOf, promptOf } from "../../support/scripted-generations.ts";
import { requestHttp1, requestHttp2 } from "../../support/raw-http.ts";
import { transports } from "../../support/rpc-transports.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";
import { detailsOf, errorOf } from "../../support/wire-error.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({
    stream: (task) =>
      promptOf(task) === "bug" ? Stream.die(new Error("a bug")) : Stream.fromIterable(eventsOf(["a"])),
  });
});
afterAll(() => server.close());

const task = (prompt: string) => ({ task: { input: { case: "prompt", value: prompt } } }) as const;

describe.each(transports)("over $name", ({ create }) => {
  it("the caller's id comes back, and names the call in its error and in the log", async () => {
    const client = createClient(GenerationService, create(server.url));
    const headers = { "x-request-id": `trace-${Math.trunc(performance.now())}` };
    let echoed: string | null = null;
    await client.generate(task("x"), { headers, onHeader: (header) => (echoed = header.get("x-request-id")) });
    assert.strictEqual(echoed, headers["x-request-id"]);

    const error = await errorOf(client.generate(task("bug"), { headers }));
    assert.strictEqual(error.code, Code.Internal);
    assert.strictEqual(error.metadata.get("x-request-id"), headers["x-request-id"]);
    assert.deepStrictEqual(detailsOf(error).info?.metadata, { requestId: headers["x-request-id"] });
    assert.include(JSON.stringify(server.log), headers["x-request-id"]);
  });
});

describe.each([requestHttp1, requestHttp2])("any answer", (request) => {
  const path = "/mlxd.v1.GenerationService/Generate";

  it.each([
    ["a greeting", { method: "GET", path: "/" }, 200],
    ["a path that is none", { path: "/x" }, 404],
    ["a method that is not allowed", { method: "PUT", path }, 405],
    ["a content type that is not taken", { path, body: "x" }, 415],
    ["a body that cannot be read", { path, headers: { "content-type": "application/json" }, body: "{" }, 400],
  ])("to %s has an id", async (_what, asked, status) => {
    const answer = await request(server.port, asked);
    assert.strictEqual(answer.status, status);
    assert.match(String(answer.headers["x-request-id"]), /^[\da-f]{8}-[\da-f-]{27}$/);
  });

  it.each(["", "two words", "x".repeat(129), "\u00e9"])("takes no id that is none: %j", async (id) => {
    const answer = await request(server.port, { method: "GET", path: "/", headers: { "x-request-id": id } });
    assert.match(String(answer.headers["x-request-id"]), /^[\da-f]{8}-[\da-f-]{27}$/);
  });
});
