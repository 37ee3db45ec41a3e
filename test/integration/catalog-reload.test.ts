/** The configuration file of a running service: SIGHUP, ReloadCatalog, and files with errors. */
import { cpSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService, ModelState } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const demo = fileURLToPath(new URL("../../models/demo", import.meta.url));

let folder = "";
let service: RunningService | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-hangup-"));
  for (const name of ["one", "two"]) cpSync(demo, join(folder, "models", name), { recursive: true });
});
afterEach(async () => {
  await service?.stop();
  service = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const say = (models: string) => writeFileSync(join(folder, "mlxd.yaml"), `service: {models: ./models}\n${models}`);

const start = async () => {
  const running = await startService({ MLXD_CONFIG: join(folder, "mlxd.yaml"), MLXD_LOG_FORMAT: "json" });
  service = running;
  let log = "";
  running.process.stderr?.on("data", (chunk: Buffer) => (log += chunk.toString()));
  const transport = createGrpcTransport({ baseUrl: running.url });
  const models = createClient(ModelService, transport);
  return { running, log: () => log, models, generation: createClient(GenerationService, transport) };
};

const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await sleep(20);
};

const task = (model: string, maxOutputTokens: number) => ({
  model,
  input: { case: "prompt" as const, value: "1 2 3" },
  stop: { ignoreEos: true, maxOutputTokens },
});

describe("a running service", () => {
  it("reads its file anew on SIGHUP, keeps what it had when the file is broken, and says so", async () => {
    say("models: {one: {aliases: [first]}}\n");
    const { running, log, models, generation } = await start();
    assert.equal((await models.getModel({ model: "first" })).model?.id, "one");

    say("models:\n  one:\n    aliases: [renamed]\n    pined: true\n");
    running.process.kill("SIGHUP");
    await until(() => log().includes("the catalog stays as it was"));
    assert.include(log(), "mlxd.yaml:5: models.one.pined: there is no such key; pinned?");
    assert.equal((await models.getModel({ model: "first" })).model?.id, "one");
    const error = await models.reloadCatalog({}).catch((cause: unknown) => ConnectError.from(cause));
    assert.instanceOf(error, ConnectError);
    assert.equal(error.code, Code.FailedPrecondition);
    assert.equal(error.rawMessage, "mlxd.yaml:5: models.one.pined: there is no such key; pinned?");
    const [info] = error.findDetails(ErrorInfoSchema);
    assert.equal(info?.reason, "CONFIGURATION_INVALID");
    assert.deepInclude(info?.metadata, { file: "mlxd.yaml", line: "5", key: "models.one.pined" });

    const text = "models:\n  one:\n    aliases: [renamed]\n    defaults: {max_output_tokens: 3}\n";
    writeFileSync(join(folder, "mlxd.yaml"), `service: {models: ./models, max_running: 5}\n${text}`);
    running.process.kill("SIGHUP");
    await until(() => log().includes("catalog read anew"));
    assert.match(log(), /changed settings take effect at the next start.*MLXD_MAX_RUNNING/);
    assert.equal((await models.getModel({ model: "renamed" })).model?.id, "one");
    const { result } = await generation.generate({
      task: { model: "one", input: { case: "prompt", value: "1 2 3" }, stop: { ignoreEos: true } },
    });
    assert.equal(result?.usage?.outputTokens, 3);
  });

  it("drains a model that is gone, and serves one that is new", async () => {
    say("");
    const { running, models, generation } = await start();
    const workers = () => running.workers().length;
    await generation.generate({ task: task("two", 2) });
    assert.equal(workers(), 2);
    let tokens = 0;
    let reloaded: Promise<unknown> | undefined;
    let draining: ModelState | undefined;
    for await (const { event } of generation.streamGenerate({ task: task("two", 1900) })) {
      if (event.case === "chunk") tokens += 1;
      if (tokens === 3 && reloaded === undefined) {
        rmSync(join(folder, "models/two"), { recursive: true });
        cpSync(demo, join(folder, "models/three"), { recursive: true });
        reloaded = models.reloadCatalog({}).then(async (change) => {
          draining = (await models.getModel({ model: "two" })).model?.state;
          return change;
        });
      }
      if (event.case === "finished") assert.equal(event.value.usage?.outputTokens, 1900);
    }
    assert.deepInclude(await reloaded, { added: ["three"], removed: ["two"], changed: [] });
    assert.equal(draining, ModelState.DRAINING);
    const gone = await generation
      .generate({ task: task("two", 2) })
      .catch((cause: unknown) => ConnectError.from(cause));
    assert.instanceOf(gone, ConnectError);
    assert.equal(gone.code, Code.NotFound);
    await until(() => workers() === 1);
    await generation.generate({ task: task("three", 2) });
    assert.equal(workers(), 2);
  });

  it("serves a model that was broken when it started, and is mended", async () => {
    const weights = join(folder, "models/two/model.safetensors");
    const { size } = statSync(weights);
    truncateSync(weights, size - 1);
    say("");
    const { running, models, generation } = await start();
    const refused = await generation
      .generate({ task: task("two", 2) })
      .catch((cause: unknown) => ConnectError.from(cause));
    assert.instanceOf(refused, ConnectError);
    assert.include(refused.rawMessage, "model.safetensors is truncated");
    cpSync(join(demo, "model.safetensors"), weights);
    assert.deepInclude(await models.reloadCatalog({}), { added: [], removed: [], changed: ["two"] });
    const { result } = await generation.generate({ task: task("two", 2) });
    assert.equal(result?.usage?.outputTokens, 2);
    assert.equal(running.workers().length, 2);
  });

  it("does not start with a broken file, and tells where it is broken", async () => {
    say("models:\n  one:\n    tll: 30m\n");
    const error = await start().then(
      () => assert.fail("it started"),
      (cause: Error) => cause,
    );
    assert.include(error.message, "mlxd cannot start: ");
    assert.include(error.message, "mlxd.yaml:4: models.one.tll: there is no such key; ttl?");
  });

  it("does not start with a variable that is out of bounds, and tells in one line which", async () => {
    for (const [name, value, problem] of [
      ["MLXD_PORT", "abc", "expected a finite number"],
      ["MLXD_LOG_LEVEL", "loud", 'expected "All" | "Fatal"'],
    ] as const) {
      const error = await startService({ [name]: value }).then(
        () => assert.fail("it started"),
        (cause: Error) => cause,
      );
      assert.include(error.message, `\nmlxd cannot start: ${name}: ${problem}`);
    }
  });
});
