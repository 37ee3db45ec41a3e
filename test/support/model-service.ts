import { createMlxdClient } from "../../src/client/node.ts";
import type { ModelFolder } from "./model-folder.ts";
import { startService } from "./running-service.ts";

/** A real service of the models in a folder, with small caches and nothing loaded, and a client that retries nothing. */
export const startModelService = async (folder: ModelFolder, environment: Readonly<Record<string, string>> = {}) => {
  await using starting = new AsyncDisposableStack();
  starting.use(folder);
  const service = await startService({
    MLXD_MODELS: folder.directory,
    MLXD_KV_CACHE_BYTES: String(64 * 1024 ** 2),
    MLXD_PREFIX_CACHE_BYTES: "0",
    MLXD_PRELOAD: "none",
    ...environment,
  });
  starting.defer(async () => void (await service.stop()));
  const client = starting.use(createMlxdClient({ baseUrl: service.url, retry: false }));
  const running = starting.move();
  return { folder, service, client, [Symbol.asyncDispose]: () => running.disposeAsync() };
};
