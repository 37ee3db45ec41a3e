/** Adapters through the whole service, compared with what mlx-lm computed: see test/fixtures/adapters/README.md. */
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { TokenizerService } from "../../src/client/gen/mlxd/v1/tokenizer_service_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const fixture = fileURLToPath(new URL("../fixtures/adapters/llama", import.meta.url));

interface Run {
  readonly adapter: string | null;
  readonly prompt_ids: number[];
  readonly greedy_ids: number[];
}
const runs: readonly Run[] = JSON.parse(readFileSync(join(fixture, "golden.json"), "utf8")).runs;

let folder = "";
let service: RunningService | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-adapters-"));
  cpSync(fixture, join(folder, "models/tiny"), { recursive: true });
});
afterEach(async () => {
  await service?.stop();
  service = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const inModels = (...path: string[]): string => join(folder, "models", ...path);

const start = async (models: string, environment: Readonly<Record<string, string>> = {}) => {
  const file = join(folder, "mlxd.yaml");
  writeFileSync(file, `service: {models: ./models}\nmodels: ${models}\n`);
  const running = await startService({ MLXD_CONFIG: file, ...environment });
  service = running;
  const transport = createGrpcTransport({ baseUrl: running.url });
  return {
    running,
    models: createClient(ModelService, transport),
    generation: createClient(GenerationService, transport),
    tokenizer: createClient(TokenizerService, transport),
  };
};

const taskOf = ({ adapter, prompt_ids: ids, greedy_ids }: Run) => ({
  input: { case: "tokens", value: { ids } } as const,
  sampling: { temperature: 0 },
  stop: { ignoreEos: true, maxOutputTokens: greedy_ids.length },
  output: { tokenIds: true },
  ...(adapter !== null && { adapter }),
});

const failureOf = async (call: Promise<unknown>) => {
  const error = ConnectError.from(
    await call.then(
      () => new Error("it succeeded"),
      (cause: unknown) => cause,
    ),
  );
  return { code: error.code, message: error.rawMessage, info: error.findDetails(ErrorInfoSchema)[0] };
};

const [, , plain, , , wide] = runs;
if (plain === undefined || wide === undefined) throw new Error("the golden has too few runs");

describe("adapters of a served model", () => {
  it("answer as mlx-lm does with them, all at once, and each is told", async () => {
    const { generation, models } = await start("{}");
    const answers = await Promise.all(runs.map((run) => generation.generate({ task: taskOf(run) })));
    for (const [index, { result }] of answers.entries()) {
      assert.deepStrictEqual(result?.candidates[0]?.tokenIds, runs[index]?.greedy_ids);
      assert.strictEqual(result?.parameters?.adapter, runs[index]?.adapter ?? undefined);
    }
    const { model } = await models.getModel({});
    assert.deepStrictEqual(
      model?.adapters.map(({ id, problem }) => [id, problem]),
      [
        ["narrow", ""],
        ["wide", ""],
      ],
    );
    assert.isTrue(model?.capabilities?.adapters);
    const { fit } = await models.loadModel({ validateOnly: true });
    assert.isAbove(fit?.adapterBytes ?? 0, 0);
    assert.strictEqual(
      fit?.neededBytes,
      [
        fit?.weightBytes,
        fit?.kvCacheBytes,
        fit?.prefixCacheBytes,
        fit?.processBytes,
        fit?.adapterBytes,
        fit?.stepBytes,
      ].reduce((sum = 0, bytes = 0) => sum + bytes, 0),
    );
  });

  it("are not found by another id, and one that is broken fails its own tasks alone", async () => {
    cpSync(inModels("tiny/adapters/wide"), inModels("cut"), { recursive: true });
    truncateSync(inModels("cut/adapters.safetensors"), 3000);
    rmSync(inModels("tiny/adapters/narrow/adapters.safetensors"));
    cpSync(join(fixture, "../phi3/adapters/wide"), inModels("tiny/adapters/foreign"), { recursive: true });
    const { generation, models, tokenizer } = await start("{tiny: {adapters: [{id: cut, path: models/cut}]}}");
    const listed = (await models.listModels({})).models;
    assert.deepStrictEqual(
      listed.map(({ id }) => id),
      ["tiny"],
    );
    const ask = (adapter: string) => failureOf(generation.generate({ task: { ...taskOf(plain), adapter } }));
    const unknown = await ask("wdie");
    assert.strictEqual(unknown.code, Code.NotFound);
    assert.strictEqual(unknown.info?.reason, "ADAPTER_NOT_FOUND");
    assert.strictEqual(unknown.message, 'model "tiny" has no adapter "wdie"; it has cut, foreign, narrow, wide');
    const counted = await failureOf(tokenizer.countTokens({ task: { ...taskOf(plain), adapter: "wdie" } }));
    assert.strictEqual(counted.info?.reason, "ADAPTER_NOT_FOUND");

    const stream = generation.streamGenerate({
      task: { ...taskOf(plain), stop: { ignoreEos: true, maxOutputTokens: 300 } },
    });
    const ids: number[] = [];
    const failures: Array<ReturnType<typeof ask>> = [];
    for await (const { event } of stream) {
      if (event.case !== "chunk") continue;
      if (ids.length === 0) failures.push(...["cut", "narrow", "foreign"].map(ask));
      ids.push(...event.value.tokenIds);
    }
    assert.deepStrictEqual(ids.slice(0, plain.greedy_ids.length), plain.greedy_ids);
    assert.strictEqual(ids.length, 300);
    const reasons = (await Promise.all(failures)).map(({ code, info, message }) => {
      assert.strictEqual(code, Code.FailedPrecondition);
      assert.strictEqual(info?.reason, "ADAPTER_BROKEN");
      return message.replace(/^adapter "(\w+)" of model "tiny" cannot be applied: /, "$1: ");
    });
    assert.deepStrictEqual(reasons, [
      "cut: adapters.safetensors is truncated or not a safetensors file",
      "narrow: adapters.safetensors is missing",
      "foreign: tensor model.layers.0.mlp.gate_up_proj.lora_a: no adapter can be applied to model.layers.0.mlp.gate_up_proj in this model",
    ]);
    const { result } = await generation.generate({ task: taskOf(wide) });
    assert.deepStrictEqual(result?.candidates[0]?.tokenIds, wide.greedy_ids);
  });

  it("are loaded again by the process that comes after one that died", async () => {
    const { running, generation } = await start("{}", { MLXD_MAX_RUNNING: "2" });
    await generation.generate({ task: taskOf(wide) });
    process.kill(running.workers()[0] ?? 0, "SIGKILL");
    const answers = await Promise.all([wide, plain].map((run) => generation.generate({ task: taskOf(run) })));
    assert.deepStrictEqual(
      answers.map(({ result }) => result?.candidates[0]?.tokenIds),
      [wide.greedy_ids, plain.greedy_ids],
    );
  });

  it("come and change with the catalog, and the engine stays", async () => {
    cpSync(inModels("tiny/adapters/narrow"), inModels("late"), { recursive: true });
    rmSync(inModels("tiny/adapters/narrow"), { recursive: true });
    const { running, generation, models } = await start("{tiny: {}}");
    await generation.generate({ task: taskOf(wide) });
    const workers = running.workers();
    const narrow = runs.findLast(({ adapter }) => adapter === "narrow") ?? plain;
    const ask = async (adapter: string) =>
      (await generation.generate({ task: { ...taskOf(narrow), adapter } })).result?.candidates[0]?.tokenIds;

    writeFileSync(
      join(folder, "mlxd.yaml"),
      "service: {models: ./models}\nmodels: {tiny: {adapters: [{id: late, path: models/late}]}}\n",
    );
    assert.deepStrictEqual((await models.reloadCatalog({})).changed, ["tiny"]);
    assert.deepStrictEqual(await ask("late"), narrow.greedy_ids);

    // Trained on: other numbers in the same shapes.
    const file = inModels("late/adapters.safetensors");
    writeFileSync(file, readFileSync(file).fill(0, 2000));
    // Nobody has to tell of it: the next task sees it, also where the engine has the adapter as it was.
    const revisionOf = async () => (await models.getModel({})).model?.adapters[0]?.revision;
    const before = await revisionOf();
    assert.notDeepEqual(await ask("late"), narrow.greedy_ids);
    assert.notStrictEqual(await revisionOf(), before);
    assert.deepStrictEqual(running.workers(), workers);
  });
});
