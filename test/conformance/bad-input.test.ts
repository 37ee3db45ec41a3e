import type { MessageInitShape, UnknownEnum } from "@bufbuild/protobuf";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { Effect } from "effect";
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { type GenerationTaskSchema, Role } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { ModelNotFound } from "../../src/service/domain/errors.ts";
import { collect } from "../support/collect.ts";
import { transports } from "../support/rpc-transports.ts";
import { eventsOf, resultOf } from "../support/scripted-generations.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";
import { assertMatches } from "../support/assert-matches.ts";
import { detailsOf, errorOf, violationOf } from "../support/wire-error.ts";

type Task = MessageInitShape<typeof GenerationTaskSchema>;

const input = { case: "prompt", value: "hello" } as const;
const chat = (value: Extract<Task["input"], { case: "chat" }>["value"]): Task => ({ input: { case: "chat", value } });
const text = (value: string) => ({ part: { case: "text", value } }) as const;
const user = { role: Role.USER, content: [text("hi")] };

const invalid: ReadonlyArray<readonly [what: string, task: Task | undefined, violation: string]> = [
  ["no task", undefined, "task: it must be set"],
  ["no input", {}, "task.input: exactly one of prompt, chat, tokens must be set"],
  [
    "an empty prompt",
    { input: { case: "prompt", value: "" } },
    "task.prompt: it has 0 bytes; it must be at least 1 bytes",
  ],
  [
    "an empty conversation",
    chat({ messages: [] }),
    "task.chat.messages: it has 0 items; it must contain at least 1 item(s)",
  ],
  [
    "an unspecified role",
    chat({ messages: [user, { role: Role.UNSPECIFIED, content: [text("x")] }] }),
    "task.chat.messages[1].role: ROLE_UNSPECIFIED is not allowed; " +
      "it must be one of ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, ROLE_DEVELOPER",
  ],
  [
    "a message without content",
    chat({ messages: [{ role: Role.USER }] }),
    "task.chat.messages[0]: a message needs content; only the assistant's and a tool's may be empty",
  ],
  [
    "an empty text",
    chat({ messages: [{ role: Role.USER, content: [text("")] }] }),
    "task.chat.messages[0]: a message needs content; only the assistant's and a tool's may be empty",
  ],
  [
    "no tokens",
    { input: { case: "tokens", value: { ids: [] } } },
    "task.tokens.ids: it has 0 items; it must contain at least 1 item(s)",
  ],
  ...([3, -1, NaN, Infinity, -Infinity] as const).map(
    (temperature) =>
      [
        `temperature ${temperature}`,
        { input, sampling: { temperature } },
        `task.sampling.temperature: ${temperature} is out of range; it must be between 0 and 2`,
      ] as const,
  ),
  [
    "top_p 0",
    { input, sampling: { topP: 0 } },
    "task.sampling.top_p: 0 is out of range; it must be greater than 0 and less than or equal to 1",
  ],
  [
    "top_k 0",
    { input, sampling: { topK: 0 } },
    "task.sampling.top_k: 0 is out of range; it must be greater than or equal to 1",
  ],
  [
    "max_output_tokens 0",
    { input, stop: { maxOutputTokens: 0 } },
    "task.stop.max_output_tokens: 0 is out of range; it must be greater than or equal to 1",
  ],
  [
    "min_output_tokens over max_output_tokens",
    { input, stop: { maxOutputTokens: 5, minOutputTokens: 6 } },
    "task.stop.min_output_tokens: 6 is out of range; it must not be over max_output_tokens, which is 5",
  ],
  [
    "a bias of 101",
    { input, sampling: { logitBias: [{ tokenId: 1 }, { tokenId: 2, bias: 101 }] } },
    "task.sampling.logit_bias[1].bias: 101 is out of range; it must be between -100 and 100",
  ],
  [
    "a bias that is no number",
    { input, sampling: { logitBias: [{ tokenId: 1, bias: NaN }] } },
    "task.sampling.logit_bias[0].bias: NaN is out of range; it must be between -100 and 100",
  ],
  [
    "1,025 biases",
    { input, sampling: { logitBias: Array.from({ length: 1025 }, (_, tokenId) => ({ tokenId, bias: 1 })) } },
    "task.sampling.logit_bias: it has 1025 items; it must contain no more than 1024 item(s)",
  ],
  ...([0, 9] as const).map(
    (candidateCount) =>
      [
        `${candidateCount} candidates`,
        { input, sampling: { candidateCount } },
        `task.sampling.candidate_count: ${candidateCount} is out of range; it must be between 1 and 8`,
      ] as const,
  ),
  [
    "21 alternatives",
    { input, output: { topLogprobs: 21 } },
    "task.output.top_logprobs: 21 is out of range; it must be less than or equal to 20",
  ],
  [
    "nine stop sequences",
    { input, stop: { stopSequences: Array.from("123456789") } },
    "task.stop.stop_sequences: it has 9 items; it must contain no more than 8 item(s)",
  ],
  [
    "a stop sequence of 300 bytes",
    { input, stop: { stopSequences: ["é".repeat(150)] } },
    "task.stop.stop_sequences[0]: it has 300 bytes; it must be at most 256 bytes",
  ],
  [
    "an empty stop sequence",
    { input, stop: { stopSequences: ["a", ""] } },
    "task.stop.stop_sequences[1]: it has 0 bytes; it must be at least 1 bytes",
  ],
  [
    "a time budget of nothing",
    { input, stop: { timeBudget: {} } },
    "task.stop.time_budget: 0s is out of range; it must be greater than 0s and less than or equal to 86400s",
  ],
  [
    "a name of 300 bytes",
    { input, model: "m".repeat(300) },
    "task.model: it has 300 bytes; it must be at most 256 bytes",
  ],
  [
    "an unknown cache mode",
    { input, cache: { mode: 77 as UnknownEnum } },
    "task.cache.mode: 77 is not allowed; it must be one of MODE_READ_WRITE, MODE_READ_ONLY, MODE_BYPASS",
  ],
];

let server: TestServer;
let reached: number;
beforeAll(async () => {
  server = await startTestServer({
    run: ({ model }) => {
      reached += 1;
      return model === "nope"
        ? Effect.fail(new ModelNotFound({ model, nearest: [] }))
        : Effect.succeed(resultOf(eventsOf(["ok"])));
    },
  });
});
beforeEach(() => {
  reached = 0;
});
afterAll(() => server.close());

describe.each(transports)("over $name", ({ create }) => {
  let client: Client<typeof GenerationService>;
  beforeAll(() => {
    client = createClient(GenerationService, create(server.url));
  });

  it.each(invalid)("%s is refused with the field, the value and the bound", async (_what, task, violation) => {
    const request = task === undefined ? {} : { task };
    for (const call of [() => client.generate(request), () => collect(client.streamGenerate(request))]) {
      const error = await errorOf(call());
      assert.strictEqual(error.code, Code.InvalidArgument);
      assert.strictEqual(detailsOf(error).info?.reason, "INVALID_FIELD");
      assert.strictEqual(violationOf(error), violation);
      assert.strictEqual(error.rawMessage, violation);
    }
    assert.strictEqual(reached, 0);
  });

  it("an option of streams names the default model where the task names none", async () => {
    const error = await errorOf(client.generate({ task: { input, output: { flushTokens: 4 } } }));
    const metadata = { field: "task.output.flush_tokens", model: "demo" };
    assertMatches(detailsOf(error).info, { reason: "UNSUPPORTED_PARAMETER", metadata });
  });

  it("a duration whose parts disagree is refused", async () => {
    const timeBudget = { seconds: 1n, nanos: -5 };
    const error = await errorOf(client.generate({ task: { input, stop: { timeBudget } } }));
    // JSON cannot even say it: the client refuses.
    if (error.code === Code.Internal) return;
    assert.strictEqual(violationOf(error), "task.stop.time_budget: seconds 1 and nanos -5 are no duration");
  });

  it("an unknown model is not found", async () => {
    const error = await errorOf(client.generate({ task: { input, model: "nope" } }));
    assert.strictEqual(error.code, Code.NotFound);
    assert.strictEqual(detailsOf(error).info?.reason, "MODEL_NOT_FOUND");
  });

  it("values at their bounds are accepted", async () => {
    const sampling = {
      temperature: 2,
      topP: 1,
      topK: 1,
      minP: 0,
      repetitionPenalty: 2,
      seed: 2 ** 32 - 1,
      candidateCount: 8,
      logitBias: [{ tokenId: 0, bias: -100 }],
    };
    const stop = { maxOutputTokens: 1, stopSequences: Array.from("12345678"), timeBudget: { seconds: 86_400n } };
    const output = { topLogprobs: 20, promptLogprobs: true, echoPrompt: true };
    await client.generate({ task: { input, sampling, stop, output, cache: { stablePrefixTokens: 0 } } });
    await client.generate({ task: { input, sampling: { temperature: 0 } } });
    assert.strictEqual(reached, 2);
  });

  it("all violations are told at once, in a message that stays small", async () => {
    const messages = Array.from({ length: 400 }, () => ({ role: Role.UNSPECIFIED, content: [text("")] }));
    const error = await errorOf(client.generate({ task: chat({ messages }) }));
    assert.isAtMost(Buffer.byteLength(error.rawMessage), 1024);
    const { badRequest, info } = detailsOf(error);
    assert.strictEqual(info?.reason, "INVALID_FIELD");
    assert.isAbove(badRequest?.fieldViolations.length ?? 0, 5);
    const bytes = error.details.map((detail) =>
      "value" in detail && detail.value instanceof Uint8Array ? detail.value.length : 0,
    );
    assert.isAtMost(
      bytes.reduce((sum, one) => sum + one, 0),
      4096,
    );
  });

  it("items of a batch with one id are refused together", async () => {
    const items = ["a", "b", "a"].map((itemId) => ({ itemId, task: { input } }));
    const error = await errorOf(collect(client.batchGenerate({ items })));
    assert.strictEqual(violationOf(error), "items: item ids must be distinct");
    assert.strictEqual(reached, 0);
  });

  it("an item whose id is the index of one without an id is refused, its own index is not", async () => {
    const items = ["0", "2", ""].map((itemId) => ({ itemId, task: { input } }));
    const error = await errorOf(collect(client.batchGenerate({ items })));
    assert.strictEqual(
      violationOf(error),
      'items[1].item_id: "2" is the id of items[2], which is given none of its own',
    );
    assert.strictEqual(reached, 0);
    const responses = await collect(client.batchGenerate({ items: items.with(1, { itemId: "1", task: { input } }) }));
    assert.deepStrictEqual(
      responses.flatMap(({ event }) => (event.case === "item" ? [event.value.itemId] : [])),
      ["0", "1", "2"],
    );
  });

  it("an empty batch and one of 101 are refused", async () => {
    assert.strictEqual(
      violationOf(await errorOf(collect(client.batchGenerate({})))),
      "items: it has 0 items; it must contain at least 1 item(s)",
    );
    const items = Array.from({ length: 101 }, () => ({ task: { input } }));
    const error = await errorOf(collect(client.batchGenerate({ items })));
    assert.strictEqual(violationOf(error), "items: it has 101 items; it must contain no more than 100 item(s)");
  });
});
