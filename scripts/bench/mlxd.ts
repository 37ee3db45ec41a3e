/** mlxd, as `npm start` runs it, called over gRPC by its own client. */
import { createMlxdClient } from "../../src/client/node.ts";
import { startService } from "../../test/support/running-service.ts";
import type { Contender } from "./contender.ts";
import { endsWithUs } from "./ends-with-us.ts";
import { mathEnvironment } from "./math-environment.ts";

export const mlxd: Contender = {
  start: async (model, { promptCacheBytes, kernels } = {}) => {
    const service = await startService({
      MLXD_MODELS: await model.ensure(),
      ...(promptCacheBytes !== undefined && { MLXD_PREFIX_CACHE_BYTES: String(promptCacheBytes) }),
      ...mathEnvironment(kernels),
      MLXD_LOG_LEVEL: "Warn",
      // The peer drafts nothing either, and random weights say the same again and again.
      MLXD_SPECULATION: "off",
    });
    endsWithUs(service.process);
    const client = createMlxdClient({ baseUrl: service.url });
    return {
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
  },
};
