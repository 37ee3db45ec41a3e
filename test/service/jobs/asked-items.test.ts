import { Effect } from "effect";
import { assert, describe, it } from "vitest";

import { anonymous } from "../../../src/service/domain/Caller.ts";
import { ModelNotFound } from "../../../src/service/domain/errors.ts";
import type { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { defaultJobOptions } from "../../../src/service/domain/job.ts";
import { decodeTask, itemToStore, jobToStore } from "../../../src/service/jobs/asked-items.ts";
import type { AskedJob } from "../../../src/service/jobs/Jobs.ts";
import { chat, message, task } from "../../support/tasks.ts";

const readBack = (text: string | undefined): GenerationTask => Effect.runSync(decodeTask(text));

const tool = { name: "sum", description: "adds", parameters: { type: "object", properties: { a: {} } } };
const image = { type: "image", source: { data: new Uint8Array([0, 255]) }, mediaType: "image/png" } as const;
const withTools = { ...chat(message("user", "hi")), tools: [tool, { ...tool, parameters: undefined }] };

describe("an item as it is stored", () => {
  it.each([
    ["a prompt", task()],
    ["tokens", task({ input: { type: "tokens", ids: [1, 2] } })],
    ["a chat", task({ input: chat(message("system", "be brief"), message("user", "hi 🦊")) })],
    ["a chat with an image", task({ input: chat({ ...message("user", ""), content: [image] }) })],
    ["a chat with tools", task({ input: withTools as GenerationTask["input"] })],
  ])("reads back as it was asked for: %s", (_, asked) => {
    const seeded = { ...asked, sampling: { seed: 7 } };
    assert.deepEqual(readBack(itemToStore({ itemId: "", task: seeded }).task), seeded);
  });

  it("has a seed, and is equal to the same item with another one that nobody asked for", () => {
    const [first, second] = [0, 1].map(() => itemToStore({ itemId: "a", task: task() }));
    assert.isNumber(readBack(first?.task).sampling.seed);
    assert.strictEqual(first?.hash, second?.hash);
    assert.notStrictEqual(first?.hash, itemToStore({ itemId: "b", task: task() }).hash);
    assert.notStrictEqual(first?.hash, itemToStore({ itemId: "a", task: task({ sampling: { seed: 1 } }) }).hash);
  });

  it("that is invalid has its outcome already, and nothing to run", () => {
    const error = new ModelNotFound({ model: "none", nearest: [] });
    const stored = itemToStore({ itemId: "a", task: error });
    assert.deepEqual([stored.task, stored.outcome], [undefined, { type: "error", error }]);
  });
});

describe("a job as it is stored", () => {
  const asked: AskedJob = {
    requestId: "r",
    items: [{ itemId: "a", task: task() }],
    sealed: true,
    options: { ...defaultJobOptions, labels: { a: "1", b: "2" } },
    defaults: "",
  };
  const fingerprintOf = (job: Partial<AskedJob>) => jobToStore({ ...asked, ...job }, anonymous("peer")).fingerprint;
  const differing = (job: Partial<AskedJob>): string[] => {
    const [before, after] = [fingerprintOf({}), fingerprintOf(job)];
    return Object.keys(before).filter((key) => before[key] !== after[key]);
  };

  it("is known again by its content, and tells by the names of fields what differs", () => {
    assert.isEmpty(differing({ options: { ...asked.options, labels: { b: "2", a: "1" } } }));
    assert.deepEqual(differing({ items: [...asked.items, ...asked.items] }), ["items"]);
    assert.deepEqual(differing({ sealed: false }), ["open"]);
    assert.deepEqual(differing({ options: { ...asked.options, maxAttempts: 9 } }), ["options.maxAttempts"]);
    assert.deepEqual(differing({ options: { ...asked.options, labels: { a: "12" } } }), ["options.labels"]);
    assert.deepEqual(differing({ defaults: "x" }), ["options.defaults"]);
  });
});
