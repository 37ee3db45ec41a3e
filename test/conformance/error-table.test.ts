import { type Client, type ConnectError, createClient } from "@connectrpc/connect";
import { Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import type { ServiceError } from "../../src/service/domain/errors.ts";
import { collect } from "../support/collect.ts";
import { transports } from "../support/rpc-transports.ts";
import { chunk, promptOf, started } from "../support/scripted-generations.ts";
import { type ErrorCase, errorCases } from "../support/service-errors.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";
import { assertMatches } from "../support/assert-matches.ts";
import { detailsOf, errorOf } from "../support/wire-error.ts";

/** The prompt names the error that the scripted pipeline fails with. */
const errorFor = (prompt: string): ServiceError => {
  const found = errorCases.find(({ error }) => error._tag === prompt);
  if (found === undefined) throw new Error(`no case ${prompt}`);
  return found.error;
};

const assertError = (error: ConnectError, expected: ErrorCase): void => {
  const { info, retry } = detailsOf(error);
  assert.strictEqual(error.code, expected.code);
  assertMatches(info, { domain: "mlxd", reason: expected.reason, metadata: expected.metadata });
  assert.strictEqual(
    retry?.retryDelay && Number(retry.retryDelay.seconds) * 1000 + retry.retryDelay.nanos / 1e6,
    expected.retryAfterMs,
  );
  assert.strictEqual(error.metadata.get("grpc-retry-pushback-ms"), expected.retryAfterMs?.toString() ?? null);
  assert.notStrictEqual(error.rawMessage, "");
  assert.notInclude(error.rawMessage, "/srv");
};

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({
    run: (task) => Effect.fail(errorFor(promptOf(task))),
    stream: (task) => {
      const [tag = "", when] = promptOf(task).split(" ");
      const failure = Stream.fail(errorFor(tag));
      return when === "late" ? Stream.concat(Stream.make(started, chunk("a", 1), chunk("b", 2)), failure) : failure;
    },
  });
});
afterAll(() => server.close());

const taskOf = (prompt: string) => ({ task: { input: { case: "prompt", value: prompt } } }) as const;

describe.each(transports)("over $name", ({ create }) => {
  let client: Client<typeof GenerationService>;
  beforeAll(() => {
    client = createClient(GenerationService, create(server.url));
  });

  it.each(errorCases)("$error._tag of a unary call has its code, reason and details", async (expected) => {
    assertError(await errorOf(client.generate(taskOf(expected.error._tag))), expected);
  });

  it.each(errorCases)("$error._tag before a stream's first event has them too", async (expected) => {
    const error = await errorOf(collect(client.streamGenerate(taskOf(expected.error._tag))));
    assertError(error, expected);
    assert.isUndefined(detailsOf(error).failure?.lastSequence);
  });

  it.each(errorCases)("$error._tag in the middle of a stream has them too", async (expected) => {
    const texts: string[] = [];
    const read = async () => {
      for await (const { event } of client.streamGenerate(taskOf(`${expected.error._tag} late`))) {
        if (event.case === "chunk") texts.push(event.value.text);
      }
    };
    const error = await errorOf(read());
    assertError(error, expected);
    assert.deepStrictEqual(texts, ["a", "b"]);
    const { failure } = detailsOf(error);
    if ("progress" in expected.error) {
      assertMatches(failure, { generationId: "gen_7", lastSequence: 2, usage: { outputTokens: 4 } });
    } else {
      assert.isUndefined(failure);
    }
  });

  it("tells which model was not found", async () => {
    const { resource } = detailsOf(await errorOf(client.generate(taskOf("ModelNotFound"))));
    assertMatches(resource, { resourceType: "mlxd.v1.Model", resourceName: "dmeo" });
  });

  it("tells each invalid field", async () => {
    const { badRequest } = detailsOf(await errorOf(client.generate(taskOf("InvalidField"))));
    assertMatches(badRequest?.fieldViolations, [{ field: "task.x", description: "7 is odd" }]);
  });
});
