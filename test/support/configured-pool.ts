/** A model pool on a folder with `mlxd.yaml`; its engines do nothing, and log when they start and stop. */
import { Effect, Layer } from "effect";

import { Configuration } from "../../src/service/config/Configuration.ts";
import { ModelsConfig } from "../../src/service/config/ModelsConfig.ts";
import type { ResidencySettings } from "../../src/service/config/ResidencyConfig.ts";
import { type ConversationDriver, Engines } from "../../src/service/engine/Engines.ts";
import * as ModelPool from "../../src/service/models/residency/ModelPool.ts";
import { idleEngine } from "./idle-engine.ts";
import { inlineSandbox } from "./inline-sandbox.ts";
import { tokenEngines } from "./token-engines.ts";
import { residency } from "./residency.ts";

const engine = idleEngine();

/** Logs `start {id}` and `stop {id}`. */
export const configuredPool = (
  folder: string,
  log: string[],
  settings: Partial<ResidencySettings> = {},
  conversations: Readonly<Record<string, ConversationDriver>> = {},
  environment: Readonly<Record<string, string>> = {},
) => {
  const engines = Layer.succeed(
    Engines,
    Engines.of({
      ...tokenEngines({
        start: ({ id }) =>
          Effect.acquireRelease(
            Effect.sync(() => (log.push(`start ${id}`), { ...engine })),
            () => Effect.sync(() => log.push(`stop ${id}`)),
          ),
      }),
      conversations,
    }),
  );
  const configuration = Configuration.layer({ args: [], environment, workingDirectory: folder });
  return ModelPool.layer.pipe(
    Layer.provide([
      inlineSandbox,
      engines,
      residency(settings),
      ModelsConfig.layer("/nowhere").pipe(Layer.provide(configuration)),
    ]),
  );
};
