import { durationMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, it } from "vitest";
import { Pooling } from "../../src/client/gen/mlxd/v1/embedding_service_pb.ts";
import { CancelGenerationResponse_State } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelState } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { Device } from "../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { type ClientOptions, isMlxdError } from "../../src/client/index.ts";
import { createMlxdClient as createNodeClient } from "../../src/client/node.ts";
import { createMlxdClient as createWebClient } from "../../src/client/web.ts";
import { clientKinds, connect } from "../support/client-kinds.ts";
import { saying } from "../support/scripted-events.ts";
import type { Script } from "../support/scripted-server.ts";

const started = new Date("2026-01-02T03:04:05.678Z");

const script: Script = {
  generate: () => ({ result: { candidates: [{ text: "a" }] } }),
  async *stream() {
    yield* saying("a");
  },
  cancel: ({ generationId }) => ({
    state:
      generationId === "g1" ? CancelGenerationResponse_State.CANCELLING : CancelGenerationResponse_State.NOT_RUNNING,
  }),
  embedding: {
    embed: ({ model, inputs, pooling, normalize = true, dimensions = 2, scheduling }) => ({
      model,
      modelRevision: "r1",
      embeddings: inputs.slice(0, model === "short" ? 1 : undefined).map(({ input }, index) => ({
        values: Array.from({ length: dimensions }, () => index + (scheduling?.priority ?? 0)),
        tokens: input.case === "tokens" ? input.value.ids.length : Number(input.value?.length),
        truncated: index === 1,
      })),
      usage: { promptTokens: 5 },
      pooling: pooling || Pooling.LAST_TOKEN,
      normalized: normalize,
    }),
  },
  tokenizer: {
    tokenize: ({ model, texts, addSpecialTokens, pieces }) => ({
      model,
      texts: texts.map((text) => ({
        ids: [...(addSpecialTokens ? [0] : []), ...new TextEncoder().encode(text)],
        pieces: pieces ? [...text] : [],
      })),
      contextLength: 512,
    }),
    detokenize: ({ ids, skipSpecialTokens }) => ({
      text: new TextDecoder().decode(Uint8Array.from(ids.filter((id) => !skipSpecialTokens || id !== 0))),
    }),
    countTokens: ({ task }) => ({
      model: task?.model ?? "",
      promptTokens: 9,
      contextLength: 512,
      fits: true,
      maxOutputTokensLeft: task?.stop?.maxOutputTokens ?? 0,
    }),
  },
  models: {
    listModels: ({ pageToken, states }) =>
      states.length > 0
        ? { models: [{ id: `in ${states.join()}`, state: ModelState.FAILED }] }
        : pageToken === ""
          ? {
              models: [{ id: "one", state: ModelState.ACTIVE, loadedAt: timestampFromDate(started) }],
              nextPageToken: "2",
            }
          : { models: [{ id: `two, page ${pageToken}`, state: 99 as never }] },
    loadModel: ({ model, pinned, idleTtl, validateOnly }) => ({
      model: {
        id: model || "default",
        state: ModelState.ACTIVE,
        pinned: pinned ?? false,
        ...(idleTtl && { idleTtl }),
      },
      ...(validateOnly && { fit: { fits: true, neededBytes: 7, evicts: ["old"] } }),
    }),
    unloadModel: ({ model, drainTimeout, force }) => ({
      model: { id: model, state: ModelState.AVAILABLE },
      unloaded: force,
      freedBytes: drainTimeout ? durationMs(drainTimeout) : -1,
    }),
    unloadAllModels: ({ includePinned, force }) => ({
      unloaded: [includePinned ? "all" : "some", force ? "forced" : "drained"],
      kept: [{ model: "pin", reason: "it is pinned" }],
    }),
    reloadCatalog: () => ({ added: ["new"], removed: [], changed: ["demo"] }),
    pinModel: ({ model, pinned }) => ({ model: { id: model, state: ModelState.AVAILABLE, pinned: pinned ?? false } }),
    getModel: ({ model }) => {
      if (model === "none") throw new ConnectError("no model", Code.NotFound);
      return { model: { id: model || "default", state: ModelState.AVAILABLE, defaultSampling: { temperature: 0.7 } } };
    },
  },
  server: {
    getServerInfo: () => ({
      version: "0.1.0",
      device: Device.METAL,
      startedAt: timestampFromDate(started),
      limits: { maxMessageBytes: 4_194_304, maxDeadline: { seconds: 3_600n }, maxRunning: 8 },
    }),
    getStats: () => ({
      since: timestampFromDate(started),
      total: { running: 1, succeeded: 2 },
      models: [{ model: "demo", state: ModelState.ACTIVE, generations: { running: 1 }, engineRestarts: 3 }],
    }),
  },
};

describe.each(clientKinds)("over $name", (kind) => {
  it("tokenize takes one text or several", async () => {
    await using pair = await connect(kind, script);
    assert.deepEqual(await pair.client.tokenize("ab"), { ids: [97, 98], pieces: [] });
    assert.deepEqual(await pair.client.tokenize(["a", ""], { addSpecialTokens: true, pieces: true }), [
      { ids: [0, 97], pieces: ["a"] },
      { ids: [0], pieces: [] },
    ]);
  });

  it("detokenize gives the text", async () => {
    await using pair = await connect(kind, script);
    assert.equal(await pair.client.detokenize([97, 0, 98], { skipSpecialTokens: true }), "ab");
    assert.equal(await pair.client.detokenize(Uint32Array.of(97)), "a");
  });

  it("embed gives a vector for each input", async () => {
    await using pair = await connect(kind, script);
    const { client } = pair;
    const inputs = ["abc", { tokens: Uint32Array.of(1, 2) }];
    assert.deepEqual(await client.embed(inputs, { model: "m", pooling: "mean", normalize: false, priority: 3 }), {
      model: "m",
      modelRevision: "r1",
      embeddings: [
        { values: [3, 3], tokens: 3, truncated: false },
        { values: [4, 4], tokens: 2, truncated: true },
      ],
      usage: { promptTokens: 5, cachedPromptTokens: 0, outputTokens: 0 },
      pooling: "mean",
      normalized: false,
    });
    const { embeddings, pooling } = await client.embed("ab", { dimensions: 1 });
    assert.deepEqual([embeddings[0]?.values, pooling], [[0], "last_token"]);
    const error = await client.embed(inputs, { model: "short" }).catch((reason: unknown) => reason);
    assert(isMlxdError(error, "PROTOCOL"), String(error));
    const other = await client.embed("a", { pooling: "max" as never }).catch((reason: unknown) => reason);
    assert(isMlxdError(other, "INVALID_FIELD"), String(other));
  });

  it("countTokens takes what generate takes", async () => {
    await using pair = await connect(kind, script);
    const count = await pair.client.countTokens("hi", { model: "demo", maxOutputTokens: 5 });
    assert.deepInclude(count, { model: "demo", promptTokens: 9, fits: true, maxOutputTokensLeft: 5 });
  });

  it("listModels reads all pages", async () => {
    await using pair = await connect(kind, script);
    const models = await pair.client.listModels();
    assert.deepEqual(
      models.map(({ id, state, loadedAt }) => [id, state, loadedAt?.getTime()]),
      [
        ["one", "active", started.getTime()],
        ["two, page 2", "unknown", undefined],
      ],
    );
    const [failed] = await pair.client.listModels({ states: ["failed", "loading"] });
    assert.equal(failed?.id, "in 7,3");
  });

  it("listModels ends when a page leads to itself", async () => {
    await using pair = await connect(kind, { models: { listModels: () => ({ nextPageToken: "again" }) } });
    assert(isMlxdError(await pair.client.listModels().catch((reason: unknown) => reason), "PROTOCOL"));
    assert.lengthOf(pair.server.calls, 2);
  });

  it("loadModel sends what is set, and checkModelFit asks without loading", async () => {
    await using pair = await connect(kind, script);
    const model = await pair.client.loadModel("demo", { pinned: true, idleTtlMs: 1500 });
    assert.deepInclude(model, { id: "demo", state: "active", pinned: true, idleTtlMs: 1500 });
    const plain = await pair.client.loadModel();
    assert.deepInclude(plain, { id: "default", pinned: false });
    assert.notProperty(plain, "idleTtlMs");
    assert.deepInclude(await pair.client.checkModelFit("demo"), { fits: true, neededBytes: 7, evicts: ["old"] });
  });

  it("preloadModels reads a report for each model, and no other", async () => {
    const model = (index: number) => ({ index, model: `m${index}`, report: { message: `loaded ${index}` } });
    const sending = (...messages: readonly object[]): Script => ({
      async *preload() {
        yield* messages;
      },
    });
    await using pair = await connect(kind, sending(model(0), model(1)));
    assert.deepEqual(
      (await pair.client.preloadModels(["a", "b"]).collect()).map(({ model: name, report }) => [name, report.message]),
      [
        ["m0", "loaded 0"],
        ["m1", "loaded 1"],
      ],
    );
    for (const broken of [[model(0)], [model(1)], [{ index: 0 }], [model(0), model(1), model(2)]]) {
      await using other = await connect(kind, sending(...broken));
      const error = await other.client
        .preloadModels(["a", "b"])
        .collect()
        .catch((reason: unknown) => reason);
      assert(isMlxdError(error, "PROTOCOL"), String(error));
    }
  });

  it("unloadModel, unloadAllModels and pinModel tell what became of models", async () => {
    await using pair = await connect(kind, script);
    const forced = await pair.client.unloadModel("demo", { force: true, drainTimeoutMs: 250 });
    assert.deepInclude(forced, { unloaded: true, freedBytes: 250 });
    assert.deepInclude(forced.model, { id: "demo", state: "available" });
    assert.deepInclude(await pair.client.unloadModel("demo"), { unloaded: false, freedBytes: -1 });
    const all = await pair.client.unloadAllModels({ includePinned: true });
    assert.deepEqual(all.unloaded, ["all", "drained"]);
    assert.deepEqual(all.kept, [{ model: "pin", reason: "it is pinned" }]);
    assert.isTrue((await pair.client.pinModel("demo")).pinned);
    assert.isFalse((await pair.client.pinModel("demo", false)).pinned);
    assert.deepEqual(await pair.client.reloadCatalog(), { added: ["new"], removed: [], changed: ["demo"] });
  });

  it("getModel gives one model, by default the default one", async () => {
    await using pair = await connect(kind, script);
    const model = await pair.client.getModel();
    assert.deepInclude(model, { id: "default", state: "available" });
    assert.equal(model.defaultSampling?.temperature, 0.7);
    assert.equal((await pair.client.getModel("demo")).id, "demo");
    const error = await pair.client.getModel("none").catch((reason: unknown) => reason);
    assert(isMlxdError(error));
    assert.equal(error.code, "NOT_FOUND");
  });

  it("serverInfo and stats give plain data", async () => {
    await using pair = await connect(kind, script);
    const info = await pair.client.serverInfo();
    assert.deepInclude(info, { version: "0.1.0", device: "metal", startedAt: started });
    assert.equal(info.limits?.maxDeadlineMs, 3_600_000);
    const stats = await pair.client.stats();
    assert.deepEqual(stats.since, started);
    assert.deepInclude(stats.models[0], { model: "demo", state: "active", engineRestarts: 3 });
    for (const value of [info, stats, await pair.client.listModels()])
      assert.notInclude(JSON.stringify(value), "$typeName");
  });

  it("cancel tells what the generation was", async () => {
    await using pair = await connect(kind, script);
    assert.equal(await pair.client.cancel("g1"), "cancelling");
    assert.equal(await pair.client.cancel("g2"), "not_running");
  });

  it("the default model goes with every call that names none", async () => {
    await using pair = await connect(kind, script, { defaultModel: "mine" });
    assert.equal((await pair.client.countTokens("hi")).model, "mine");
    assert.equal((await pair.client.getModel()).id, "mine");
  });

  it("headers go with every call, also of raw; a call's own go before them", async () => {
    let asked = 0;
    const headers: ClientOptions["headers"] = async () => ({ authorization: `Bearer ${++asked}`, "x-one": "client" });
    await using pair = await connect(kind, script, { headers });
    await pair.client.generate("hi", { headers: { "x-one": "call" } });
    await pair.client.stream("hi").collect();
    await pair.client.raw.models.getModel({});
    const seen = pair.server.calls.map(({ header }) => [header.get("authorization"), header.get("x-one")]);
    assert.deepEqual(seen, [
      ["Bearer 1", "call"],
      ["Bearer 2", "client"],
      ["Bearer 3", "client"],
    ]);
  });

  it("headers that cannot be made or sent fail the call with what went wrong", async () => {
    const mine = new TypeError("no token");
    await using pair = await connect(kind, script, {
      headers: () => {
        throw mine;
      },
      retry: {},
    });
    const error = await pair.client.generate("hi").catch((reason: unknown) => reason);
    assert(isMlxdError(error, "UNKNOWN"));
    assert.equal(error.cause, mine);
    assert.include(error.message, "no token");
    const bad = await pair.client.generate("hi", { headers: { "bad name": "x" } }).catch((reason: unknown) => reason);
    assert(isMlxdError(bad, "INVALID_FIELD"));
    assert.lengthOf(pair.server.calls, 0);
  });

  it("raw gives the API's own messages", async () => {
    await using pair = await connect(kind, script);
    const { model } = await pair.client.raw.models.getModel({ model: "demo" });
    assert.equal(model?.$typeName, "mlxd.v1.Model");
    const error = await pair.client.raw.models.getModel({ model: "none" }).catch((reason: unknown) => reason);
    assert(error instanceof ConnectError);
  });

  it("a client may be used again after close", async () => {
    await using pair = await connect(kind, script);
    await pair.client.generate("hi");
    pair.client.close();
    assert.equal((await pair.client.generate("hi")).text, "a");
  });
});

describe("a client", () => {
  it.each(["127.0.0.1:50051", "localhost", "", "ftp://localhost", "file:///etc/passwd"])(
    "refuses the address %j",
    (baseUrl) => {
      for (const create of [createNodeClient, createWebClient]) {
        assert.throws(() => create({ baseUrl }), /baseUrl/);
      }
    },
  );

  it.each(["/", "", "/prefix", "/prefix/"])("takes an address that ends in %j", (end) => {
    for (const create of [createNodeClient, createWebClient]) create({ baseUrl: `http://127.0.0.1:1${end}` }).close();
    createNodeClient({ baseUrl: new URL(`http://127.0.0.1:1${end}`) }).close();
  });

  it("refuses a time-out that cannot be kept", () => {
    assert.throws(() => createNodeClient({ timeoutMs: 1e8 }), /timeoutMs/);
  });

  it("refuses options that are none when it is made", () => {
    for (const create of [createNodeClient, createWebClient]) {
      assert.throws(() => create({ baseURL: "http://127.0.0.1:1" } as never), /baseURL/);
      assert.throws(() => create({ retry: { retries: 5 } as never }), /retry\.retries/);
      assert.throws(() => create({ retry: { maxAttempts: Number.NaN } }), /retry\.maxAttempts/);
    }
  });

  it("refuses options that are none in each call", async () => {
    const client = createNodeClient();
    const options = { timeout: 3 } as never;
    const calls = [
      () => client.generate("hi", options),
      () => client.embed("hi", options),
      () => client.tokenize("hi", options),
      () => client.detokenize([], options),
      () => client.countTokens("hi", options),
      () => client.listModels(options),
      () => client.listLoadedModels(options),
      () => client.listCompatibilityProfiles(options),
      () => client.getModel("", options),
      () => client.loadModel("", options),
      () => client.checkModelFit("", options),
      () => client.unloadModel("", options),
      () => client.unloadAllModels(options),
      () => client.pinModel("", true, options),
      () => client.reloadCatalog(options),
      () => client.serverInfo(options),
      () => client.stats(options),
      () => client.cancel("g", options),
    ];
    for (const call of calls) {
      const error = await call().catch((reason: unknown) => reason);
      assert(isMlxdError(error, "INVALID_FIELD"), String(error));
    }
    assert.throws(() => client.stream("hi", options), /timeout/);
    assert.throws(() => client.batch([], options), /timeout/);
    assert.throws(() => client.preloadModels([], options), /timeout/);
  });
});
