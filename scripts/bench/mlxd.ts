/** mlxd, as `npm start` runs it, called over gRPC by its own client. */
import { join } from "node:path";

import { createMlxdClient } from "../../src/client/node.ts";
import { startService } from "../../test/support/running-service.ts";
import { endTokenIds, modelsFolder } from "./checkpoints.ts";
import { type Contender, prefixCacheBytes } from "./contender.ts";
import { endsWithUs } from "./ends-with-us.ts";

export const mlxd: Contender = {
  start: async (model) => {
    const service = await startService({
      MLXD_MODELS: join(modelsFolder, model),
      MLXD_PREFIX_CACHE_BYTES: String(prefixCacheBytes),
      MLXD_LOG_LEVEL: "Warn",
      // The peer drafts nothing either, and random weights say the same again and again.
      MLXD_SPECULATION: "off",
    });
    endsWithUs(service.process);
    const client = createMlxdClient({ baseUrl: service.url });
    return {
      complete: async ({ prompt, maxTokens, schema, signal }, onText) => {
        const logitBias = endTokenIds.map((tokenId) => ({ tokenId, bias: -100 }));
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
  },
};
