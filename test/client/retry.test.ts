import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, it } from "vitest";
import { RetryInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import {
  type CallOptions,
  type ClientOptions,
  type Clock,
  defaultRetryPolicy,
  isMlxdError,
  type MlxdClient,
  MlxdError,
} from "../../src/client/index.ts";
import { RetryBudget, retryDelayMs } from "../../src/client/retry.ts";
import { clientKinds, connect, type Pair } from "../support/client-kinds.ts";
import { createInMemoryClient } from "../support/in-memory-client.ts";
import { chunkEvent, numbered, saying, startedEvent } from "../support/scripted-events.ts";
import { untilLeft } from "../support/scripted-server.ts";

/** A clock that only moves when somebody sleeps. */
class FakeClock implements Clock {
  readonly slept: number[] = [];
  #now = 1_000;
  readonly now = () => this.#now;
  readonly random = () => 0.5;
  readonly sleep = async (ms: number, signal: AbortSignal) => {
    signal.throwIfAborted();
    this.slept.push(ms);
    this.#now += ms;
  };
}

const unavailable = () => new ConnectError("busy", Code.Unavailable);
const exhausted = (retryAfterMs?: number) => {
  const details = retryAfterMs === undefined ? [] : [retryInfo(retryAfterMs)];
  return new ConnectError("full", Code.ResourceExhausted, undefined, details);
};
const retryInfo = (ms: number) => ({ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(ms) } });
const pushback = (value: string) => new ConnectError("busy", Code.Unavailable, { "grpc-retry-pushback-ms": value });

/** A service that fails with these errors, one a call, and then answers. */
const failing = (errors: readonly Error[], options: ClientOptions = {}) => {
  const clock = new FakeClock();
  let calls = 0;
  const next = () => {
    const error = errors[calls++];
    if (error) throw error;
  };
  const client = createInMemoryClient(
    {
      generate: () => {
        next();
        return { result: { candidates: [{ text: "a" }] } };
      },
      *stream() {
        next();
        yield* saying("a");
      },
    },
    { retry: {}, clock, ...options },
  );
  return { client, clock, calls: () => calls };
};

const methods = {
  generate: (client: MlxdClient, options: CallOptions = {}) => client.generate("hi", options),
  stream: (client: MlxdClient, options: CallOptions = {}) => client.stream("hi", options).collect(),
};

describe.each(["generate", "stream"] as const)("%s", (name) => {
  const method = methods[name];
  const failure = (client: MlxdClient, options?: CallOptions) =>
    method(client, options).catch((reason: unknown) => reason);

  it("is tried again while UNAVAILABLE, three times in all, with growing waits", async () => {
    const { client, clock, calls } = failing([unavailable(), unavailable()]);
    assert.equal((await method(client)).text, "a");
    assert.equal(calls(), 3);
    assert.deepEqual(clock.slept, [200, 400]);
  });

  it("fails with the last error after three attempts", async () => {
    const { client, calls } = failing([unavailable(), unavailable(), unavailable()]);
    assert(isMlxdError(await failure(client), "CONNECTION"));
    assert.equal(calls(), 3);
  });

  it("is not tried again without retry", async () => {
    const { client, calls } = failing([unavailable()], { retry: false });
    assert(isMlxdError(await failure(client)));
    assert.equal(calls(), 1);
  });

  it.each([
    Code.Canceled,
    Code.Unknown,
    Code.InvalidArgument,
    Code.DeadlineExceeded,
    Code.NotFound,
    Code.ResourceExhausted,
    Code.FailedPrecondition,
    Code.Aborted,
    Code.Internal,
    Code.DataLoss,
    Code.Unauthenticated,
  ])("is not tried again after code %s", async (code) => {
    const { client, calls } = failing([new ConnectError("no", code)]);
    // Canceled by nobody on this side is a broken connection: of all these, the one to repeat.
    if (code === Code.Canceled) assert.equal((await method(client)).text, "a");
    else assert(isMlxdError(await failure(client)));
    assert.equal(calls(), code === Code.Canceled ? 2 : 1);
  });

  it("waits as long as the service asks, and a little longer", async () => {
    const { client, clock } = failing([exhausted(5_000)]);
    assert.equal((await method(client)).text, "a");
    assert.deepEqual(clock.slept, [5_500]);
  });

  it("waits exactly as long as gRPC's pushback says", async () => {
    const { client, clock } = failing([pushback("700"), pushback("0")]);
    assert.equal((await method(client)).text, "a");
    assert.deepEqual(clock.slept, [700, 0]);
  });

  it.each(["-1", "no", ""])("is not tried again when pushback says %j", async (value) => {
    const { client, calls } = failing([pushback(value)]);
    assert(isMlxdError(await failure(client)));
    assert.equal(calls(), 1);
  });

  it("does not wait for half a minute and more, but tells how long the service wants", async () => {
    const { client, calls } = failing([exhausted(31_000)]);
    const error = await failure(client);
    assert(isMlxdError(error));
    assert.equal(error.retryAfterMs, 31_000);
    assert.equal(calls(), 1);
  });

  it("is not tried again when the wait would pass its deadline", async () => {
    const { client, clock, calls } = failing([unavailable(), unavailable()]);
    const error = await failure(client, { timeoutMs: 500 });
    assert(isMlxdError(error, "CONNECTION"));
    assert.equal(calls(), 2); // 200 ms fit, 400 more do not
    assert.deepEqual(clock.slept, [200]);
  });

  it("ends its wait when the caller's signal fires", async () => {
    const controller = new AbortController();
    let calls = 0;
    const client = createInMemoryClient(
      {
        generate: () => {
          calls++;
          throw unavailable();
        },
        // eslint-disable-next-line require-yield -- it never comes to that
        *stream() {
          calls++;
          throw unavailable();
        },
      },
      { retry: { initialBackoffMs: 10_000_000, maxBackoffMs: 10_000_000 } },
    );
    const failed = failure(client, { signal: controller.signal });
    while (calls === 0) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    assert(isMlxdError(await failed, "CANCELLED"));
    assert.equal(calls, 1);
  });

  it("is not tried again once half of the budget is used, until calls succeed", async () => {
    const { client, calls } = failing(Array.from({ length: 10 }, unavailable));
    await failure(client);
    await failure(client); // the fifth failure is the one that closes the budget
    assert.equal(calls(), 5);
    await failure(client);
    assert.equal(calls(), 6);
  });
});

describe.each(clientKinds)("over $name", (kind) => {
  const twice = async (script: Parameters<typeof connect>[1]): Promise<Pair> =>
    connect(kind, script, { retry: {}, clock: new FakeClock() });

  it("a stream is opened again when nothing of it has come", async () => {
    let calls = 0;
    await using pair = await twice({
      async *stream() {
        if (calls++ === 0) throw unavailable();
        yield* saying("a");
      },
    });
    assert.equal((await pair.client.stream("hi").collect()).text, "a");
    assert.lengthOf(pair.server.calls, 2);
  });

  it("a stream is not opened again after its first event", async () => {
    await using pair = await twice({
      async *stream() {
        yield* numbered([startedEvent(), chunkEvent("a", 1)]);
        throw unavailable();
      },
    });
    const error = await pair.client
      .stream("hi")
      .collect()
      .catch((reason: unknown) => reason);
    assert(isMlxdError(error, "CONNECTION"));
    assert.equal(error.progress?.usage.outputTokens, 1);
    assert.lengthOf(pair.server.calls, 1);
  });

  it("pushback and the service's wait arrive", async () => {
    const clock = new FakeClock();
    const errors = [pushback("70"), exhausted(1_000)];
    let calls = 0;
    await using pair = await connect(
      kind,
      {
        generate: () => {
          const error = errors[calls++];
          if (error) throw error;
          return { result: { candidates: [{ text: "a" }] } };
        },
      },
      { retry: {}, clock },
    );
    assert.equal((await pair.client.generate("hi")).text, "a");
    assert.deepEqual(clock.slept, [70, 1_100]);
  });

  it("each attempt has what is left of the deadline", async () => {
    let calls = 0;
    await using pair = await twice({
      generate: () => {
        if (calls++ === 0) throw unavailable();
        return { result: { candidates: [{ text: "a" }] } };
      },
    });
    await pair.client.generate("hi", { timeoutMs: 60_000_000 });
    const [first, second] = pair.server.calls.map(({ timeoutMs = 0 }) => timeoutMs);
    // By the fake clock exactly 200 ms apart; the real time of the calls comes off each.
    assert.isAtMost(second ?? 0, 60_000_000 - 200);
    assert.isAbove(first ?? 0, 60_000_000 - 30_000);
  });
});

describe("an attempt after the deadline", () => {
  // To a transport a time-out of 0 or less means none: the attempt would never end.
  it("fails with DEADLINE, when the wait before it took too long", async () => {
    const clock = new FakeClock();
    let calls = 0;
    const client = createInMemoryClient(
      {
        generate: async (_request, context) => {
          if (calls++ === 0) throw unavailable();
          await untilLeft(context);
          return {};
        },
      },
      { retry: {}, clock: { ...clock, sleep: (ms, signal) => clock.sleep(ms + 1_000, signal) } },
    );
    const error = await client.generate("hi", { timeoutMs: 300 }).catch((reason: unknown) => reason);
    assert(isMlxdError(error, "DEADLINE"), String(error));
    assert.equal(calls, 2);
  });
});

describe("the wait before a retry", () => {
  const error = new MlxdError({ code: "UNAVAILABLE", reason: "DRAINING", message: "" });

  it("doubles up to its bound and leaves a fifth to chance either way", () => {
    const policy = { ...defaultRetryPolicy, maxAttempts: 10 };
    const delays = (random: number) =>
      [1, 2, 3, 4, 5, 6].map((attempts) => Math.round(retryDelayMs(error, attempts, policy, random) ?? 0));
    assert.deepEqual(delays(0), [160, 320, 640, 1280, 1600, 1600]);
    assert.deepEqual(delays(0.5), [200, 400, 800, 1600, 2000, 2000]);
    assert.deepEqual(delays(1), [240, 480, 960, 1920, 2400, 2400]);
  });

  it("is never shorter than what the service asks", () => {
    const asked = new MlxdError({ code: "UNAVAILABLE", reason: "DRAINING", message: "", retryAfterMs: 1_000 });
    for (const random of [0, 0.3, 0.999]) {
      assert.isAtLeast(retryDelayMs(asked, 1, defaultRetryPolicy, random) ?? 0, 1_000);
    }
  });
});

describe("the retry budget", () => {
  it("is used up by five failures and comes back a tenth for each success", () => {
    const budget = new RetryBudget();
    const error = new MlxdError({ code: "UNAVAILABLE", reason: "DRAINING", message: "" });
    for (let i = 0; i < 4; i++) budget.failed(error);
    assert.isTrue(budget.allows);
    budget.failed(error);
    assert.isFalse(budget.allows);
    budget.succeeded();
    assert.isTrue(budget.allows);
  });

  it("is not touched by errors that are the caller's", () => {
    const budget = new RetryBudget();
    for (let i = 0; i < 100; i++) {
      budget.failed(new MlxdError({ code: "INVALID_ARGUMENT", reason: "INVALID_FIELD", message: "" }));
    }
    assert.isTrue(budget.allows);
  });
});
