import { createRouterTransport } from "@connectrpc/connect";
import { afterEach, assert, describe, it, vi } from "vitest";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { createMlxdClientFromTransport, isMlxdError } from "../../src/client/index.ts";
import { clientKinds, connect } from "../support/client-kinds.ts";
import { saying } from "../support/scripted-events.ts";
import { type Script, untilLeft } from "../support/scripted-server.ts";

const script: Script = {
  async *stream() {
    yield* saying("a");
  },
  generate: async (_request, context) => {
    await untilLeft(context);
    return {};
  },
};

const failure = async (promise: Promise<unknown>): Promise<unknown> => promise.catch((reason: unknown) => reason);

describe.each(clientKinds)("timeoutMs over $name", (kind) => {
  it.each([undefined, 0, Number.POSITIVE_INFINITY])("%s means none", async (timeoutMs) => {
    await using pair = await connect(kind, script);
    assert.equal((await pair.client.stream("hi", { timeoutMs }).collect()).text, "a");
    assert.isUndefined((await pair.server.call(0)).timeoutMs);
  });

  it.each([99_999_999, 60_000, 0.1 + 60_000])("%s is told to the server", async (timeoutMs) => {
    await using pair = await connect(kind, script);
    assert.equal((await pair.client.stream("hi", { timeoutMs }).collect()).text, "a");
    const told = (await pair.server.call(0)).timeoutMs ?? 0;
    assert.isAtMost(told, Math.ceil(timeoutMs));
    assert.isAbove(told, timeoutMs - 30_000);
  });

  it("1 fails with DEADLINE", async () => {
    await using pair = await connect(kind, script);
    const error = await failure(pair.client.generate("hi", { timeoutMs: 1 }));
    assert(isMlxdError(error, "DEADLINE"), String(error));
    assert.equal(error.code, "DEADLINE_EXCEEDED");
  });

  it.each([1e8, 2 ** 31, -1, Number.NaN, Number.NEGATIVE_INFINITY])("%s is refused", async (timeoutMs) => {
    await using pair = await connect(kind, script);
    const error = await failure(pair.client.generate("hi", { timeoutMs }));
    assert(isMlxdError(error, "INVALID_FIELD"));
    assert.deepEqual(
      error.violations.map(({ field }) => field),
      ["timeoutMs"],
    );
    assert.throws(() => pair.client.stream("hi", { timeoutMs }), /timeoutMs/);
    assert.equal(pair.server.connections(), 0);
  });

  it("is the client's where a call has none, and the call's where it has one", async () => {
    await using pair = await connect(kind, script, { timeoutMs: 50_000 });
    await pair.client.stream("hi").collect();
    await pair.client.stream("hi", { timeoutMs: 0 }).collect();
    assert.isAtMost((await pair.server.call(0)).timeoutMs ?? 0, 50_000);
    assert.isUndefined((await pair.server.call(1)).timeoutMs);
  });

  it("gives its timer back when a stream is left", async () => {
    await using pair = await connect(kind, {
      async *stream(_request, context) {
        yield* saying("a").slice(0, 2);
        await untilLeft(context);
      },
    });
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const leave = async () => {
      for await (const _ of pair.client.stream("hi", { timeoutMs: 50_000_000 }).textDeltas()) break;
    };
    await leave();
    const before = timers();
    for (let i = 0; i < 20; i++) await leave();
    await new Promise((resolve) => setImmediate(resolve));
    assert.isBelow(timers() - before, 10);
  });
});

describe("a stream that is cut by its deadline", () => {
  afterEach(() => void vi.useRealTimers());

  it("fails with DEADLINE and tells how far it had come", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const client = createMlxdClientFromTransport(
      createRouterTransport(({ service }) => {
        service(GenerationService, {
          async *streamGenerate(_request, context) {
            yield* saying("a").slice(0, 2);
            await untilLeft(context);
          },
        });
      }),
    );
    const stream = client.stream("hi", { timeoutMs: 300 });
    await stream.next();
    await stream.next();
    const rest = failure(stream.collect());
    await vi.advanceTimersByTimeAsync(300);
    const error = await rest;
    assert(isMlxdError(error, "DEADLINE"), String(error));
    assert.equal(error.progress?.usage.outputTokens, 1);
    assert.equal(error.progress?.generationId, "generation-1");
  });
});
