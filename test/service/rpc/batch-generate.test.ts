import { type Client, Code, createClient } from "@connectrpc/connect";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Deferred, Effect } from "effect";
import { assert, describe, it } from "vitest";

import { ErrorInfoSchema } from "../../../src/client/gen/google/rpc/error_details_pb.ts";
import {
  type BatchGenerateResponse,
  GenerationService,
} from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { GenerationTaskSchema } from "../../../src/client/gen/mlxd/v1/types_pb.ts";
import { ModelNotFound, QueueFull } from "../../../src/service/domain/errors.ts";
import { collect } from "../../support/collect.ts";
import { EventLog } from "../../support/event-log.ts";
import { modelStatus } from "../../support/listed-models.ts";
import { grpc } from "../../support/rpc-transports.ts";
import { eventsOf, promptOf, resultOf } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServerOptions } from "../../support/test-server.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { until } from "../../support/until.ts";
import { errorOf } from "../../support/wire-error.ts";

const taskOf = (prompt: string) => ({ input: { case: "prompt", value: prompt } }) as const;
/** With an option that only a newer client has. */
const newerTask = (prompt: string) =>
  fromBinary(
    GenerationTaskSchema,
    new Uint8Array([...toBinary(GenerationTaskSchema, create(GenerationTaskSchema, taskOf(prompt))), 0xc2, 0x3e, 0]),
  );
const itemOf = (prompt: string) => ({ itemId: `id-${prompt}`, task: taskOf(prompt) });
const resultFor = (prompt: string) => Effect.succeed(resultOf(eventsOf([prompt])));

const startWith = async (options: TestServerOptions) => {
  const server = await startTestServer(options);
  const client: Client<typeof GenerationService> = createClient(GenerationService, grpc.create(server.url));
  return { server, client };
};

/** `id:text` or `id:reason` for each item, and the summary's counts. */
const describeResponse = ({ event }: BatchGenerateResponse): string => {
  if (event.case === "summary") return `${event.value.succeeded}+${event.value.failed}=${event.value.total}`;
  if (event.case !== "item") return "nothing";
  const { itemId, outcome } = event.value;
  if (outcome.case === "result") return `${itemId}:${outcome.value.candidates[0]?.text}`;
  const [detail] = outcome.value?.details ?? [];
  return `${itemId}:${detail && anyUnpack(detail, ErrorInfoSchema)?.reason}`;
};

describe("BatchGenerate", () => {
  it("runs items in order, one after another, unless asked otherwise", async () => {
    const log = new EventLog();
    const { server, client } = await startWith({
      run: (task) =>
        Effect.sync(() => log.add(`+${promptOf(task)}`)).pipe(
          Effect.andThen(Effect.sleep(5)),
          Effect.andThen(Effect.sync(() => log.add(`-${promptOf(task)}`))),
          Effect.andThen(resultFor(promptOf(task))),
        ),
    });
    await using _ = server;
    const responses = await collect(client.batchGenerate({ items: ["a", "b", "c"].map(itemOf) }));
    assert.deepStrictEqual(responses.map(describeResponse), ["id-a:a", "id-b:b", "id-c:c", "3+0=3"]);
    assert.deepStrictEqual(log.entries, ["+a", "-a", "+b", "-b", "+c", "-c"]);
  });

  it("runs the items of one model before those of the next, if asked to", async () => {
    const ran: string[] = [];
    const { server, client } = await startWith({
      models: () => [modelStatus("a"), modelStatus("b")],
      run: (task) => Effect.sync(() => ran.push(promptOf(task))).pipe(Effect.andThen(resultFor(promptOf(task)))),
    });
    await using _ = server;
    const items = ["a1", "b1", "x1", "a2", "b2", "x2"].map((prompt) => ({
      itemId: prompt,
      task: { ...taskOf(prompt), model: prompt.slice(0, 1) },
    }));
    const responses = await collect(client.batchGenerate({ items, groupByModel: true }));
    assert.deepStrictEqual(ran, ["a1", "a2", "b1", "b2", "x1", "x2"]);
    const indices = responses.flatMap(({ event }) => (event.case === "item" ? [event.value.index] : []));
    assert.deepStrictEqual(indices, [0, 3, 1, 4, 2, 5]);
    ran.length = 0;
    await collect(client.batchGenerate({ items }));
    assert.deepStrictEqual(
      ran,
      items.map(({ itemId }) => itemId),
    );
    ran.length = 0;
    await collect(client.batchGenerate({ items, groupByModel: true, parallel: true }));
    assert.strictEqual(ran.map((prompt) => prompt.slice(0, 1)).join(""), "aabbxx");
  });

  it("streams results of parallel items as they finish", async () => {
    const gates = new Map(["a", "b", "c"].map((name) => [name, Deferred.makeUnsafe<void>()] as const));
    const open = (name: string) =>
      Effect.runSync(Deferred.succeed(gates.get(name) ?? Deferred.makeUnsafe<void>(), undefined));
    const { server, client } = await startWith({
      run: (task) => {
        const gate = gates.get(promptOf(task));
        return (gate === undefined ? Effect.void : Deferred.await(gate)).pipe(
          Effect.andThen(resultFor(promptOf(task))),
        );
      },
    });
    await using _ = server;
    const seen: string[] = [];
    open("c");
    for await (const response of client.batchGenerate({ items: ["a", "b", "c"].map(itemOf), parallel: true })) {
      seen.push(describeResponse(response));
      open(seen.length === 1 ? "a" : "b");
    }
    assert.deepStrictEqual(seen, ["id-c:c", "id-a:a", "id-b:b", "3+0=3"]);
  });

  it("runs no more items at once than it is told, and all of them", async () => {
    let [running, most, expected] = [0, 0, 0];
    const { server, client } = await startWith({
      run: (task) =>
        Effect.acquireUseRelease(
          Effect.sync(() => (most = Math.max(most, ++running))),
          // Until as many run as may, and then for long enough that others could begin.
          () =>
            Effect.promise(() => until(() => most >= expected)).pipe(
              Effect.andThen(Effect.sleep(20)),
              Effect.andThen(resultFor(promptOf(task))),
            ),
          () => Effect.sync(() => (running -= 1)),
        ),
    });
    await using _ = server;
    const items = Array.from({ length: 10 }, (_item, index) => itemOf(String(index)));
    for (const [maxParallel, atOnce] of [
      [3, 3],
      [1, 1],
      [0, 10],
    ] as const) {
      [most, expected] = [0, atOnce];
      const responses = await collect(client.batchGenerate({ items, parallel: true, maxParallel }));
      assert.strictEqual(most, atOnce);
      assert.lengthOf(responses, 11);
    }
    for (const request of [
      { items, maxParallel: 2 },
      { items, parallel: true, maxParallel: 101 },
    ]) {
      const error = await errorOf(collect(client.batchGenerate(request)));
      assert.strictEqual(error.code, Code.InvalidArgument);
      assert.include(error.message, "max_parallel");
    }
  });

  it("tells of each item its model, task and time, and sums up rate and times", async () => {
    const { server, client } = await startWith({
      models: () => [modelStatus("demo"), modelStatus("other")],
      run: (task) =>
        promptOf(task) === "bad"
          ? Effect.fail(new QueueFull({ model: "demo", limit: 8, retryAfterMs: 50 }))
          : Effect.andThen(Effect.sleep(30), resultFor(promptOf(task))),
    });
    await using _ = server;
    const items = [itemOf("a"), itemOf("bad"), { task: { ...taskOf("c"), model: "none" } }, itemOf("d")];
    const responses = await collect(client.batchGenerate({ items }));
    const told = responses.flatMap(({ event }) => (event.case === "item" ? [event.value] : []));
    assert.deepStrictEqual(
      told.map(({ index, model, task, outcome }) => [index, model, task, outcome.case]),
      [
        [0, "demo", "prompt", "result"],
        [1, "demo", "prompt", "error"],
        [2, "none", "prompt", "result"],
        [3, "demo", "prompt", "result"],
      ],
    );
    const ms = ({ seconds = 0n, nanos = 0 } = {}) => Number(seconds) * 1000 + nanos / 1e6;
    const times = told.map(({ processingTime }) => ms(processingTime));
    assert.isAtLeast(times[0] ?? 0, 25);
    const summary = responses.at(-1)?.event;
    if (summary?.case !== "summary") return assert.fail("no summary");
    const { total, succeeded, failed, successRate, totalTime, averageTime } = summary.value;
    assert.deepEqual([total, succeeded, failed, successRate], [4, 3, 1, 0.75]);
    // One after another: together they took what the batch took, but for what lies between them.
    const sum = times.reduce((all, each) => all + each, 0);
    assert.isAtLeast(ms(totalTime), sum);
    assert.approximately(ms(averageTime), ms(totalTime) / 4, 0.001);
  });

  it("gives a failed item its own status, and the others their results", async () => {
    const { server, client } = await startWith({
      run: (task) => {
        switch (promptOf(task)) {
          case "full":
            return Effect.fail(new QueueFull({ model: "demo", limit: 1, retryAfterMs: 10 }));
          case "missing":
            return Effect.fail(new ModelNotFound({ model: "x", nearest: [] }));
          case "bug":
            return Effect.die(new Error("secret /srv/models"));
          default:
            return resultFor(promptOf(task));
        }
      },
    });
    await using _ = server;
    const items = [
      itemOf("full"),
      itemOf("missing"),
      itemOf("bug"),
      { itemId: "hot", task: { ...taskOf("hot"), sampling: { temperature: 3 } } },
      { itemId: "newer", task: newerTask("newer") },
      { task: taskOf("ok") },
    ];
    const responses = await collect(client.batchGenerate({ items }));
    assert.deepStrictEqual(responses.map(describeResponse), [
      "id-full:QUEUE_FULL",
      "id-missing:MODEL_NOT_FOUND",
      "id-bug:INTERNAL",
      "hot:INVALID_FIELD",
      "newer:UNSUPPORTED_PARAMETER",
      "5:ok",
      "1+5=6",
    ]);
    const hot = responses[3]?.event;
    const error = hot?.case === "item" && hot.value.outcome.case === "error" ? hot.value.outcome.value : undefined;
    assertMatches(error, {
      code: Code.InvalidArgument,
      message: "task.sampling.temperature: 3 is out of range; it must be between 0 and 2",
    });
    const bug = responses[2]?.event;
    const told = bug?.case === "item" && bug.value.outcome.case === "error" ? bug.value.outcome.value.message : "";
    assert.match(told, /^internal error; the service's log has its cause under request [0-9a-f-]{36}$/);
    assert.isTrue(server.log.some(({ text }) => text.includes("secret")));
  });

  it("sums the usage of what succeeded", async () => {
    const { server, client } = await startWith({ run: (task) => resultFor(promptOf(task)) });
    await using _ = server;
    const responses = await collect(client.batchGenerate({ items: ["a", "b"].map(itemOf), parallel: true }));
    const last = responses.at(-1)?.event;
    assertMatches(last?.case === "summary" && last.value.usage, { promptTokens: 10, outputTokens: 2 });
  });

  it("stops all items when its caller leaves", async () => {
    const log = new EventLog();
    const { server, client } = await startWith({
      run: () =>
        Effect.sync(() => log.add("running")).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Effect.sync(() => log.add("interrupted"))),
        ),
    });
    await using _ = server;
    const abort = new AbortController();
    const items = ["a", "b", "c"].map(itemOf);
    const failed = errorOf(collect(client.batchGenerate({ items, parallel: true }, { signal: abort.signal })));
    await log.until("running", 3);
    abort.abort();
    assert.strictEqual((await failed).code, Code.Canceled);
    await log.until("interrupted", 3);
  });
});
