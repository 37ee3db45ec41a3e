/**
 * Loads the configured models before the port opens, so that the first calls are answered immediately. If a model
 * fails, the others still serve, and the log and its health report the failure. If all fail, and not merely because
 * they are not downloaded yet, the service does not start.
 */
import { Effect, Layer } from "effect";

import { ResidencyConfig } from "./config/ResidencyConfig.ts";
import { Models } from "./models/Models.ts";

export const preload = Layer.effectDiscard(
  Effect.gen(function* () {
    const { preload: names } = yield* ResidencyConfig;
    const models = yield* Models;
    if ((yield* models.list).length === 0) {
      return yield* Effect.logWarning("there is no model yet; PrepareModel downloads one");
    }
    const reports = yield* models.preload(names);
    const failed = reports.flatMap(({ error }) => error ?? []);
    for (const error of failed) yield* Effect.logError(`preload: ${error.message}`);
    const broken = failed.find(({ _tag }) => _tag !== "ModelNotDownloaded");
    if (broken !== undefined && failed.length === reports.length) return yield* broken;
  }),
);
