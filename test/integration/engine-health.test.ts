/**
 * Health against the real engine: SERVING means that tokens arrive. Peers of this kind keep telling that they are well
 * while their engine is stopped, or starts over and over.
 */
import { cpSync, mkdtempSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, assert, describe, it } from "@effect/vitest";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { Health, HealthCheckResponse_ServingStatus as Status } from "../../src/client/gen/grpc/health/v1/health_pb.ts";
import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService, ModelState } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { Device, ServerService } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { lookAtRest } from "../chaos/at-rest.ts";
import { type RunningService, startService } from "../support/running-service.ts";

let service: RunningService | undefined;
let folder: string | undefined;
const watches: AbortController[] = [];
afterEach(async () => {
  for (const watch of watches.splice(0)) watch.abort();
  await service?.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true });
  service = folder = undefined;
});

const start = async (environment: Readonly<Record<string, string>> = {}) => {
  service = await startService(environment);
  const transport = createGrpcTransport({ baseUrl: service.url });
  const health = createClient(Health, transport);
  return {
    service,
    health,
    generation: createClient(GenerationService, transport),
    models: createClient(ModelService, transport),
    server: createClient(ServerService, transport),
    /** Reads a watch until it tells this. */
    until: (name: string) => {
      const abort = new AbortController();
      watches.push(abort);
      const statuses = health.watch({ service: name }, { signal: abort.signal })[Symbol.asyncIterator]();
      return async (wanted: Status): Promise<void> => {
        for (;;) {
          const { value, done } = await statuses.next();
          assert.isNotTrue(done, "the watch ended");
          if (value?.status === wanted) return;
        }
      };
    },
  };
};

const names = ["", "mlxd.v1.GenerationService", "mlxd.v1.EmbeddingService", "models/demo"];
const task = { input: { case: "prompt", value: "1 2 3" }, stop: { ignoreEos: true, maxOutputTokens: 4 } } as const;

const failureOf = async (call: Promise<unknown>) => {
  const error = ConnectError.from(
    await call.then(
      () => assert.fail("it succeeded"),
      (cause: unknown) => cause,
    ),
  );
  return { code: error.code, reason: error.findDetails(ErrorInfoSchema)[0]?.reason, message: error.rawMessage };
};

describe("health", () => {
  it("turns to NOT_SERVING while an idle engine is stopped, and back when it goes on", async () => {
    const { service: running, until, health, generation } = await start({ MLXD_ENGINE_UNRESPONSIVE_MS: "1000" });
    const watched = names.map(until);
    for (const told of watched) await told(Status.SERVING);
    const [pid = 0] = running.workers();
    process.kill(pid, "SIGSTOP");
    for (const told of watched) await told(Status.NOT_SERVING);
    // What does not need the engine goes on.
    assert.strictEqual((await health.check({ service: "mlxd.v1.TokenizerService" })).status, Status.SERVING);
    process.kill(pid, "SIGCONT");
    for (const told of watched) await told(Status.SERVING);
    assert.strictEqual((await generation.generate({ task })).result?.candidates.length, 1);
    assert.deepEqual(running.workers(), [pid]);
  });

  it("turns to NOT_SERVING while an engine is stopped in the middle of a stream, which the next one's callers do not notice", async () => {
    const {
      service: running,
      until,
      generation,
    } = await start({
      MLXD_ENGINE_UNRESPONSIVE_MS: "1000",
      MLXD_ENGINE_STALL_MS: "10000",
    });
    const told = until("models/demo");
    await told(Status.SERVING);
    const rest = await lookAtRest(running);
    const [pid = 0] = running.workers();
    const lost = failureOf(
      (async () => {
        const long = { ...task, stop: { ignoreEos: true, maxOutputTokens: 400 } };
        let chunks = 0;
        for await (const { event } of generation.streamGenerate({ task: long })) {
          if (event.case === "chunk" && ++chunks === 3) process.kill(pid, "SIGSTOP");
        }
      })(),
    );
    await told(Status.NOT_SERVING);
    const queued = generation.generate({ task });
    const { code, reason, message } = await lost;
    assert.deepEqual([code, reason], [Code.Aborted, "ENGINE_LOST"]);
    assert.match(message, /the output so far stands/);
    await told(Status.SERVING);
    assert.strictEqual((await queued).result?.candidates.length, 1);
    assert.notInclude(running.workers(), pid);
    await rest.isBack();
  });

  it("follows an engine that is killed over and over, and no call is left waiting", async () => {
    const { service: running, until, generation, server } = await start();
    const told = until("models/demo");
    await told(Status.SERVING);
    for (let death = 0; death < 4; death++) {
      const [pid = 0] = running.workers();
      process.kill(pid, "SIGKILL");
      await told(Status.NOT_SERVING);
      const answer = generation.generate({ task });
      await told(Status.SERVING);
      assert.strictEqual((await answer).result?.candidates.length, 1);
    }
    const { models, total } = await server.getStats({});
    assert.strictEqual(models[0]?.engineRestarts, 4);
    assert.deepInclude(total, { running: 0, queued: 0, failed: 0 });
  });
});

describe("a model whose files break while it is loaded", () => {
  it("is FAILED with the reason when its engine ends, and serves again when they are mended", async () => {
    folder = mkdtempSync(join(tmpdir(), "mlxd-breaks-"));
    const demo = fileURLToPath(new URL("../../models/demo", import.meta.url));
    cpSync(demo, join(folder, "demo"), { recursive: true });
    const { service: running, until, generation, models } = await start({ MLXD_MODELS: folder });
    const told = until("models/demo");
    await told(Status.SERVING);
    const weights = join(folder, "demo", "model.safetensors");
    truncateSync(weights, 5000);
    const [pid = 0] = running.workers();
    // Nothing of this one streams: its caller asked for the whole.
    const asked = failureOf(
      generation.generate({ task: { ...task, stop: { ignoreEos: true, maxOutputTokens: 400 } } }),
    );
    process.kill(pid, "SIGKILL");
    const first = await asked;
    assert.deepEqual([first.code, first.reason], [Code.FailedPrecondition, "MODEL_BROKEN"]);
    assert.notMatch(first.message, /output so far/);
    await told(Status.NOT_SERVING);
    for (;;) {
      const { model } = await models.getModel({ model: "demo" });
      if (model?.state !== ModelState.FAILED) continue;
      assert.match(model.stateReason, /model\.safetensors is truncated/);
      assert.strictEqual(model.reservedBytes, 0);
      break;
    }
    const refused = await failureOf(generation.generate({ task }));
    assert.deepEqual([refused.code, refused.reason], [Code.FailedPrecondition, "MODEL_BROKEN"]);
    assert.deepEqual(running.workers(), []);
    cpSync(join(demo, "model.safetensors"), weights);
    // Nobody asks for it, and it comes back.
    await told(Status.SERVING);
    assert.strictEqual((await generation.generate({ task })).result?.candidates.length, 1);
  });
});

it("the device is what the engine says", async () => {
  const { server, models } = await start({ MLXD_PRELOAD: "none" });
  assert.strictEqual((await server.getServerInfo({})).device, Device.UNSPECIFIED);
  await models.loadModel({ model: "demo" });
  const expected = process.platform === "darwin" ? Device.METAL : Device.CPU;
  assert.strictEqual((await server.getServerInfo({})).device, expected);
});
