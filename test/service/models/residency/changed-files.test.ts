/**
 * Files that change under a model. Weights were served under the revision of the ones before them, and the tokenizer that
 * was read first went with weights that came later.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Deferred, Effect, Layer } from "effect";

import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import { ModelChanged } from "../../../../src/service/domain/errors.ts";
import type { ChatInput } from "../../../../src/service/domain/conversation.ts";
import type { EngineFault } from "../../../../src/service/engine/engine-failures.ts";
import { Engines } from "../../../../src/service/engine/Engines.ts";
import * as ModelPool from "../../../../src/service/models/residency/ModelPool.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import { safetensors, tensors, writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { idleEngine } from "../../../support/idle-engine.ts";
import { inlineSandbox } from "../../../support/inline-sandbox.ts";
import { residency } from "../../../support/residency.ts";
import { chat, message } from "../../../support/tasks.ts";
import { tokenEngines } from "../../../support/token-engines.ts";
import { lease as engineOf, modelNamed } from "../../../support/model-in-use.ts";

let folder = "";
let log: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-changed-"));
  log = [];
  for (const id of ["a", "b"]) writeCheckpoint(join(folder, id));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The same shapes and another number: what training on does. */
const trainedOn = (): Buffer => {
  const bytes = safetensors(tensors);
  bytes.writeFloatLE(0.5, bytes.length - 4);
  return bytes;
};
const swapWeights = (id = "a") => writeCheckpoint(join(folder, id), { "model.safetensors": trainedOn() });

interface World {
  /** What happens while the engine reads the files. */
  readonly whileLoading?: () => void;
  /** What the first engine is given up with. */
  readonly fault?: Deferred.Deferred<EngineFault>;
}

const conversation = chat(message("user", "Hi")) as ChatInput;

/** Engines that look at the files as the real ones do. */
const pool = ({ whileLoading = () => {}, fault }: World = {}) => {
  const engines = Layer.succeed(
    Engines,
    tokenEngines({
      start: ({ id, revision }, _, __, unchanged) =>
        Effect.acquireRelease(
          Effect.gen(function* () {
            yield* unchanged;
            whileLoading();
            yield* unchanged;
            log.push(`start ${id} ${revision}`);
            const isFirst = log.length === 1;
            return { ...idleEngine(), failure: fault && isFirst ? Deferred.await(fault) : Effect.never };
          }),
          () => Effect.sync(() => log.push(`stop ${id} ${revision}`)),
        ),
    }),
  );
  const models = Layer.succeed(ModelsConfig, { directory: folder, defaultModel: "" });
  return ModelPool.layer.pipe(Layer.provide([inlineSandbox, engines, residency(), models]));
};

const revisionOf = (id: string) =>
  Effect.flatMap(Models, (models) => Effect.map(models.get(id), ({ facts }) => facts.revision));
const leaseOnce = (id: string) => Effect.scoped(engineOf(id));

describe("a model whose files changed", () => {
  it.live("since the catalog was read is loaded as what it is now", () =>
    Effect.gen(function* () {
      const before = yield* revisionOf("a");
      const other = yield* revisionOf("b");
      swapWeights();
      assert.strictEqual(yield* revisionOf("a"), before, "nobody has looked yet");
      yield* leaseOnce("a");
      const now = yield* revisionOf("a");
      assert.notStrictEqual(now, before);
      assert.strictEqual(yield* revisionOf("b"), other);
      assert.deepStrictEqual(log, [`start a ${now}`]);
    }).pipe(Effect.provide(pool())),
  );

  it.live("while it was loading is loaded anew", () => {
    let swaps = 0;
    const whileLoading = () => {
      if (swaps++ === 0) swapWeights();
    };
    return Effect.gen(function* () {
      const models = yield* Models;
      const { facts } = yield* models.load("a", { pinned: undefined, idleTtlMs: undefined });
      assert.strictEqual((yield* models.get("a")).state, "active");
      assert.deepStrictEqual(log, [`start a ${facts.revision}`]);
      assert.strictEqual(facts.revision, yield* revisionOf("a"));
    }).pipe(Effect.provide(pool({ whileLoading })));
  });

  it.live("again and again is not loaded, and says so", () => {
    let count = 0;
    const whileLoading = () => {
      const bytes = safetensors(tensors);
      bytes.writeFloatLE(++count, bytes.length - 4);
      writeCheckpoint(join(folder, "a"), { "model.safetensors": bytes });
    };
    return Effect.gen(function* () {
      const error = yield* Effect.flip(leaseOnce("a"));
      assert.deepInclude(error, { _tag: "ModelChanged", model: "a" });
      assert.match(error.message, /have changed and are being read anew; try again in 1000 ms/);
      assert.deepStrictEqual(log, []);
      assert.strictEqual((yield* (yield* Models).get("a")).state, "available");
    }).pipe(Effect.provide(pool({ whileLoading })));
  });

  it.live("after its prompt was made is not given to who made it, and is there for the next", () =>
    Effect.gen(function* () {
      const { facts, lease } = yield* modelNamed("a");
      swapWeights();
      const error = yield* Effect.flip(Effect.scoped(lease()));
      assert.strictEqual(error._tag, "ModelChanged");
      const now = yield* modelNamed("a");
      assert.notStrictEqual(now.facts.revision, facts.revision);
      yield* Effect.scoped(now.lease());
      assert.deepStrictEqual(log, [`start a ${now.facts.revision}`]);
    }).pipe(Effect.provide(pool())),
  );

  it.live("has its new tokenizer with its new weights, whichever was read first", () =>
    Effect.gen(function* () {
      const before = yield* revisionOf("a");
      writeCheckpoint(join(folder, "a"), {
        "tokenizer_config.json": { chat_template: "new {{ messages[0].content }}" },
        "model.safetensors": trainedOn(),
      });
      const { facts, texts, lease } = yield* modelNamed("a");
      assert.deepInclude(yield* texts.render(conversation, { limit: 100 }), { text: "new Hi" });
      assert.notStrictEqual(facts.revision, before);
      yield* Effect.scoped(lease());
      assert.deepStrictEqual(log, [`start a ${facts.revision}`]);
    }).pipe(Effect.provide(pool())),
  );

  it.live("gets a new engine at a reload, though its shapes and sizes are the same", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      yield* leaseOnce("a");
      const before = yield* revisionOf("a");
      swapWeights();
      assert.deepStrictEqual((yield* models.reload).changed, ["a"]);
      yield* leaseOnce("a");
      const now = yield* revisionOf("a");
      assert.deepStrictEqual(
        log.filter((line) => line.startsWith("start")),
        [`start a ${before}`, `start a ${now}`],
      );
      assert.include(log, `stop a ${before}`);
    }).pipe(Effect.provide(pool())),
  );

  it.live("keeps its engine at a reload when it was only written anew", () =>
    Effect.gen(function* () {
      yield* leaseOnce("a");
      writeCheckpoint(join(folder, "a"));
      assert.deepStrictEqual((yield* (yield* Models).reload).changed, []);
      yield* leaseOnce("a");
      assert.lengthOf(log, 1);
    }).pipe(Effect.provide(pool())),
  );

  it.live("when its engine is to start again is put aside, and loaded as what it is by the next task", () => {
    const fault = Deferred.makeUnsafe<EngineFault>();
    return Effect.gen(function* () {
      const models = yield* Models;
      yield* leaseOnce("a");
      const before = yield* revisionOf("a");
      swapWeights();
      yield* Deferred.succeed(fault, new ModelChanged({ model: "a", retryAfterMs: 1_000 }));
      while ((yield* revisionOf("a")) === before) yield* Effect.sleep(5);
      assert.strictEqual((yield* models.get("a")).state, "available");
      yield* leaseOnce("a");
      const now = yield* revisionOf("a");
      assert.deepStrictEqual(log, [`start a ${before}`, `stop a ${before}`, `start a ${now}`]);
    }).pipe(Effect.provide(pool({ fault })));
  });

  it.live("and are gone is no longer there", () =>
    Effect.gen(function* () {
      rmSync(join(folder, "a"), { recursive: true });
      assert.strictEqual((yield* Effect.flip(leaseOnce("a")))._tag, "ModelNotFound");
    }).pipe(Effect.provide(pool())),
  );

  it.live("and are broken says what is wrong, and is back as soon as they are mended", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      writeCheckpoint(join(folder, "a"), { "config.json": "{" });
      const error = yield* Effect.flip(leaseOnce("a"));
      assert.deepInclude(error, { _tag: "ModelBroken", cause: "config.json is not valid JSON" });
      assert.strictEqual((yield* Effect.flip(models.use("a")))._tag, "ModelBroken");
      writeCheckpoint(join(folder, "a"));
      yield* models.use("a");
      yield* leaseOnce("a");
      assert.strictEqual((yield* models.get("a")).state, "active");
    }).pipe(Effect.provide(pool())),
  );
});
