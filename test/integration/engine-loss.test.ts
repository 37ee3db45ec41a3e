/**
 * What a caller sees when processes die. Peers of this kind leave callers waiting or report health that is not there
 * (mlx-lm 1672, 1493, 1505): here each one's end is told.
 */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, assert, describe, it } from "@effect/vitest";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { Health, HealthCheckResponse_ServingStatus as Status } from "../../src/client/gen/grpc/health/v1/health_pb.ts";
import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { GenerationFailureSchema } from "../../src/client/gen/mlxd/v1/error_details_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ServerService } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
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
    service,
    generation: createClient(GenerationService, transport),
    server: createClient(ServerService, transport),
  };
};

/** Long enough to be interrupted: the model is not let end it. */
const longTask = {
  input: { case: "prompt", value: "1 2 3" },
  sampling: { temperature: 1, seed: 1 },
  stop: { ignoreEos: true, maxOutputTokens: 400 },
} as const;
const shortTask = {
  input: { case: "prompt", value: "1 2 3" },
  sampling: { temperature: 0 },
  stop: { ignoreEos: true, maxOutputTokens: 8 },
} as const;

describe("the service", () => {
  it("ends a stream with ENGINE_LOST when its engine is killed, and answers queued calls with the next one", async () => {
    const { service: running, generation, server } = await start({ MLXD_MAX_RUNNING: "1" });
    const expected = await generation.generate({ task: shortTask });
    const [pid = 0] = running.workers();
    let chunks = 0;
    let queued: Promise<unknown> | undefined;
    const error = await (async () => {
      for await (const { event } of generation.streamGenerate({ task: longTask })) {
        if (event.case === "chunk") chunks += 1;
        if (chunks === 1) queued ??= generation.generate({ task: shortTask });
        if (chunks === 5) process.kill(pid, "SIGKILL");
      }
      return undefined;
    })().catch((cause: unknown) => ConnectError.from(cause));
    assert.strictEqual(error?.code, Code.Aborted);
    assert.strictEqual(error?.findDetails(ErrorInfoSchema)[0]?.reason, "ENGINE_LOST");
    const [failure] = error?.findDetails(GenerationFailureSchema) ?? [];
    assert.isAtLeast(failure?.usage?.outputTokens ?? 0, 5);
    const answer = (await queued) as typeof expected;
    assert.strictEqual(answer.result?.candidates[0]?.text, expected.result?.candidates[0]?.text);
    const stats = await server.getStats({});
    assert.strictEqual(stats.models[0]?.engineRestarts, 1);
    assert.deepInclude(stats.total, { running: 0, queued: 0 });
  });

  it("leaves no engine behind when it is killed itself", async () => {
    const { service: running } = await start();
    const workers = running.workers();
    assert.strictEqual(workers.length, 1);
    running.process.kill("SIGKILL");
    for (let i = 0; i < 50 && workers.some(isAlive); i++) await sleep(100);
    assert.deepStrictEqual(workers.filter(isAlive), []);
  });

  it("finishes what runs on SIGTERM, refuses what is new, and ends with 0", async () => {
    const { service: running, generation } = await start();
    const newcomer = () => createGrpcTransport({ baseUrl: running.url });
    const watched = createClient(Health, newcomer()).watch({ service: "" })[Symbol.asyncIterator]();
    const stream = generation.streamGenerate({
      task: { ...longTask, stop: { ignoreEos: true, maxOutputTokens: 1500 } },
    });
    let finished = false;
    let stopping: Promise<number | null> | undefined;
    let refused: ConnectError | undefined;
    for await (const { event } of stream) {
      finished = event.case === "finished";
      if (event.case !== "chunk" || stopping !== undefined) continue;
      stopping = running.stop();
      let status: Status | undefined;
      while (status !== Status.NOT_SERVING) status = (await watched.next()).value?.status;
      const late = createClient(GenerationService, newcomer()).generate({ task: shortTask });
      refused = ConnectError.from(
        await late.then(
          () => assert.fail("it was taken"),
          (cause: unknown) => cause,
        ),
      );
    }
    assert.strictEqual(refused?.code, Code.Unavailable);
    assert.strictEqual(refused?.findDetails(ErrorInfoSchema)[0]?.reason, "DRAINING");
    assert.isTrue(finished);
    assert.strictEqual(await stopping, 0);
  });
});

const isAlive = (pid: number): boolean => {
  try {
    return !execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).startsWith("Z");
  } catch {
    return false;
  }
};
