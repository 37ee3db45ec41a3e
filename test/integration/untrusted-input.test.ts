/**
 * A million spaces kept the service from answering its health check for 14 s; a downloaded chat template, or tokenizer,
 * for good. Each hostile input is refused with the limit that it passes, and nobody else notices.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { ErrorInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { Health } from "../../src/client/gen/grpc/health/v1/health_pb.ts";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { Role } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { safetensors, writeCheckpoint } from "../fixtures/checkpoint.ts";
import { byteLevel } from "../fixtures/tokenizers.ts";
import type { LoopDelay } from "../support/event-loop-probe.ts";
import { largeTokenizer } from "../support/large-tokenizer.ts";
import { realModels } from "../support/model-folder.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const template = (chat_template: string) => ({
  "tokenizer_config.json": { ...byteLevel.tokenizerConfig, chat_template },
});

/** Folders by what is wrong with them. */
const writeModels = (models: string): void => {
  symlinkSync(realModels.demo, join(models, "demo"));
  const { tokenizerJson, tokenizerConfig } = largeTokenizer();
  const vocabularySize = 151_004;
  writeCheckpoint(join(models, "large"), {
    "config.json": { model_type: "qwen3", vocab_size: vocabularySize, max_position_embeddings: 32_768 },
    "tokenizer.json": tokenizerJson,
    "tokenizer_config.json": { ...tokenizerConfig, chat_template: "{{ messages[0].content }}" },
    "model.safetensors": safetensors({ "model.embed_tokens.weight": { dtype: "F32", shape: [vocabularySize, 1] } }),
  });
  writeCheckpoint(join(models, "looping"), template("{% for i in range(1000000000) %}x{% endfor %}"));
  writeCheckpoint(
    join(models, "nested"),
    template(
      "{% for i in range(9999) %}{% for j in range(9999) %}{% for k in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
    ),
  );
  writeCheckpoint(
    join(models, "giant"),
    template(
      "{% set n = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}",
    ),
  );
  const splitting = { type: "Split", pattern: { Regex: String.raw`(\w+\s?)+!` }, behavior: "Isolated", invert: false };
  writeCheckpoint(join(models, "splitting"), {
    "tokenizer.json": { ...byteLevel.tokenizerJson, pre_tokenizer: splitting },
  });
  // 150,000 tensors: a header of 14 MB.
  const names = Array.from({ length: 150_000 }, (_, index) => `model.layers.0.a_name_that_takes_its_room.${index}`);
  writeCheckpoint(join(models, "heavy"), {
    "model.safetensors": safetensors({
      ...Object.fromEntries(names.map((name) => [name, { dtype: "F32", shape: [1] }])),
      "model.embed_tokens.weight": { dtype: "F32", shape: [268, 4] },
    }),
  });
  const far = { id: 4_000_000_000, content: "<far>", special: true };
  writeCheckpoint(join(models, "far-id"), {
    "tokenizer.json": {
      ...byteLevel.tokenizerJson,
      added_tokens: [...(byteLevel.tokenizerJson["added_tokens"] as object[]), far],
    },
  });
};

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

describe("untrusted input", { timeout: 900_000 }, () => {
  let folder = "";
  let service: RunningService;
  const loopFile = () => join(folder, "event-loop");

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "mlxd-untrusted-"));
    mkdirSync(join(folder, "models"));
    writeModels(join(folder, "models"));
    service = await startService({
      MLXD_MODELS: join(folder, "models"),
      MLXD_DEFAULT_MODEL: "demo",
      MLXD_SANDBOX_TIME_LIMIT_MS: "3000",
      MLXD_TEST_EVENT_LOOP: loopFile(),
      NODE_OPTIONS: `--import ${join(import.meta.dirname, "../support/event-loop-probe.ts")}`,
    });
  }, 600_000);
  afterAll(async () => {
    await service.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Every caller has a connection of its own. */
  const transport = () => createGrpcTransport({ baseUrl: service.url });
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  const eventLoopDelay = async (): Promise<LoopDelay> => {
    rmSync(loopFile(), { force: true });
    process.kill(service.process.pid ?? 0, "SIGUSR2");
    for (;;) {
      await pause(10);
      try {
        const text = readFileSync(loopFile(), "utf8");
        if (text !== "") return JSON.parse(text);
      } catch {
        // not written yet
      }
    }
  };

  const says = (value: string) => ({
    case: "chat" as const,
    value: { messages: [{ role: Role.USER, content: [{ part: { case: "text" as const, value } }] }] },
  });

  const timeToFirstToken = async (): Promise<number> => {
    const began = performance.now();
    const client = createClient(GenerationService, transport());
    for await (const { event } of client.streamGenerate({ task: { input: says("What is 2+2?") } })) {
      if (event.case === "chunk") return performance.now() - began;
    }
    throw new Error("no token came");
  };

  interface Observed {
    readonly health: number;
    readonly eventLoop: LoopDelay;
    readonly firstToken: number;
  }

  /** What others notice until `during` ends, or of five rounds. */
  const observe = async (during?: Promise<unknown>): Promise<Observed> => {
    let over = false;
    void during?.finally(() => (over = true)).catch(() => {});
    const health = createClient(Health, transport());
    await health.check({});
    await eventLoopDelay();
    let slowest = 0;
    const firstTokens: number[] = [];
    const polling = (async () => {
      for (let round = 0; during === undefined ? round < 40 : !over; round++) {
        const began = performance.now();
        await health.check({});
        slowest = Math.max(slowest, performance.now() - began);
        await pause(25);
      }
    })();
    for (let round = 0; during === undefined ? round < 7 : !over; round++) {
      firstTokens.push(await timeToFirstToken());
      await pause(50);
    }
    await polling;
    return { health: slowest, eventLoop: await eventLoopDelay(), firstToken: median(firstTokens) };
  };

  /** Empty where it was answered. */
  const refusal = async (call: Promise<unknown>): Promise<{ reason: string; message: string }> => {
    const error = await call.then(
      () => undefined,
      (cause: unknown) => ConnectError.from(cause),
    );
    if (error === undefined) return { reason: "", message: "" };
    return { reason: error.findDetails(ErrorInfoSchema)[0]?.reason ?? "", message: error.rawMessage };
  };

  const generate = (model: string, input: { case: "prompt"; value: string } | ReturnType<typeof says>) =>
    createClient(GenerationService, transport()).generate({ task: { model, input, stop: { maxOutputTokens: 1 } } });

  const words = "one two three four five six seven eight nine ten eleven twelve";
  const limit = /takes more than (3000 ms|\d+ bytes of memory)/;
  const tooMuch = ["CONTEXT_LENGTH_EXCEEDED", "INVALID_FIELD"];
  const asks: ReadonlyArray<readonly [string, () => Promise<unknown>, reasons: ReadonlyArray<string>, RegExp]> = [
    ["a reload that reads all models", () => createClient(ModelService, transport()).reloadCatalog({}), [""], /^$/],
    ["a million spaces", () => generate("large", { case: "prompt", value: " ".repeat(1e6) }), tooMuch, /./],
    ["a million underscores", () => generate("large", { case: "prompt", value: "_".repeat(1e6) }), tooMuch, /./],
    ["3.9 million spaces", () => generate("large", { case: "prompt", value: " ".repeat(3.9e6) }), tooMuch, /./],
    [
      "a template that loops",
      () => generate("looping", says("hi")),
      ["MODEL_BROKEN"],
      /chat template fails|takes more than/,
    ],
    ["a template of nested loops", () => generate("nested", says("hi")), ["MODEL_BROKEN"], limit],
    [
      "a template that makes a giant text",
      () => generate("giant", says("hi")),
      ["MODEL_BROKEN"],
      /takes more than|fails: Invalid string length/,
    ],
    [
      "a tokenizer whose pattern doubles its time",
      () => generate("splitting", { case: "prompt", value: words }),
      ["MODEL_BROKEN"],
      limit,
    ],
    [
      "a token with a far id",
      () => generate("far-id", says("hi")),
      ["MODEL_BROKEN"],
      /token id 4000000000; it must be below 65804/,
    ],
  ];

  it("is refused with its limit, and nobody else notices", async () => {
    await observe();
    const alone: Observed[] = [];
    const beside: (readonly [string, Observed])[] = [];
    for (const [what, ask, reasons, message] of asks) {
      alone.push(await observe());
      const asked = refusal(ask());
      beside.push([what, await observe(asked)]);
      const refused = await asked;
      const seen = `${what}: ${JSON.stringify(refused)}`;
      assert.include(reasons, refused.reason, seen);
      assert.match(refused.message, message, seen);
    }
    const atMost = (of: (observed: Observed) => number) => Math.max(...alone.map(of));
    const firstToken = median(alone.map((observed) => observed.firstToken));
    const seen = JSON.stringify({ alone, beside }, undefined, 1);
    // The machine may have other work: what is late by the clock is late alone, too.
    for (const [what, { eventLoop, health }] of beside) {
      assert.isAtMost(eventLoop.ownWork, 100, `${what} ${seen}`);
      assert.isAtMost(
        eventLoop.byClock,
        Math.max(100, 5 * atMost((each) => each.eventLoop.byClock)),
        `${what} ${seen}`,
      );
      assert.isAtMost(health, Math.max(250, 5 * atMost((each) => each.health)), `${what} ${seen}`);
    }
    assert.isAtMost(median(beside.map(([, observed]) => observed.firstToken / firstToken)), 2, seen);
  });

  it("leaves the service as it was", async () => {
    const answer = await generate("demo", says("What is 2+2?"));
    assert.equal(answer.result?.model, "demo");
    const again = await refusal(generate("looping", says("hi")));
    assert.equal(again.reason, "MODEL_BROKEN");
  });
});
