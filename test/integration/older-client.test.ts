/**
 * A client of an older version against the service of today: its sources as they were, taken out of the history. What it
 * knows of has to go on working; what is new may not trouble it.
 */
import { execFile } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, assert, beforeAll, describe, it, type TestContext } from "vitest";

import type { createMlxdClient as createNodeClient } from "../../src/client/node.ts";
import type { createMlxdClient as createWebClient } from "../../src/client/web.ts";
import { assertMatches } from "../support/assert-matches.ts";
import { type RunningService, startService } from "../support/running-service.ts";

/** Its client has all that clients do; what came after it are changes. */
const commit = "806db37";
const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = `${root}.cache/older-client/${commit}/`;
const run = promisify(execFile);

// The calls below are those that both have; where one of them changes its shape, that is what this test is to show.
interface Older {
  readonly node: { readonly createMlxdClient: typeof createNodeClient };
  readonly web: { readonly createMlxdClient: typeof createWebClient };
}

let older: Older | string;
let service: RunningService;
beforeAll(async () => {
  older = await takeOlder();
  if (typeof older !== "string") service = await startService();
}, 300_000);
afterAll(() => service?.stop());

/** The older client, or why there is none. */
const takeOlder = async (): Promise<Older | string> => {
  try {
    await run("git", ["cat-file", "-e", `${commit}^{commit}`], { cwd: root });
  } catch {
    return `this clone does not reach back to commit ${commit}`;
  }
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const archive = `${folder}client.tar`;
  await run("git", ["archive", "--output", archive, commit, "src/client", "tsconfig.json"], { cwd: root });
  await run("tar", ["-xf", archive, "-C", folder]);
  return {
    node: (await import(`${folder}src/client/node.ts`)) as Older["node"],
    web: (await import(`${folder}src/client/web.ts`)) as Older["web"],
  };
};

const kinds = ["grpc", "connect", "connect-http1", "fetch", "fetch with JSON"] as const;

const clientOf = (kind: (typeof kinds)[number], context: TestContext) => {
  if (typeof older === "string") return context.skip(older);
  const { url: baseUrl } = service;
  if (kind === "fetch") return older.web.createMlxdClient({ baseUrl });
  if (kind === "fetch with JSON") return older.web.createMlxdClient({ baseUrl, format: "json" });
  return older.node.createMlxdClient({ baseUrl, protocol: kind });
};

describe.each(kinds)(`the client of ${commit} over %s`, { timeout: 120_000 }, (kind) => {
  it("generates, in one answer, in a stream and in a batch", async (context) => {
    const client = clientOf(kind, context);
    const options = { seed: 7, maxOutputTokens: 16 };
    const { text, usage } = await client.generate("What is 2+2?", options);
    assert.match(text, /\b4\b/);
    assert.isAbove(usage?.outputTokens, 0);
    let streamed = "";
    for await (const delta of client.stream("What is 2+2?", options).textDeltas()) streamed += delta;
    assert.strictEqual(streamed, text);
    const { items, summary } = await client.batch([{ input: "What is 2+2?", ...options }]).collect();
    assert.strictEqual(items[0]?.result?.text, text);
    assert.strictEqual(summary.succeeded, 1);
    client.close();
  });

  it("counts, tokenizes, lists and looks", async (context) => {
    const client = clientOf(kind, context);
    const tokens = await client.tokenize("What is 2+2?");
    assert.strictEqual(await client.detokenize(tokens.ids), "What is 2+2?");
    assert.isTrue((await client.countTokens("What is 2+2?")).fits);
    assert.include(
      (await client.listModels()).map(({ id }) => id),
      "demo",
    );
    assert.strictEqual((await client.getModel("demo")).id, "demo");
    assert.match((await client.serverInfo()).version, /./);
    assert.isDefined(await client.stats());
    const report = await client.prepareModel("demo").collect();
    assert.isTrue(report.readyToChat);
    client.close();
  });

  it("reads errors: code, reason and what to do", async (context) => {
    const client = clientOf(kind, context);
    const failure = async (call: Promise<unknown>) =>
      call.then(
        () => undefined,
        (error: unknown) => error,
      );
    assertMatches(await failure(client.generate("x", { model: "no-such-model" })), {
      code: "NOT_FOUND",
      reason: "MODEL_NOT_FOUND",
    });
    assertMatches(await failure(client.stream("x", { temperature: 9 }).collect()), {
      code: "INVALID_ARGUMENT",
      reason: "INVALID_FIELD",
    });
    client.close();
  });

  it("ends its generation when it leaves", async (context) => {
    const client = clientOf(kind, context);
    for await (const event of client.stream("Count from 1 to 100", { ignoreEos: true, maxOutputTokens: 400 })) {
      if (event.type === "chunk") break;
    }
    while ((await client.stats()).total?.running !== 0) await new Promise((resolve) => setTimeout(resolve, 20));
    client.close();
  });
});
