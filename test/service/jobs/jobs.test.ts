/** Jobs over a scripted pipeline, through the real router: the same over an embedded store and over a Postgres. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Deferred, Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, beforeEach, describe, it, vi } from "vitest";

import {
  JobService,
  JobState,
  StreamJobResultsRequest_Order as Order,
} from "../../../src/client/gen/mlxd/v1/job_service_pb.ts";
import { Draining, EngineLost, ModelNotFound, QueueFull } from "../../../src/service/domain/errors.ts";
import type { GenerationEvent } from "../../../src/service/domain/generation-result.ts";
import type { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { startPostgres } from "../../support/postgres.ts";
import { eventsOf, promptOf } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

interface Store {
  readonly name: string;
  readonly open: () => Promise<{ readonly store: string; readonly close: () => Promise<void> } | string>;
}

const stores: ReadonlyArray<Store> = [
  {
    name: "an embedded store",
    open: async () => {
      const directory = await mkdtemp(join(tmpdir(), "mlxd-jobs-"));
      return { store: join(directory, "store"), close: () => rm(directory, { recursive: true }) };
    },
  },
  {
    name: "a Postgres",
    open: async () => {
      const postgres = await startPostgres();
      if (typeof postgres === "string") return postgres;
      return { store: postgres.url, close: async () => postgres[Symbol.asyncDispose]() };
    },
  },
];

/** A pattern of a text that has this in it. */
const containing = (part: string): RegExp => new RegExp(part.replaceAll(/[.[\]]/g, String.raw`\$&`));

/** What generations do, by the prompt; otherwise they say it back. */
type Script = (
  task: GenerationTask,
) => Stream.Stream<GenerationEvent, EngineLost | ModelNotFound | Draining | QueueFull>;

const echo: Script = (task) => Stream.fromIterable(eventsOf(["You said: ", promptOf(task)]));

for (const { name, open } of stores) {
  /** Only what hangs takes as long. */
  describe(`jobs in ${name}`, { timeout: 600_000 }, () => {
    let opened: Awaited<ReturnType<Store["open"]>>;
    let server: TestServer | undefined;
    let client: Client<typeof JobService>;
    let script: Script = echo;
    const start = async (): Promise<void> => {
      if (typeof opened === "string") return;
      server = await startTestServer({
        jobs: { store: opened.store },
        stream: (task) => Stream.suspend(() => script(task)),
      });
      client = createClient(JobService, createGrpcTransport({ baseUrl: server.url }));
    };
    beforeAll(async () => {
      opened = await open();
      await start();
    });
    beforeEach((context) => {
      if (typeof opened === "string") context.skip(opened);
      script = echo;
    });
    afterAll(async () => {
      await server?.close();
      if (typeof opened === "object") await opened.close();
    });

    const item = (text: string, itemId = "") => ({ itemId, task: { input: { case: "prompt", value: text } as const } });
    const items = (count: number) =>
      Array.from({ length: count }, (_, index) => item(`question ${index}`, `q${index}`));
    const createJob = async (...[request]: Parameters<typeof client.createJob>) => {
      const { job } = await client.createJob({ requestId: randomUUID(), ...request });
      return job?.jobId ?? "";
    };
    const collect = async <A>(stream: AsyncIterable<A>): Promise<A[]> => {
      const all: A[] = [];
      for await (const each of stream) all.push(each);
      return all;
    };
    const results = (jobId: string, order: Order = Order.INDEX, afterCursor?: number) =>
      collect(client.streamJobResults({ jobId, order, ...(afterCursor === undefined ? {} : { afterCursor }) }));
    const job = async (jobId: string) => (await client.getJob({ jobId })).job;
    const failure = async (call: Promise<unknown>) => {
      const error: unknown = await call.then(
        () => undefined,
        (cause: unknown) => cause,
      );
      const { code, rawMessage } = error as { code: Code; rawMessage: string };
      return { code: Code[code], rawMessage };
    };
    const textOf = (each: Awaited<ReturnType<typeof results>>[number]) =>
      each.item?.outcome.case === "result" ? each.item.outcome.value.candidates[0]?.text : undefined;

    it("answers every item once, in order and as they finish", async () => {
      const jobId = await createJob({ items: items(120) });
      const inOrder = await results(jobId);
      assert.deepEqual(
        inOrder.map(textOf),
        items(120).map((_, index) => `You said: question ${index}`),
      );
      assert.deepEqual(
        inOrder.map((each) => each.item?.itemId),
        items(120).map(({ itemId }) => itemId),
      );
      const asFinished = await results(jobId, Order.FINISHED);
      assert.deepEqual(
        asFinished.map((each) => each.item?.index).toSorted((a = 0, b = 0) => a - b),
        items(120).map((_, index) => index),
      );
      assertMatches(await job(jobId), {
        state: JobState.COMPLETED,
        sealed: true,
        counts: { total: 120, completed: 120, pending: 0, inProgress: 0, failed: 0 },
        usage: { outputTokens: 240 },
      });
    });

    it("resumes results after any cursor, in both orders", async () => {
      const jobId = await createJob({ items: items(7) });
      for (const order of [Order.INDEX, Order.FINISHED]) {
        const all = await results(jobId, order);
        for (const [at, { cursor }] of all.entries()) {
          assert.deepEqual(await results(jobId, order, cursor), all.slice(at + 1));
        }
        assertMatches(await failure(results(jobId, order, 10_000)), { code: "OutOfRange" });
      }
    });

    it("gives the same job for the same request, and refuses another content by what differs", async () => {
      const request = { requestId: randomUUID(), items: items(2), options: { labels: { run: "1" } } };
      const [first, second] = await Promise.all([client.createJob(request), client.createJob(request)]);
      assert.strictEqual(first.job?.jobId, second.job?.jobId);
      assert.lengthOf(
        [first, second].filter(({ created }) => created),
        1,
      );
      assertMatches(await failure(client.createJob({ ...request, items: items(3) })), {
        code: "AlreadyExists",
        rawMessage: containing("items"),
      });
      assertMatches(await failure(client.createJob({ ...request, options: { maxAttempts: 5 } })), {
        code: "AlreadyExists",
        rawMessage: /options\.maxAttempts.*options\.labels/,
      });
    });

    it("takes items by pieces: a repeated one is harmless, a gap and an addition after the seal are refused", async () => {
      const jobId = await createJob({ open: true });
      const append = (offset: number, count: number, more: { readonly seal?: boolean } = {}) =>
        client.appendJobItems({ jobId, offset, items: items(offset + count).slice(offset), ...more });
      assertMatches(await append(0, 3), { nextOffset: 3 });
      assertMatches(await append(0, 3), { nextOffset: 3 });
      assertMatches(await append(2, 3), { nextOffset: 5 });
      assertMatches(await failure(append(6, 1)), {
        code: "OutOfRange",
        rawMessage: containing("go on at offset 5"),
      });
      const twice = await Promise.all([append(5, 4), append(5, 4)]);
      assert.deepEqual(
        twice.map(({ nextOffset }) => nextOffset),
        [9, 9],
      );
      assertMatches(await failure(client.appendJobItems({ jobId, offset: 8, items: [item("something else")] })), {
        code: "AlreadyExists",
      });
      assertMatches(
        await failure(client.appendJobItems({ jobId, offset: 8, items: [...items(9).slice(8), item("", "q0")] })),
        {
          code: "InvalidArgument",
          rawMessage: containing(`items[1].item_id: "q0"`),
        },
      );
      assertMatches(await failure(client.sealJob({ jobId, total: 10 })), { code: "OutOfRange" });
      assertMatches(await client.sealJob({ jobId, total: 9 }), { job: { sealed: true } });
      assertMatches(await append(5, 4), { nextOffset: 9 });
      assert.lengthOf(await results(jobId), 9);
      assertMatches(await failure(append(9, 1)), { code: "FailedPrecondition" });
      assertMatches(await client.sealJob({ jobId }), { job: { state: JobState.COMPLETED } });
    });

    it("fails an item that is invalid, and runs the others", async () => {
      const bad = { task: { input: { case: "prompt", value: "x" } as const, sampling: { temperature: 7 } } };
      const jobId = await createJob({ items: [item("a"), bad, {}, item("b")] });
      const all = await results(jobId);
      assert.deepEqual(
        all.map((each) => each.item?.outcome.case),
        ["result", "error", "error", "result"],
      );
      assert.deepEqual(
        all.map(({ attempts }) => attempts),
        [1, 0, 0, 1],
      );
      assertMatches(all[1]?.item?.outcome.value, {
        code: Code.InvalidArgument,
        message: containing("task.sampling.temperature"),
      });
      assertMatches(await job(jobId), { state: JobState.COMPLETED, counts: { completed: 2, failed: 2 } });
    });

    it("is failed where no item has a result, also where none was fit to start", async () => {
      const jobId = await createJob({ items: [{}, {}] });
      assertMatches(await job(jobId), { state: JobState.FAILED, counts: { failed: 2 } });
    });

    it("fills in what an item does not say from the defaults, also in pieces that come later", async () => {
      const seen: GenerationTask[] = [];
      script = (task) => {
        seen.push(task);
        return echo(task);
      };
      const defaults = { sampling: { temperature: 0.25 }, stop: { maxOutputTokens: 9 } };
      const jobId = await createJob({ open: true, items: [item("a")], options: { defaults } });
      const own = { task: { input: { case: "prompt", value: "b" } as const, stop: { maxOutputTokens: 3 } } };
      await client.appendJobItems({ jobId, offset: 1, items: [own], seal: true });
      await results(jobId);
      const by = (text: string) => seen.find((task) => promptOf(task) === text);
      assertMatches(by("a"), { sampling: { temperature: 0.25 }, stop: { maxOutputTokens: 9 } });
      assertMatches(by("b"), { sampling: { temperature: 0.25 }, stop: { maxOutputTokens: 3 } });
      const withInput = { defaults: { input: { case: "prompt", value: "x" } as const } };
      assertMatches(await failure(createJob({ items: items(1), options: withInput })), {
        code: "InvalidArgument",
      });
      const outOfBounds = { defaults: { sampling: { temperature: 9 } } };
      assertMatches(await failure(createJob({ items: items(1), options: outOfBounds })), {
        rawMessage: containing("options.defaults.sampling.temperature"),
      });
    });

    it("tries again what may be mended, with the same seed, and tells each attempt", async () => {
      const seeds: unknown[] = [];
      script = (task) => {
        if (promptOf(task) !== "fragile") return echo(task);
        seeds.push(task.sampling.seed);
        return seeds.length < 2 ? Stream.fail(new EngineLost({ model: "demo" })) : echo(task);
      };
      const jobId = await createJob({ items: [item("fragile"), item("well")] });
      assert.deepEqual(
        (await results(jobId)).map(({ attempts }) => attempts),
        [2, 1],
      );
      assert.strictEqual(new Set(seeds).size, 1);
      const { items: listed } = await client.listJobItems({ jobId });
      assertMatches(listed[0], {
        state: JobState.COMPLETED,
        attempts: [{ number: 1, error: { code: Code.Aborted } }, { number: 2 }],
      });
      assert.isUndefined(listed[0]?.attempts[1]?.error);
    });

    it("does not try again what is the caller's fault, and no more often than it may", async () => {
      script = (task) =>
        promptOf(task) === "unknown"
          ? Stream.fail(new ModelNotFound({ model: "no-such", nearest: [] }))
          : Stream.fail(new EngineLost({ model: "demo" }));
      const jobId = await createJob({ items: [item("unknown"), item("lost")], options: { maxAttempts: 2 } });
      const all = await results(jobId);
      assert.deepEqual(
        all.map(({ attempts }) => attempts),
        [1, 2],
      );
      assert.deepEqual(
        all.map((each) => each.item?.outcome.case),
        ["error", "error"],
      );
      assertMatches(await job(jobId), { state: JobState.FAILED });
    });

    it("does not count an attempt against an item where its host drained or was full", async () => {
      const refusals = [new Draining({ retryAfterMs: 1 }), new QueueFull({ model: "demo", limit: 1, retryAfterMs: 1 })];
      script = (task) => {
        const refusal = refusals.pop();
        return refusal === undefined ? echo(task) : Stream.fail(refusal);
      };
      const jobId = await createJob({ items: [item("patient")], options: { maxAttempts: 1 } });
      const [only] = await results(jobId);
      assert.strictEqual(textOf(only ?? assert.fail("it has no result")), "You said: patient");
      assert.strictEqual(only?.attempts, 3);
    });

    it("cancels a job that runs: what waits never starts, what runs ends, what has finished stays", async () => {
      let begun = 0;
      let ended = 0;
      script = (task) => {
        if (promptOf(task) === "question 0") return echo(task);
        begun += 1;
        return Stream.never.pipe(Stream.ensuring(Effect.sync(() => (ended += 1))));
      };
      const jobId = await createJob({ items: items(40) });
      await vi.waitFor(async () => assertMatches((await job(jobId))?.counts, { completed: 1, inProgress: 8 }), {
        timeout: 300_000,
      });
      assertMatches(await client.cancelJob({ jobId }), {
        job: { state: JobState.CANCELLED, counts: { completed: 1, cancelled: 39, inProgress: 0 } },
      });
      await vi.waitFor(() => assert.strictEqual(ended, begun), { timeout: 300_000 });
      const all = await results(jobId);
      assert.deepEqual(
        all.map((each) => each.item?.outcome.case),
        ["result" as const, ...Array.from({ length: 39 }, () => "error" as const)],
      );
      assert.lengthOf(await results(jobId, Order.FINISHED), 40);
      assertMatches(all[1]?.item?.outcome.value, { code: Code.Canceled });
      assert.deepEqual((await client.cancelJob({ jobId })).job, await job(jobId));
      const { items: cancelled } = await client.listJobItems({ jobId, states: [JobState.CANCELLED], pageSize: 1000 });
      assert.lengthOf(cancelled, 39);
      assert.strictEqual(begun, 8);
    });

    it("expires, and what is left has no outcome but that", async () => {
      script = () => Stream.never;
      const jobId = await createJob({ items: items(3), options: { expiresAfter: durationFromMs(1500) } });
      const all = await results(jobId);
      assertMatches(
        all.map((each) => each.item?.outcome.value),
        items(3).map(() => ({ code: Code.DeadlineExceeded })),
      );
      assertMatches(await job(jobId), { state: JobState.EXPIRED, counts: { expired: 3 } });
    });

    it("tells a watcher every event once, from any sequence on", async () => {
      const jobId = await createJob({ items: items(5) });
      const all = await collect(client.watchJob({ jobId }));
      assert.deepEqual(
        all.map(({ sequence }) => sequence),
        all.map((_, index) => index + 1),
      );
      assert.lengthOf(
        all.filter(({ event }) => event.case === "item"),
        5,
      );
      assertMatches(all.at(0)?.event, { case: "job", value: { state: JobState.PENDING, sealed: true } });
      assertMatches(all.at(-1)?.event, { case: "job", value: { state: JobState.COMPLETED } });
      for (const [at, { sequence }] of all.entries()) {
        assert.deepEqual(await collect(client.watchJob({ jobId, afterSequence: sequence })), all.slice(at + 1));
      }
      assertMatches(await failure(collect(client.watchJob({ jobId, afterSequence: all.length + 1 }))), {
        code: "OutOfRange",
      });
    });

    it("tells the watchers of one item what its generation says, live, and joins to the result", async () => {
      const go = Deferred.makeUnsafe<void>();
      script = () =>
        Stream.fromIterable(eventsOf(["Once ", "upon ", "a ", "time 🦊"])).pipe(
          Stream.tap((event) => (event.type === "finished" ? Deferred.await(go) : Effect.void)),
        );
      const jobId = await createJob({ items: [item("tell")] });
      const seen: string[] = [];
      for await (const { event } of client.watchJob({ jobId })) {
        if (event.case !== "generation") continue;
        const { event: inner, sequence } = event.value;
        seen.push(`${sequence} ${inner.case}`);
        // Nothing has finished yet when all of the text is here.
        if (seen.length === 5) Deferred.doneUnsafe(go, Effect.void);
      }
      assert.deepEqual(seen, ["0 started", "1 chunk", "2 chunk", "3 chunk", "4 chunk", "5 finished"]);
      const all = await collect(client.watchJob({ jobId }));
      const text = all.map(({ event: { value, case: of } }) =>
        of === "generation" && value.event.case === "chunk" ? value.event.value.text : "",
      );
      assert.strictEqual(text.join(""), textOf((await results(jobId))[0] ?? assert.fail("it has no result")));
    });

    it("goes on after a restart where it was, and so do its watchers", async () => {
      let hold = true;
      script = (task) => {
        const [started, ...rest] = eventsOf(["The ", "answer ", "is ", "4."]);
        const all = [...(started === undefined ? [] : [started]), ...rest];
        if (!hold || promptOf(task) !== "held") return Stream.fromIterable(all);
        return Stream.concat(Stream.fromIterable(all.slice(0, 3)), Stream.never);
      };
      const jobId = await createJob({ items: [item("held")] });
      const before = [];
      for await (const event of client.watchJob({ jobId })) {
        before.push(event);
        if (event.event.case === "generation" && event.event.value.sequence === 2) break;
      }
      await server?.close();
      hold = false;
      await start();
      const afterSequence = before.at(-1)?.sequence ?? 0;
      const after = await collect(client.watchJob({ jobId, afterSequence }));
      const all = [...before, ...after];
      assert.deepEqual(
        all.map(({ sequence }) => sequence),
        all.map((_, index) => index + 1),
      );
      const text = all.map(({ event: { value, case: of } }) =>
        of === "generation" && value.event.case === "chunk" ? value.event.value.text : "",
      );
      assert.strictEqual(text.join(""), "The answer is 4.");
      assert.strictEqual(
        all.some(({ event }) => event.case === "restarted"),
        false,
      );
      assertMatches((await client.listJobItems({ jobId })).items[0]?.attempts, [
        { number: 1, error: { code: Code.Unavailable } },
        { number: 2 },
      ]);
    });

    it("lists jobs and items by pages, by state and by label", async () => {
      // As long as labels may be: a token has less room than that.
      const label = randomUUID().padEnd(256, "x");
      const ids = [];
      for (let count = 0; count < 5; count++)
        ids.push(await createJob({ items: items(1), options: { labels: { label } } }));
      for (const id of ids) await results(id);
      const listed: string[] = [];
      for (let pageToken = ""; ;) {
        const page = await client.listJobs({ labels: { label }, pageSize: 2, pageToken });
        listed.push(...page.jobs.map(({ jobId }) => jobId));
        pageToken = page.nextPageToken;
        if (pageToken === "") break;
      }
      assert.deepEqual(listed, ids.toReversed());
      assert.deepEqual((await client.listJobs({ labels: { label }, states: [JobState.PENDING] })).jobs, []);
      assertMatches(await failure(client.listJobs({ pageToken: "nonsense" })), { code: "InvalidArgument" });
      const jobId = await createJob({ items: items(5) });
      await results(jobId);
      const first = await client.listJobItems({ jobId, pageSize: 3 });
      const second = await client.listJobItems({ jobId, pageSize: 3, pageToken: first.nextPageToken });
      assert.deepEqual(
        [...first.items, ...second.items].map(({ index }) => index),
        [0, 1, 2, 3, 4],
      );
      assert.strictEqual(second.nextPageToken, "");
    });

    it("deletes a job with all that is kept of it, also one that runs", async () => {
      script = () => Stream.never;
      const jobId = await createJob({ items: items(3) });
      await client.deleteJob({ jobId });
      for (const call of [() => client.getJob({ jobId }), () => client.deleteJob({ jobId }), () => results(jobId)]) {
        assertMatches(await failure(call()), { code: "NotFound" });
      }
      assertMatches(await failure(client.appendJobItems({ jobId: "no-job", items: items(1) })), {
        code: "NotFound",
      });
    });

    it("may be deleted by several calls at once", async () => {
      const jobId = await createJob({ items: items(3) });
      const calls = Array.from({ length: 4 }, () => client.deleteJob({ jobId }));
      const settled = await Promise.allSettled(calls);
      assert.isTrue(settled.some(({ status }) => status === "fulfilled"));
      for (const call of calls.filter((_, index) => settled[index]?.status === "rejected")) {
        assertMatches(await failure(call), { code: "NotFound" });
      }
    });

    it.each([
      ["no item", { items: [] }, "items"],
      ["two items of one id", { items: [item("a", "x"), item("b", "x")] }, "items[1].item_id"],
      ["a blank request id", { requestId: " \n", items: [{}] }, "request_id: it is blank"],
      ["no request id", { requestId: "", items: [{}] }, "request_id"],
      ["eleven attempts", { items: [{}], options: { maxAttempts: 11 } }, "options.max_attempts"],
      ["no attempt", { items: [{}], options: { maxAttempts: 0 } }, "options.max_attempts"],
      ["a retention of a minute", { items: [{}], options: { retention: durationFromMs(60_000) } }, "options.retention"],
      ["a NUL in an id", { requestId: "a\0b", items: [{}] }, "request_id"],
      ["a NUL in an item's id", { items: [{ itemId: "\0" }] }, "items[0].item_id"],
    ])("refuses %s by its field", async (_, request, field) => {
      assertMatches(await failure(client.createJob({ requestId: randomUUID(), ...request })), {
        code: "InvalidArgument",
        rawMessage: containing(field),
      });
    });
  });
}
