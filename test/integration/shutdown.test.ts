/** How the real service ends: told to, told twice, and killed while its processes are stopped or compute. */
import { once } from "node:events";
import { connect } from "node:http2";
import { afterEach, assert, describe, it } from "@effect/vitest";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../src/client/gen/grpc/health/v1/health_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";

let service: RunningService | undefined;
afterEach(async () => {
  await service?.stop();
  service = undefined;
});

const start = async (environment: Readonly<Record<string, string>> = {}) => {
  service = await startService(environment);
  const transport = createGrpcTransport({ baseUrl: service.url });
  return {
    running: service,
    generation: createClient(GenerationService, transport),
    health: createClient(Health, transport),
  };
};

const long = (maxOutputTokens: number) =>
  ({ task: { input: { case: "prompt", value: "1 2 3" }, stop: { ignoreEos: true, maxOutputTokens } } }) as const;

const failureOf = async (call: Promise<unknown>) => {
  const error = ConnectError.from(
    await call.then(
      () => assert.fail("it succeeded"),
      (cause: unknown) => cause,
    ),
  );
  return { code: error.code, reason: error.findDetails(ErrorInfoSchema)[0]?.reason };
};

/** Reads a stream to its end; `begun` resolves with its first text. */
const reading = (stream: AsyncIterable<{ event: { case: string | undefined } }>) => {
  const begun = Promise.withResolvers<void>();
  const last = (async () => {
    let event: string | undefined;
    for await (const message of stream) {
      event = message.event.case;
      if (event === "chunk") begun.resolve();
    }
    return event;
  })();
  last.catch(begun.reject);
  return { begun: begun.promise, last };
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const untilDead = async (pids: ReadonlyArray<number>): Promise<void> => {
  while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 50));
};

describe("SIGTERM", () => {
  it("takes calls for the grace, then refuses new and queued ones, lets what runs finish, and exits with 0", async () => {
    const { running, generation, health } = await start({ MLXD_MAX_RUNNING: "1", MLXD_DRAIN_GRACE_MS: "1000" });
    const workers = running.workers();
    const watch = health.watch({ service: "models/demo" })[Symbol.asyncIterator]();
    assert.strictEqual((await watch.next()).value?.status, Status.SERVING);
    const session = connect(running.url);
    await once(session, "remoteSettings");
    const goAway = once(session, "goaway");
    const stream = reading(generation.streamGenerate(long(1900)));
    await stream.begun;
    const exit = once(running.process, "exit");
    running.process.kill("SIGTERM");
    assert.strictEqual((await watch.next()).value?.status, Status.NOT_SERVING);
    assert.strictEqual((await fetch(`${running.url}/readyz`)).status, 503);
    // It is still taken, and waits behind the one that runs.
    const queued = failureOf(generation.generate(long(4)));
    await goAway;
    const late = createClient(GenerationService, createGrpcTransport({ baseUrl: running.url }));
    assert.deepEqual(await failureOf(late.generate(long(4))), { code: Code.Unavailable, reason: "DRAINING" });
    assert.deepEqual(await queued, { code: Code.Unavailable, reason: "DRAINING" });
    assert.strictEqual(await stream.last, "finished");
    assert.deepEqual(await exit, [0, null]);
    await untilDead(workers);
  });

  it("twice ends it at once, and its engines", async () => {
    const { running, generation } = await start();
    const workers = running.workers();
    const stream = reading(generation.streamGenerate(long(2000)));
    await stream.begun;
    const exit = once(running.process, "exit");
    running.process.kill("SIGTERM");
    // The first one is heard before the second is sent: signals of one kind merge.
    while ((await fetch(`${running.url}/readyz`)).status !== 503);
    running.process.kill("SIGTERM");
    assert.deepEqual(await exit, [143, null]);
    await stream.last.catch(() => {});
    await untilDead(workers);
  });
});

describe("SIGKILL of the service", () => {
  it("ends engines that compute", async () => {
    const { running, generation } = await start();
    const children = running.children();
    const stream = reading(generation.streamGenerate(long(2000)));
    await stream.begun;
    running.process.kill("SIGKILL");
    await stream.last.catch(() => {});
    await untilDead(children);
  });

  it("ends engines and sandbox processes that are stopped", async (context) => {
    if (process.platform !== "linux") return context.skip("only Linux's kernel ends a process that is stopped");
    const { running, generation } = await start();
    await generation.generate(long(1));
    const children = running.children();
    assert.isAtLeast(children.length, 2);
    for (const pid of children) process.kill(pid, "SIGSTOP");
    running.process.kill("SIGKILL");
    await untilDead(children);
  });
});
