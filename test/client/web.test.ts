/** What the web entry asks of a runtime's fetch: edge runtimes refuse a request with options that they do not have. */
import { assert, describe, it } from "vitest";
import { isMlxdError } from "../../src/client/index.ts";
import { createMlxdClient } from "../../src/client/web.ts";
import { saying } from "../support/scripted-events.ts";
import { startScriptedServer } from "../support/scripted-server.ts";

describe("the web entry", () => {
  it("makes requests with a method, headers, a body and a signal, and follows no redirect", async () => {
    await using server = await startScriptedServer({
      httpVersion: "1.1",
      generate: () => ({ result: { candidates: [{ text: "a" }] } }),
      async *stream() {
        yield* saying("a");
      },
    });
    const asked: RequestInit[] = [];
    const client = createMlxdClient({
      baseUrl: server.url,
      fetch: (input, init = {}) => {
        asked.push(init);
        return fetch(input, init);
      },
    });
    await client.generate("hi");
    await client.stream("hi").collect();
    assert.lengthOf(asked, 2);
    for (const init of asked) {
      assert.sameMembers(Object.keys(init), ["body", "headers", "method", "redirect", "signal"]);
      assert.equal(init.redirect, "manual");
      assert.equal(init.method, "POST");
      assert.match(new Headers(init.headers).get("content-type") ?? "", /^application\/(connect\+)?proto$/);
    }
  });

  it("takes a browser's opaque redirect for what it is", async () => {
    const opaque = { type: "opaqueredirect", status: 0, headers: new Headers(), body: null } as Response;
    const client = createMlxdClient({ baseUrl: "http://127.0.0.1:1", fetch: async () => opaque });
    const error = await client.generate("hi").catch((reason: unknown) => reason);
    assert(isMlxdError(error, "PROTOCOL"), String(error));
    assert.include(error.message, "redirected to another address");
  });

  it.each([new TypeError("Failed to fetch"), new TypeError("Load failed"), new Error("Network connection lost.")])(
    "takes a browser's or an edge runtime's %s for a broken connection",
    async (failure) => {
      const client = createMlxdClient({ retry: false, fetch: () => Promise.reject(failure) });
      const error = await client.generate("hi").catch((reason: unknown) => reason);
      assert(isMlxdError(error, "CONNECTION"), String(error));
      assert.equal(error.code, "UNAVAILABLE");
    },
  );
});
