/** Jobs over a scripted pipeline, through the real router: the same over an embedded store and over a Postgres. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Deferred, Effect, Stream } from "effect";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import {
  JobService,
  JobState,
  StreamJobResultsRequest_Order as Order,
} from "../../../src/client/gen/mlxd/v1/job_service_pb.ts";
import { EngineLost, ModelNotFound } from "../../../src/service/domain/errors.ts";
import type { GenerationEvent, GenerationTask } from "../../../src/service/domain/generation.ts";
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

/** What generations do, by the prompt; otherwise they say it back. */
type Script = (task: GenerationTask) => Stream.Stream<GenerationEvent, EngineLost | ModelNotFound>;

const echo: Script = (task) => Stream.fromIterable(eventsOf(["You said: ", promptOf(task)]));

for (const { name, open } of stores) {
  describe(`jobs in ${name}`, () => {
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
      expect(inOrder.map(textOf)).toEqual(items(120).map((_, index) => `You said: question ${index}`));
      expect(inOrder.map((each) => each.item?.itemId)).toEqual(items(120).map(({ itemId }) => itemId));
      const asFinished = await results(jobId, Order.FINISHED);
      expect(asFinished.map((each) => each.item?.index).toSorted((a = 0, b = 0) => a - b)).toEqual(
        items(120).map((_, index) => index),
      );
      expect(await job(jobId)).toMatchObject({
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
          expect(await results(jobId, order, cursor)).toEqual(all.slice(at + 1));
        }
        expect(await failure(results(jobId, order, 10_000))).toMatchObject({ code: "OutOfRange" });
      }
    });

    it("gives the same job for the same request, and refuses another content by what differs", async () => {
      const request = { requestId: randomUUID(), items: items(2), options: { labels: { run: "1" } } };
      const [first, second] = await Promise.all([client.createJob(request), client.createJob(request)]);
      expect(first.job?.jobId).toBe(second.job?.jobId);
      expect([first, second].filter(({ created }) => created)).toHaveLength(1);
      expect(await failure(client.createJob({ ...request, items: items(3) }))).toMatchObject({
        code: "AlreadyExists",
        rawMessage: expect.stringContaining("items") as string,
      });
      expect(await failure(client.createJob({ ...request, options: { maxAttempts: 5 } }))).toMatchObject({
        code: "AlreadyExists",
        rawMessage: expect.stringMatching(/options\.maxAttempts.*options\.labels/) as string,
      });
    });

    it("takes items by pieces: a repeated one is harmless, a gap and an addition after the seal are refused", async () => {
      const jobId = await createJob({ open: true });
      const append = (offset: number, count: number, more: { readonly seal?: boolean } = {}) =>
        client.appendJobItems({ jobId, offset, items: items(offset + count).slice(offset), ...more });
      expect(await append(0, 3)).toMatchObject({ nextOffset: 3 });
      expect(await append(0, 3)).toMatchObject({ nextOffset: 3 });
      expect(await append(2, 3)).toMatchObject({ nextOffset: 5 });
      expect(await failure(append(6, 1))).toMatchObject({
        code: "OutOfRange",
        rawMessage: expect.stringContaining("go on at offset 5") as string,
      });
      const twice = await Promise.all([append(5, 4), append(5, 4)]);
      expect(twice.map(({ nextOffset }) => nextOffset)).toEqual([9, 9]);
      expect(await failure(client.appendJobItems({ jobId, offset: 8, items: [item("something else")] }))).toMatchObject(
        {
          code: "AlreadyExists",
        },
      );
      expect(await failure(client.sealJob({ jobId, total: 10 }))).toMatchObject({ code: "OutOfRange" });
      expect(await client.sealJob({ jobId, total: 9 })).toMatchObject({ job: { sealed: true } });
      expect(await append(5, 4)).toMatchObject({ nextOffset: 9 });
      expect(await results(jobId)).toHaveLength(9);
      expect(await failure(append(9, 1))).toMatchObject({ code: "FailedPrecondition" });
      expect(await client.sealJob({ jobId })).toMatchObject({ job: { state: JobState.COMPLETED } });
    });

    it("fails an item that is invalid, and runs the others", async () => {
      const bad = { task: { input: { case: "prompt", value: "x" } as const, sampling: { temperature: 7 } } };
      const jobId = await createJob({ items: [item("a"), bad, {}, item("b")] });
      const all = await results(jobId);
      expect(all.map((each) => each.item?.outcome.case)).toEqual(["result", "error", "error", "result"]);
      expect(all.map(({ attempts }) => attempts)).toEqual([1, 0, 0, 1]);
      expect(all[1]?.item?.outcome.value).toMatchObject({
        code: Code.InvalidArgument,
        message: expect.stringContaining("task.sampling.temperature") as string,
      });
      expect(await job(jobId)).toMatchObject({ state: JobState.COMPLETED, counts: { completed: 2, failed: 2 } });
    });

    it("is failed where no item has a result, also where none was fit to start", async () => {
      const jobId = await createJob({ items: [{}, {}] });
      expect(await job(jobId)).toMatchObject({ state: JobState.FAILED, counts: { failed: 2 } });
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
      expect(by("a")).toMatchObject({ sampling: { temperature: 0.25 }, stop: { maxOutputTokens: 9 } });
      expect(by("b")).toMatchObject({ sampling: { temperature: 0.25 }, stop: { maxOutputTokens: 3 } });
      const withInput = { defaults: { input: { case: "prompt", value: "x" } as const } };
      expect(await failure(createJob({ items: items(1), options: withInput }))).toMatchObject({
        code: "InvalidArgument",
      });
      const outOfBounds = { defaults: { sampling: { temperature: 9 } } };
      expect(await failure(createJob({ items: items(1), options: outOfBounds }))).toMatchObject({
        rawMessage: expect.stringContaining("options.defaults.sampling.temperature") as string,
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
      expect((await results(jobId)).map(({ attempts }) => attempts)).toEqual([2, 1]);
      expect(new Set(seeds).size).toBe(1);
      const { items: listed } = await client.listJobItems({ jobId });
      expect(listed[0]).toMatchObject({
        state: JobState.COMPLETED,
        attempts: [{ number: 1, error: { code: Code.Aborted } }, { number: 2 }],
      });
      expect(listed[0]?.attempts[1]?.error).toBeUndefined();
    });

    it("does not try again what is the caller's fault, and no more often than it may", async () => {
      script = (task) =>
        promptOf(task) === "unknown"
          ? Stream.fail(new ModelNotFound({ model: "no-such", nearest: [] }))
          : Stream.fail(new EngineLost({ model: "demo" }));
      const jobId = await createJob({ items: [item("unknown"), item("lost")], options: { maxAttempts: 2 } });
      const all = await results(jobId);
      expect(all.map(({ attempts }) => attempts)).toEqual([1, 2]);
      expect(all.map((each) => each.item?.outcome.case)).toEqual(["error", "error"]);
      expect(await job(jobId)).toMatchObject({ state: JobState.FAILED });
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
      await expect
        .poll(async () => (await job(jobId))?.counts, { timeout: 60_000 })
        .toMatchObject({ completed: 1, inProgress: 8 });
      expect(await client.cancelJob({ jobId })).toMatchObject({
        job: { state: JobState.CANCELLED, counts: { completed: 1, cancelled: 39, inProgress: 0 } },
      });
      await expect.poll(() => ended, { timeout: 60_000 }).toBe(begun);
      const all = await results(jobId);
      expect(all.map((each) => each.item?.outcome.case)).toEqual([
        "result",
        ...Array.from({ length: 39 }, () => "error"),
      ]);
      expect(await results(jobId, Order.FINISHED)).toHaveLength(40);
      expect(all[1]?.item?.outcome.value).toMatchObject({ code: Code.Canceled });
      expect((await client.cancelJob({ jobId })).job).toEqual(await job(jobId));
      const { items: cancelled } = await client.listJobItems({ jobId, states: [JobState.CANCELLED], pageSize: 1000 });
      expect(cancelled).toHaveLength(39);
      expect(begun).toBe(8);
    });

    it("expires, and what is left has no outcome but that", async () => {
      script = () => Stream.never;
      const jobId = await createJob({ items: items(3), options: { expiresAfter: durationFromMs(1500) } });
      const all = await results(jobId);
      expect(all.map((each) => each.item?.outcome.value)).toMatchObject(
        items(3).map(() => ({ code: Code.DeadlineExceeded })),
      );
      expect(await job(jobId)).toMatchObject({ state: JobState.EXPIRED, counts: { expired: 3 } });
    });

    it("tells a watcher every event once, from any sequence on", async () => {
      const jobId = await createJob({ items: items(5) });
      const all = await collect(client.watchJob({ jobId }));
      expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, index) => index + 1));
      expect(all.filter(({ event }) => event.case === "item")).toHaveLength(5);
      expect(all.at(0)?.event).toMatchObject({ case: "job", value: { state: JobState.PENDING, sealed: true } });
      expect(all.at(-1)?.event).toMatchObject({ case: "job", value: { state: JobState.COMPLETED } });
      for (const [at, { sequence }] of all.entries()) {
        expect(await collect(client.watchJob({ jobId, afterSequence: sequence }))).toEqual(all.slice(at + 1));
      }
      expect(await failure(collect(client.watchJob({ jobId, afterSequence: all.length + 1 })))).toMatchObject({
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
      expect(seen).toEqual(["0 started", "1 chunk", "2 chunk", "3 chunk", "4 chunk", "5 finished"]);
      const all = await collect(client.watchJob({ jobId }));
      const text = all.map(({ event: { value, case: of } }) =>
        of === "generation" && value.event.case === "chunk" ? value.event.value.text : "",
      );
      expect(text.join("")).toBe(textOf((await results(jobId))[0] ?? expect.fail()));
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
      expect(all.map(({ sequence }) => sequence)).toEqual(all.map((_, index) => index + 1));
      const text = all.map(({ event: { value, case: of } }) =>
        of === "generation" && value.event.case === "chunk" ? value.event.value.text : "",
      );
      expect(text.join("")).toBe("The answer is 4.");
      expect(all.some(({ event }) => event.case === "restarted")).toBe(false);
      expect((await client.listJobItems({ jobId })).items[0]?.attempts).toMatchObject([
        { number: 1, error: { code: Code.Unavailable } },
        { number: 2 },
      ]);
    });

    it("lists jobs and items by pages, by state and by label", async () => {
      const label = randomUUID();
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
      expect(listed).toEqual(ids.toReversed());
      expect((await client.listJobs({ labels: { label }, states: [JobState.PENDING] })).jobs).toEqual([]);
      expect(await failure(client.listJobs({ pageToken: "nonsense" }))).toMatchObject({ code: "InvalidArgument" });
      const jobId = await createJob({ items: items(5) });
      await results(jobId);
      const first = await client.listJobItems({ jobId, pageSize: 3 });
      const second = await client.listJobItems({ jobId, pageSize: 3, pageToken: first.nextPageToken });
      expect([...first.items, ...second.items].map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
      expect(second.nextPageToken).toBe("");
    });

    it("deletes a job with all that is kept of it, also one that runs", async () => {
      script = () => Stream.never;
      const jobId = await createJob({ items: items(3) });
      await client.deleteJob({ jobId });
      for (const call of [() => client.getJob({ jobId }), () => client.deleteJob({ jobId }), () => results(jobId)]) {
        expect(await failure(call())).toMatchObject({ code: "NotFound" });
      }
      expect(await failure(client.appendJobItems({ jobId: "no-job", items: items(1) }))).toMatchObject({
        code: "NotFound",
      });
    });

    it.each([
      ["no item", { items: [] }, "items"],
      ["no request id", { requestId: "", items: [{}] }, "request_id"],
      ["eleven attempts", { items: [{}], options: { maxAttempts: 11 } }, "options.max_attempts"],
      ["no attempt", { items: [{}], options: { maxAttempts: 0 } }, "options.max_attempts"],
      ["a retention of a minute", { items: [{}], options: { retention: durationFromMs(60_000) } }, "options.retention"],
      ["a NUL in an id", { requestId: "a\0b", items: [{}] }, "request_id"],
      ["a NUL in an item's id", { items: [{ itemId: "\0" }] }, "items[0].item_id"],
    ])("refuses %s by its field", async (_, request, field) => {
      expect(await failure(client.createJob({ requestId: randomUUID(), ...request }))).toMatchObject({
        code: "InvalidArgument",
        rawMessage: expect.stringContaining(field) as string,
      });
    });
  });
}
