/** A few megabytes of small messages kept the service's one thread for seconds: such requests are read in another process. */
import { create } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { Effect, Layer } from "effect";
import { assert, afterAll, beforeAll, describe, it } from "vitest";

import {
  BatchGenerateRequestSchema,
  GenerateRequestSchema,
  GenerationService,
} from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { Role } from "../../../src/client/gen/mlxd/v1/types_pb.ts";
import type { GenerationInput } from "../../../src/service/domain/generation-task.ts";
import { SandboxConfig } from "../../../src/service/config/SandboxConfig.ts";
import { Sandbox } from "../../../src/service/sandbox/Sandbox.ts";
import { collect } from "../../support/collect.ts";
import { grpc, transports } from "../../support/rpc-transports.ts";
import { eventsOf, resultOf } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { detailsOf, errorOf, violationOf } from "../../support/wire-error.ts";

const sandbox = Sandbox.layer.pipe(
  Layer.provide(Layer.succeed(SandboxConfig, { timeLimitMs: 60_000, memoryBytes: 2 ** 30, lanes: 2, environment: {} })),
);

const message = { role: Role.USER, content: [{ part: { case: "text" as const, value: "hi" } }] };
const chatOf = (messages: number) => ({
  input: { case: "chat" as const, value: { messages: Array.from({ length: messages }, () => message) } },
});
const prompt = { case: "prompt", value: "x" } as const;

const tell = (input: GenerationInput, labels: Readonly<Record<string, string>>): string => {
  if (input.type === "chat") return `${input.messages.length} messages, ${labels["kept"]}`;
  if (input.type === "tokens") return `${input.ids.length} ids, the last ${input.ids.at(-1)}, ${labels["kept"]}`;
  return input.type;
};

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({
    sandbox,
    // Tells what arrived.
    run: ({ input, labels }) => {
      return Effect.succeed(resultOf(eventsOf([tell(input, labels)])));
    },
  });
});
afterAll(() => server.close());

describe.each(transports)("over $name", ({ create: transport }) => {
  const client = () => createClient(GenerationService, transport(server.url));

  it("arrives as it was sent", async () => {
    const { result } = await client().generate({ task: { ...chatOf(4000), labels: { kept: "yes" } } });
    assert.strictEqual(result?.candidates[0]?.text, "4000 messages, yes");
  });

  it("arrives with all of its token ids", async () => {
    const ids = Array.from({ length: 200_000 }, (_, place) => place + 7);
    const { result } = await client().generate({
      task: { input: { case: "tokens", value: { ids } }, labels: { kept: "yes" } },
    });
    assert.strictEqual(result?.candidates[0]?.text, "200000 ids, the last 200006, yes");
  });

  it("is refused with the field and its bound", async () => {
    const labels = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`l${index}`, ""]));
    const error = await errorOf(client().generate({ task: { input: prompt, labels } }));
    assert.strictEqual(error.code, Code.InvalidArgument);
    assert.strictEqual(detailsOf(error).info?.reason, "INVALID_FIELD");
    assert.strictEqual(violationOf(error), "task.labels: map must be at most 16 entries");
  });

  it("is refused before a stream begins, too", async () => {
    const error = await errorOf(collect(client().streamGenerate({ task: chatOf(5000) })));
    assert.strictEqual(
      violationOf(error),
      "task.chat.messages: it has 5000 items; it must contain no more than 4096 item(s)",
    );
  });
});

it("of a batch fails with the item that is wrong", async () => {
  const items = [{ task: chatOf(4000) }, { task: { input: prompt, sampling: { temperature: 7 } } }];
  const request = create(BatchGenerateRequestSchema, { items });
  const told = (await collect(createClient(GenerationService, grpc.create(server.url)).batchGenerate(request))).map(
    ({ event }) =>
      event.case === "item" ? event.value.outcome.case : `${event.value?.succeeded} of ${event.value?.total}`,
  );
  assert.deepStrictEqual(told, ["result", "error", "1 of 2"]);
});

it("in JSON that is none is refused with what is wrong, however large", async () => {
  const url = `${server.url}/mlxd.v1.GenerationService/Generate`;
  const refusal = async (body: string) => {
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const { message: told, details } = (await response.json()) as { message: string; details: { debug: unknown }[] };
    return { status: response.status, told, reason: (details[0]?.debug as { reason: string } | undefined)?.reason };
  };
  const malformed = { status: 400, reason: "MALFORMED_REQUEST" };
  assert.deepStrictEqual(await refusal(`{"task": {${'"prompt": 7,'.repeat(100_000)}"model": ""}}`), {
    ...malformed,
    told: "task.prompt: it is there twice",
  });
  assertMatches(await refusal('{"task":'.repeat(200_000)), {
    ...malformed,
    told: /it is nested more than 128 deep/,
  });
  const large = JSON.stringify(create(GenerateRequestSchema, { task: { input: prompt } })).padEnd(3_000_000);
  assertMatches(await refusal(large), malformed);
});

it.each([
  ["mlxd.v1.CacheService/RemoveCachedModel", JSON.stringify({ key: "k".repeat(2_000_000) }), 400],
  ["grpc.health.v1.Health/Check", `{"service": "models/demo", "x": [${"0,".repeat(5000)}0]}`, 400],
])("of %s is answered like any other", async (method, body, expected) => {
  const headers = { "content-type": "application/json" };
  const { status } = await fetch(`${server.url}/${method}`, { method: "POST", headers, body });
  assert.strictEqual(status, expected);
});
