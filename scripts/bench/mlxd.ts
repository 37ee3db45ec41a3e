/** mlxd, called over gRPC by its own client: as `npm start` runs it, and as it is deployed. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMlxdClient, type NodeClientOptions } from "../../src/client/node.ts";
import { type RunningService, startService } from "../../test/support/running-service.ts";
import { buildArtefact } from "../artefact/build.ts";
import type { BenchModel } from "./bench-model.ts";
import type { Contender, RunningServer, StartOptions } from "./contender.ts";
import { endsWithUs } from "./ends-with-us.ts";
import { mathEnvironment } from "./math-environment.ts";

const root = join(import.meta.dirname, "../..");

export const mlxd: Contender = contenderOf((environment) => startService(environment));

/** What `npm run build` writes, started by its command. */
export const builtMlxd = async (): Promise<Contender> => {
  const folder = mkdtempSync(join(tmpdir(), "mlxd-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  await buildArtefact(root, folder, { platform: `${process.platform}-${process.arch}` });
  const program = { command: join(folder, "bin/mlxd"), args: ["serve"] };
  const ours = { MLXD_NODE: process.execPath, NODE_COMPILE_CACHE: join(folder, "compile-cache") };
  return contenderOf((environment) => startService({ ...environment, ...ours }, folder, program));
};

/** With further settings than those that both sides of a comparison have. */
interface MlxdOptions extends StartOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** How it has to be called. */
  readonly client?: NodeClientOptions;
}

type StartOne = (environment: Readonly<Record<string, string>>) => Promise<RunningService>;

/** @param startOne starts the service; by default from the sources */
export const startMlxd = async (
  model: BenchModel,
  { promptCacheBytes, kernels, environment, client: clientOptions }: MlxdOptions = {},
  startOne: StartOne = (settings) => startService(settings),
): Promise<RunningServer & { readonly port: number }> => {
  const service = await startOne({
    MLXD_MODELS: await model.ensure(),
    ...(promptCacheBytes !== undefined && { MLXD_PREFIX_CACHE_BYTES: String(promptCacheBytes) }),
    ...mathEnvironment(kernels),
    MLXD_LOG_LEVEL: "Warn",
    // The peer drafts nothing either, and random weights say the same again and again.
    MLXD_SPECULATION: "off",
    ...environment,
  });
  endsWithUs(service.process);
  const client = createMlxdClient({ baseUrl: service.url, ...clientOptions });
  return {
    port: service.port,
    complete: async ({ prompt, maxTokens, schema, signal }, onText) => {
      const logitBias = model.endTokenIds.map((tokenId) => ({ tokenId, bias: -100 }));
      const constraint = schema && { jsonSchema: JSON.stringify(schema) };
      const options = { temperature: 0, maxOutputTokens: maxTokens, logitBias, constraint, signal };
      const stream = client.stream({ prompt }, options);
      for await (const _ of stream.textDeltas()) onText();
      const { usage } = await stream.collect();
      return usage.outputTokens;
    },
    pids: () => [service.process.pid ?? 0, ...service.workers()],
    stop: async () => {
      client.close();
      await service.stop();
    },
  };
};

function contenderOf(startOne: StartOne): Contender {
  return { start: (model, options) => startMlxd(model, options, startOne) };
}
