/** A task can be stored as JSON text and read again: nothing of it changes. */
import { assert, describe, it } from "@effect/vitest";
import { Schema } from "effect";

import { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { chat, message, task } from "../../support/tasks.ts";

const stored = Schema.fromJsonString(Schema.toCodecJson(GenerationTask));
const encode = Schema.encodeSync(stored);
const decode = Schema.decodeUnknownSync(stored);

const parametersText = '{"type": "object", "properties": {"2": {}, "1": {}}}';
const call = { id: "c1", name: "f", arguments: '{"n": 1.0}' };
const conversation = {
  ...chat(message("system", "Be brief."), { ...message("assistant", ""), toolCalls: [call] }),
  tools: [
    { name: "f", description: "", parameters: JSON.parse(parametersText), parametersText },
    { name: "g", description: "G", parameters: undefined },
  ],
  toolChoice: { mode: "function", name: "f" },
  templateOptions: { enable_thinking: false, nested: { list: [1, null, "x"] } },
} as const;
const image = { type: "image", source: { data: Uint8Array.of(0, 255) }, mediaType: "image/png" } as const;

describe("a task", () => {
  const tasks: ReadonlyArray<readonly [name: string, task: GenerationTask]> = [
    ["with a prompt alone", task()],
    ["with tokens", task({ input: { type: "tokens", ids: [1, 2, 4_294_967_295] } })],
    ["with a conversation", task({ input: conversation as GenerationTask["input"] })],
    ["with an image", task({ input: chat({ ...message("user", "What?"), content: [image] }) })],
    [
      "with every option",
      task({
        model: "m",
        modelRevision: "r",
        adapter: "a",
        reasoning: { maxTokens: 3, effort: "low" },
        sampling: { temperature: 0.1, topP: 0.3, seed: 4_294_967_295, logitBias: [{ tokenId: 1, bias: -100 }] },
        stop: {
          stopSequences: ["\u2028", "한"],
          stopTokenIds: [7],
          ignoreEos: true,
          includeStopInOutput: true,
          replacesModelStops: true,
          timeBudgetMs: 2.5,
        },
        constraint: { type: "json-schema", schema: "{}" },
        scheduling: { priority: -1, fairnessId: "f", maxQueueWaitMs: 0 },
        cache: { mode: "bypass", partition: "p", stablePrefixTokens: 1 },
        labels: { a: "b" },
      }),
    ],
  ];

  it.each(tasks)("%s is the same when it was stored", (_, given) => {
    assert.deepStrictEqual(decode(encode(given)), given);
  });

  it("that is none is not read", () => {
    assert.throws(() => decode("{}"));
    assert.throws(() => decode(encode(task()).replace('"prompt"', '"song"')));
  });
});
