/** What a tenant may use, where tasks run: models, priorities, prompts, outputs and tokens a minute. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber, Layer } from "effect";

import { Access } from "../../../src/service/access/Access.ts";
import { Admission } from "../../../src/service/admission/Admission.ts";
import { AccessConfig } from "../../../src/service/config/AccessConfig.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import type { LimitsDeclaration, TenantDeclaration } from "../../../src/service/config/access-schema.ts";
import { CurrentCall } from "../../../src/service/domain/Call.ts";
import {
  ModelBroken,
  ModelNotFound,
  NotAllowed,
  QuotaExceeded,
  UnknownBackend,
} from "../../../src/service/domain/errors.ts";
import type { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { familyProfile } from "../../../src/service/models/catalog/families.ts";
import { Models } from "../../../src/service/models/Models.ts";
import { SmokeTests } from "../../../src/service/models/smoke/SmokeTests.ts";
import { layer as allowedModels } from "../../../src/service/pipeline/allowed-models.ts";
import { Embeddings } from "../../../src/service/pipeline/Embeddings.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { layer as embeddingsLayer } from "../../../src/service/pipeline/run-embeddings.ts";
import { layer as generationsLayer } from "../../../src/service/pipeline/run-generations.ts";
import { Metrics } from "../../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { byteTokenizer } from "../../support/byte-tokenizer.ts";
import { fibersRan } from "../../support/fibers-ran.ts";
import { tokenModel } from "../../support/model-in-use.ts";
import { quality } from "../../support/quality.ts";
import { conversationModel, makeScriptedConversations } from "../../support/scripted-conversations.ts";
import { makeScriptedEngine, type Script, type ScriptedEngine } from "../../support/scripted-engine.ts";
import { chat, facts, message, task } from "../../support/tasks.ts";
import { textTools } from "../../support/text-tools.ts";

type Pipeline = Access | Embeddings | Generations | Models | Stats;

/**
 * As the tenant "acme"; the prompt "hello" has five tokens, the model's own output limit is 16. The test gets a list of all texts that
 * were tokenised.
 */
const asTenant = <A, E>(
  declared: Omit<TenantDeclaration, "roles">,
  script: Script,
  test: (engine: ScriptedEngine, tokenised: ReadonlyArray<string>) => Effect.Effect<A, E, Pipeline>,
  { isBroken = false } = {},
) =>
  Effect.gen(function* () {
    const engine = yield* makeScriptedEngine(script);
    const tokenised: string[] = [];
    const encode: typeof byteTokenizer.encode = (text, options) => {
      tokenised.push(text);
      return byteTokenizer.encode(text, options);
    };
    const tools = textTools({ tokenizer: { ...byteTokenizer, encode } });
    // What describes the vocabulary is none of a task's texts.
    tokenised.length = 0;
    const model = tokenModel(
      { facts: facts({ contextLength: 1_000_000 }), profile: familyProfile("unknown"), ...tools },
      Effect.succeed(engine),
    );
    const named =
      <A, F = never>(found: Effect.Effect<A, F>) =>
      (name: string): Effect.Effect<A, F | ModelNotFound | UnknownBackend> => {
        if (["tiny", "", "small", "local_mlx:tiny"].includes(name.trim())) return found;
        if (name.startsWith("ollama:")) return Effect.fail(new UnknownBackend({ backend: "ollama", known: ["mlx"] }));
        return Effect.fail(new ModelNotFound({ model: name, nearest: ["tiny", "qwen3-4b", "secret"] }));
      };
    const used = named(
      isBroken ? Effect.fail(new ModelBroken({ model: "tiny", cause: "no config" })) : Effect.succeed(model),
    );
    const onServer = makeScriptedConversations({ promptTokens: 40, pieces: [{ text: "a" }] });
    const remote = conversationModel({ ...facts(), contextLength: 1_000_000 }, onServer, ["stop.max_output_tokens"]);
    const status = { facts: facts() } as never;
    const pool = Layer.mock(Models)({
      use: (name) => (name === "remote" ? Effect.succeed(remote) : used(name)),
      get: named(Effect.succeed(status)),
      load: named(Effect.succeed(status)),
      list: Effect.succeed([status]),
      fit: named(Effect.succeed({ evict: ["secret", "tiny"], waitFor: ["secret"] } as never)),
      reload: Effect.succeed({ added: ["tiny"], removed: ["secret"], changed: ["secret", "tiny"] }),
      unloadAll: () => Effect.succeed({ unloaded: [], kept: [], freedBytes: 0 }),
      usage: Effect.succeed({ models: [{ status }] } as never),
      resize: () => Effect.die("resized"),
      clear: () => Effect.die("cleared"),
      clearPrefixes: () => Effect.die("prefixes cleared"),
      // It knows an unknown engine as an unknown model, as the real one does.
      remove: (key) =>
        Effect.catchTag(named(Effect.succeed({ status, unloaded: true, freedBytes: 1 }))(key), "UnknownBackend", () =>
          Effect.fail(new ModelNotFound({ model: key, nearest: ["tiny", "qwen3-4b", "secret"] })),
        ),
    });
    const access = Access.layer.pipe(
      Layer.provide(AccessConfig.layerOf({ tenants: { acme: { roles: ["inference"], ...declared } } })),
    );
    const layer = Layer.mergeAll(generationsLayer, embeddingsLayer).pipe(
      Layer.provideMerge(allowedModels.pipe(Layer.provide(pool))),
      Layer.provide(Admission.layer),
      Layer.provide([
        Layer.mock(SmokeTests)({ of: () => undefined, blocking: () => undefined }),
        quality({}),
        Metrics.layer,
        Layer.succeed(AdmissionConfig, { maxRunning: 2, maxQueued: 2 }),
      ]),
      Layer.provideMerge([Stats.layer, access]),
    );
    const caller = { name: "acme", tenant: "acme", roles: ["inference"], peer: "" } as const;
    return yield* test(engine, tokenised).pipe(
      Effect.updateService(CurrentCall, (call) => ({ ...call, caller })),
      Effect.provide(layer),
    );
  });

const limited = <A, E>(
  limits: LimitsDeclaration,
  script: Script,
  test: (engine: ScriptedEngine, tokenised: ReadonlyArray<string>) => Effect.Effect<A, E, Pipeline>,
) => asTenant({ limits }, script, test);

const run = (overrides: Partial<GenerationTask> = {}) =>
  Effect.flatMap(Generations, (generations) => generations.run(task(overrides)));
const drained = { drainMs: 0, force: false };
const upTo = (maxOutputTokens: number) => ({ stop: { ...task().stop, maxOutputTokens } });
const tokensLeft = Effect.map(Access, ({ allowanceOf }) =>
  Number(allowanceOf({ tenant: "acme" }).headers["x-ratelimit-remaining-tokens"]),
);
/** Time goes by while the test runs, and tokens come back: slowly enough to tell the counts apart. */
const assertLeft = (expected: number) =>
  Effect.map(tokensLeft, (left) => assert.isTrue(left >= expected && left < expected + 10, `${left} are left`));

describe("tokens a minute", () => {
  it.effect("are held while a task runs, and settled with what it used", () =>
    limited({ tokens_per_minute: 60 }, ["a", { pause: true }, "b"], (engine) =>
      Effect.gen(function* () {
        const running = yield* Effect.forkChild(run(upTo(20)));
        yield* fibersRan;
        yield* assertLeft(35);
        yield* engine.resume;
        yield* Fiber.join(running);
        yield* assertLeft(53);
      }),
    ),
  );

  it.effect("come back whole where the engine never began", () =>
    limited({ tokens_per_minute: 60 }, [{ pause: true, queued: true }], () =>
      Effect.gen(function* () {
        const running = yield* Effect.forkChild(run(upTo(20)));
        yield* fibersRan;
        yield* assertLeft(35);
        yield* Fiber.interrupt(running);
        yield* assertLeft(60);
      }),
    ),
  );

  it.effect("that are not there refuse the task before it waits, and are counted", () =>
    limited({ tokens_per_minute: 60 }, [{ pause: true }], (engine) =>
      Effect.gen(function* () {
        yield* Effect.forkChild(run(upTo(25)));
        yield* fibersRan;
        const error = yield* Effect.flip(run(upTo(27)));
        assert.instanceOf(error, QuotaExceeded);
        assert.deepInclude(error, { limit: "tokens_per_minute", value: 60, asked: 32 });
        assert.isAbove(error.retryAfterMs ?? 0, 0);
        assert.lengthOf(engine.requests, 1);
        assert.deepInclude((yield* (yield* Stats).snapshot).get("tiny"), { refused: 1, queued: 0 });
        assert.deepEqual((yield* Access).refusals(), [{ tenant: "acme", limit: "tokens_per_minute", count: 1 }]);
      }),
    ),
  );

  it.effect("that cannot be there refuse a task before its prompt is tokenised", () =>
    limited({ tokens_per_minute: 60, max_output_tokens: 58 }, [{ pause: true }], (_engine, tokenised) =>
      Effect.gen(function* () {
        yield* Effect.forkChild(run(upTo(35)));
        yield* fibersRan;
        assert.deepEqual(tokenised, ["hello"]);
        // One more than is left, with the one token that its prompt has at least.
        const error = yield* Effect.flip(run(upTo(30)));
        assert.deepInclude(error, { limit: "tokens_per_minute", value: 60, asked: 31, precision: "at least" });
        const answers = { ...upTo(30), sampling: { candidateCount: 2 } };
        const never = yield* Effect.flip(run(answers));
        assert.deepInclude(never, { limit: "tokens_per_minute", asked: 61 });
        assert.notProperty(never, "retryAfterMs");
        assert.include(never.message, "this takes at least 61, so shorten the prompt");
        assert.deepInclude(yield* Effect.flip(run(upTo(59))), { limit: "max_output_tokens", asked: 59 });
        const ids = { input: { type: "tokens" as const, ids: Array.from({ length: 60 }, () => 7) } };
        assert.deepInclude(yield* Effect.flip(run(ids)), { limit: "tokens_per_minute", asked: 61 });
        assert.deepEqual(tokenised, ["hello"]);
      }),
    ),
  );

  it.effect("bound the output of a task that does not say how much it wants", () =>
    limited({ tokens_per_minute: 12 }, ["a"], (engine) =>
      Effect.gen(function* () {
        yield* run();
        assert.equal(engine.requests[0]?.parameters.maxOutputTokens, 7);
      }),
    ),
  );

  it.effect("count the texts of embeddings", () =>
    limited({ tokens_per_minute: 10, max_prompt_tokens: 4 }, [], (_engine, tokenised) =>
      Effect.gen(function* () {
        const embeddings = yield* Embeddings;
        const embed = (...texts: string[]) =>
          embeddings.run({
            model: "",
            inputs: texts.map((text) => ({ type: "text", text })),
            normalize: true,
            truncate: false,
            scheduling: { fairnessId: "" },
          });
        yield* embed("abc", "ab");
        yield* assertLeft(5);
        assert.deepInclude(yield* Effect.flip(embed("abcde")), { limit: "max_prompt_tokens", asked: 5 });
        assert.deepInclude(yield* Effect.flip(embed("abcd", "abcd")), { limit: "tokens_per_minute", asked: 8 });
        const before = tokenised.length;
        const many = Array.from({ length: 11 }, () => "a");
        assert.deepInclude(yield* Effect.flip(embed(...many)), { asked: 11, precision: "at least" });
        assert.lengthOf(tokenised, before);
      }),
    ),
  );
});

describe("a prompt and an output", () => {
  it.effect("over their limits are refused by their counts", () =>
    limited({ max_prompt_tokens: 5, max_output_tokens: 8 }, ["a"], (engine) =>
      Effect.gen(function* () {
        yield* run(upTo(8));
        assert.deepInclude(yield* Effect.flip(run(upTo(9))), { limit: "max_output_tokens", value: 8, asked: 9 });
        const long = yield* Effect.flip(run({ input: { type: "prompt", text: "hello!" } }));
        assert.deepInclude(long, { limit: "max_prompt_tokens", value: 5, asked: 6 });
        yield* run();
        assert.equal(engine.requests.at(-1)?.parameters.maxOutputTokens, 8);
      }),
    ),
  );
});

describe("a prompt for a model on another server", () => {
  /** Four tokens around the message, and one for four bytes of it. */
  const asked = (promptTokens: number) =>
    run({ model: "remote", input: chat(message("user", "x".repeat((promptTokens - 4) * 4))), ...upTo(10) });

  it.effect("is held to the limit by what it probably is", () =>
    limited({ max_prompt_tokens: 100 }, [], () =>
      Effect.gen(function* () {
        yield* asked(100);
        const error = yield* Effect.flip(asked(101));
        assert.deepInclude(error, { limit: "max_prompt_tokens", value: 100, asked: 101, precision: "about" });
        assert.include(error.message, "this takes about 101, so shorten the prompt");
      }),
    ),
  );

  it.effect("takes of the tokens what it probably is, and in the end what its server has counted", () =>
    limited({ tokens_per_minute: 200 }, [], () =>
      Effect.gen(function* () {
        assert.deepInclude(yield* Effect.flip(asked(191)), { limit: "tokens_per_minute", asked: 201 });
        const { usage } = yield* asked(100);
        assert.deepInclude(usage, { promptTokens: 40, outputTokens: 1 });
        yield* assertLeft(159);
      }),
    ),
  );
});

describe("a text far over what its tenant may send", () => {
  const text = "x".repeat(100_000);

  const bounds: ReadonlyArray<LimitsDeclaration> = [{ max_prompt_tokens: 100 }, { tokens_per_minute: 100 }];

  it.effect.each(bounds)("is not tokenised whole: %o", (limits) =>
    limited(limits, ["a"], (_engine, tokenised) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(run({ input: { type: "prompt", text }, ...upTo(1) }));
        assert.instanceOf(error, QuotaExceeded);
        const { limit, value, precision, asked = 0 } = error;
        assert.deepEqual({ limits: { [limit]: value }, precision }, { limits, precision: "at least" });
        assert.isAbove(asked, 100);
        assert.isBelow(tokenised.join("").length, 10_000);
      }),
    ),
  );
});

describe("priorities", () => {
  const range = { priority: { min: -100, max: -10 } };

  it.effect("outside the range are refused, and a task without one has the nearest", () =>
    limited(range, ["a"], (engine) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(run({ scheduling: { priority: 0, fairnessId: "" } }));
        assert.instanceOf(error, NotAllowed);
        assert.equal(error.message, 'tenant "acme" may not use the priority 0; it may use -100 to -10');
        yield* run({ scheduling: { priority: -50, fairnessId: "" } });
        yield* run({ scheduling: { fairnessId: "" } });
        const [given, nearest] = engine.requests.map(({ scheduling }) => scheduling.turn);
        assert.deepEqual([given, nearest], [50, 10]);
      }),
    ),
  );
});

describe("models", () => {
  it.effect("that the tenant may not use are refused, whether there are such or not", () =>
    asTenant({ models: ["demo", "qwen3-*"] }, ["a"], (engine) =>
      Effect.gen(function* () {
        const models = yield* Models;
        const refusals = [
          yield* Effect.flip(run()),
          yield* Effect.flip(run({ model: "tiny" })),
          yield* Effect.flip(run({ model: "none" })),
          yield* Effect.flip(models.load("tiny", { pinned: undefined, idleTtlMs: undefined })),
          yield* Effect.flip(models.unloadAll({ drainMs: 0, force: false, includePinned: true })),
          // They concern every tenant's models.
          yield* Effect.flip(models.resize({ maxLoaded: 1 })),
          yield* Effect.flip(models.clear(true)),
          yield* Effect.flip(models.clearPrefixes(undefined, {})),
          yield* Effect.flip(models.remove("local_mlx:tiny", { drainMs: 0, force: false })),
        ];
        for (const error of refusals) assert.instanceOf(error, NotAllowed);
        assert.equal(refusals[2]?.message, 'tenant "acme" may not use the model none; it may use demo, qwen3-*');
        assert.isEmpty(yield* models.list);
        assert.isEmpty(engine.requests);
        // However the name is written.
        assert.instanceOf(yield* Effect.flip(run({ model: " qwen3-none" })), ModelNotFound);
      }),
    ),
  );

  it.effect("that it may use are there, and the service's own work has all", () =>
    asTenant({ models: ["ti*"] }, ["a"], () =>
      Effect.gen(function* () {
        yield* run();
        assert.lengthOf(yield* (yield* Models).list, 1);
      }),
    ),
  );

  it.effect("of others are neither those that would make room nor among the changes of a reload", () =>
    asTenant({ models: ["ti*"] }, ["a"], () =>
      Effect.gen(function* () {
        const models = yield* Models;
        assert.deepInclude(yield* models.fit("tiny"), { evict: ["tiny"], waitFor: [] });
        assert.deepEqual(yield* models.reload, { added: ["tiny"], removed: [], changed: ["tiny"] });
      }),
    ),
  );

  it.effect("that is the default one is not told to a tenant that may not use it", () =>
    asTenant({ models: ["qwen3-*"] }, ["a"], () =>
      Effect.gen(function* () {
        const { message: told } = yield* Effect.flip(run({ model: " " }));
        assert.equal(told, 'tenant "acme" may not use the default model; it may use qwen3-*');
      }),
    ),
  );

  it.effect(
    "that it may not use are not told by another name, by what is near to one, or by what is wrong with them",
    () =>
      asTenant(
        { models: ["qwen3-*"] },
        ["a"],
        () =>
          Effect.gen(function* () {
            const models = yield* Models;
            const may = "it may use qwen3-*";
            for (const asked of ["small", "smell", "tiny", "local_mlx:tiny"]) {
              for (const refused of [run({ model: asked }), models.get(asked), models.remove(asked, drained)]) {
                const error = yield* Effect.flip<unknown, { readonly message: string }, Pipeline>(refused);
                assert.equal(error.message, `tenant "acme" may not use the model ${asked}; ${may}`);
              }
            }
            for (const asked of [run({ model: "qwen3-none" }), models.remove("qwen3-none", drained)]) {
              assert.deepInclude(yield* Effect.flip<unknown, unknown, Pipeline>(asked), { nearest: ["qwen3-4b"] });
            }
          }),
        { isBroken: true },
      ),
  );
});

describe("what is kept in memory", () => {
  it.effect("is neither resized nor cleared by a tenant that may use some models alone, and removed of its own", () =>
    asTenant({ models: ["ti*"] }, ["a"], () =>
      Effect.gen(function* () {
        const models = yield* Models;
        const refused = [
          models.resize({ maxLoaded: 1 }),
          models.clear(true),
          models.clearPrefixes("tiny", {}),
          models.remove("demo", drained),
          models.remove("ollama:demo", drained),
        ];
        for (const call of refused) assert.instanceOf(yield* Effect.flip<unknown, unknown, never>(call), NotAllowed);
        for (const key of ["tiny", "local_mlx:tiny"]) assert.isTrue((yield* models.remove(key, drained)).unloaded);
        assert.deepInclude(yield* Effect.flip(models.remove("tiny-2", drained)), { nearest: ["tiny"] });
      }),
    ),
  );

  it.effect("is told of the models that the tenant may use", () =>
    Effect.gen(function* () {
      const told = (models: ReadonlyArray<string>) =>
        asTenant({ models }, ["a"], () => Effect.flatMap(Models, ({ usage }) => usage));
      assert.lengthOf((yield* told(["ti*"])).models, 1);
      assert.isEmpty((yield* told(["demo"])).models);
    }),
  );

  it.effect("is anybody's who may use all models", () =>
    asTenant({ models: ["*"] }, ["a"], () =>
      Effect.gen(function* () {
        const models = yield* Models;
        for (const call of [models.resize({ maxLoaded: 1 }), models.clear(true), models.clearPrefixes(undefined, {})]) {
          assert.isTrue(Exit.hasDies(yield* Effect.exit<unknown, unknown, never>(call)), "it reached the pool");
        }
        assert.isTrue((yield* models.remove("tiny", drained)).unloaded);
        assert.instanceOf(yield* Effect.flip(models.remove("ollama:demo", drained)), ModelNotFound);
      }),
    ),
  );
});
