import { create } from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { assert, describe, it } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/client/gen/google/rpc/error_details_pb.ts";
import type { BatchGenerateRequest } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { FinishReason } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { type BatchEvent, isMlxdError } from "../../src/client/index.ts";
import { clientKinds, connect } from "../support/client-kinds.ts";
import { collect } from "../support/collect.ts";
import { createInMemoryClient, type BatchMessage } from "../support/in-memory-client.ts";
import { untilLeft } from "../support/scripted-server.ts";

const item = (index: number, text = `text ${index}`): BatchMessage => ({
  event: {
    case: "item",
    value: {
      itemId: `item-${index}`,
      index,
      outcome: { case: "result", value: { candidates: [{ text, finishReason: FinishReason.END_OF_SEQUENCE }] } },
    },
  },
});
const summary = (succeeded: number, failed = 0): BatchMessage => ({
  event: {
    case: "summary",
    value: {
      total: succeeded + failed,
      succeeded,
      failed,
      usage: { promptTokens: 9, outputTokens: 4 },
      successRate: succeeded / (succeeded + failed),
      totalTime: { seconds: 1n, nanos: 500_000_000 },
      averageTime: { nanos: 750_000_000 },
    },
  },
});
const refused = (index: number): BatchMessage => ({
  event: {
    case: "item",
    value: {
      itemId: `item-${index}`,
      index,
      outcome: {
        case: "error",
        value: {
          code: Code.ResourceExhausted,
          message: "full",
          details: [
            anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { domain: "mlxd", reason: "QUEUE_FULL" })),
            anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: durationFromMs(900) })),
          ],
        },
      },
    },
  },
});

const batch = (events: readonly BatchMessage[], count: number) =>
  createInMemoryClient({ batch: () => events }).batch(Array.from({ length: count }, () => ({ input: "hi" })));

describe("a batch", () => {
  it("brings items as they finish, then the summary", async () => {
    const events: BatchEvent[] = await collect(batch([item(1), refused(0), summary(1, 1)], 2));
    assert.deepEqual(
      events.map((event) => (event.type === "item" ? event.itemId : event.type)),
      ["item-1", "item-0", "summary"],
    );
  });

  it("is collected in the order of the request", async () => {
    const { items, summary: counts } = await batch([item(1), refused(0), summary(1, 1)], 2).collect();
    const [first, second] = items;
    assert(isMlxdError(first?.error, "QUEUE_FULL"));
    assert.equal(first.error.code, "RESOURCE_EXHAUSTED");
    assert.equal(first.error.retryAfterMs, 900);
    assert.equal(second?.result?.text, "text 1");
    assert.deepEqual(counts, {
      total: 2,
      succeeded: 1,
      failed: 1,
      usage: { promptTokens: 9, cachedPromptTokens: 0, outputTokens: 4 },
      successRate: 0.5,
      totalTimeMs: 1_500,
      averageTimeMs: 750,
    });
  });

  it.each<[string, readonly BatchMessage[], RegExp]>([
    ["ends without its summary", [item(0), item(1)], /ended with 2 of 2 items/],
    ["lacks an item", [item(0), summary(1)], /ended with 1 of 2 items/],
    ["has an item twice", [item(0), item(0)], /item 0 came twice/],
    ["has an item that was not sent", [item(2)], /item 2 came twice, or is not of this batch/],
    ["goes on after its summary", [item(0), item(1), summary(2), item(1)], /after the batch's summary/],
    [
      "has an item without an outcome",
      [{ event: { case: "item", value: { itemId: "a", index: 0 } } }],
      /neither a result nor an error/,
    ],
  ])("that %s is a PROTOCOL error", async (_, events, message) => {
    const error = await batch(events, 2)
      .collect()
      .catch((reason: unknown) => reason);
    assert(isMlxdError(error, "PROTOCOL"), String(error));
    assert.match(error.message, message);
  });

  it("refuses an item's options that are none", () => {
    assert.throws(() => createInMemoryClient({}).batch([{ input: "hi", max_tokens: 3 } as never]), /max_tokens/);
  });
});

describe.each(clientKinds)("a batch over $name", (kind) => {
  it("sends each item with its own parameters", async () => {
    let request: BatchGenerateRequest | undefined;
    await using pair = await connect(
      kind,
      {
        async *batch(received) {
          request = received;
          yield* [item(0), item(1), summary(2)];
        },
      },
      { defaultModel: "demo" },
    );
    const items = [
      { input: "a", itemId: "first", temperature: 0 },
      { input: { prompt: "b" }, model: "other" },
    ] as const;
    await pair.client.batch(items, { parallel: true, maxParallel: 2 }).collect();
    assert.isTrue(request?.parallel);
    assert.equal(request.maxParallel, 2);
    assert.deepEqual(
      request.items.map(({ itemId, task }) => [itemId, task?.model, task?.input.case, task?.sampling?.temperature]),
      [
        ["first", "demo", "chat", 0],
        ["", "other", "prompt", undefined],
      ],
    );
  });

  it("ends on the server when its loop is left", async () => {
    await using pair = await connect(kind, {
      async *batch(_request, context) {
        yield item(0);
        await untilLeft(context);
      },
    });
    for await (const event of pair.client.batch([{ input: "a" }, { input: "b" }])) {
      assert.equal(event.type, "item");
      break;
    }
    await (
      await pair.server.call(0)
    ).left;
  });
});
