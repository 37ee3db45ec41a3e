import { toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Cause } from "effect";
import { assert, describe, it } from "vitest";
import { property, string, nat, assert as check } from "fast-check";

import { InvalidField, ModelBroken, QueueFull, type ServiceError } from "../../../src/service/domain/errors.ts";
import { maxDetailBytes, maxMessageBytes, truncateUtf8, withoutPaths } from "../../../src/service/rpc/error-details.ts";
import { failureFrom } from "../../../src/service/calls/failure.ts";
import { statusFrom, wireErrorFrom, wireErrorFromFailure } from "../../../src/service/rpc/error-to-wire.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { errorCases } from "../../support/service-errors.ts";

const sizeOf = (error: ReturnType<typeof wireErrorFrom>): number =>
  error.details.reduce((sum, { desc, value }) => sum + toBinary(desc, value).length, 0);

describe("caps", () => {
  it("keeps message and details small however much is wrong", () => {
    const violations = Array.from({ length: 1000 }, (_, index) => ({
      field: `task.chat.messages[${index}].${"x".repeat(500)}`,
      description: "é".repeat(2000),
    }));
    const error = wireErrorFrom(new InvalidField({ violations }));
    assert.isAtMost(Buffer.byteLength(error.message), maxMessageBytes);
    assert.isAtMost(sizeOf(error), maxDetailBytes);
    assert.deepStrictEqual(
      error.details.map(({ desc }) => desc.name),
      ["ErrorInfo", "BadRequest"],
    );
  });

  it("keeps metadata values small", () => {
    const error = wireErrorFrom(new QueueFull({ model: "m".repeat(10_000), limit: 1, retryAfterMs: 1 }));
    assert.isAtMost(sizeOf(error), maxDetailBytes);
    assert.deepStrictEqual(
      error.details.map(({ desc }) => desc.name),
      ["ErrorInfo", "RetryInfo"],
    );
  });

  it("cuts text between characters, and keeps it well-formed", () => {
    check(
      property(string({ unit: "binary" }), nat(200), (text, extra) => {
        const cut = truncateUtf8(text, 3 + extra);
        assert(Buffer.byteLength(cut) <= 3 + extra || cut === text);
        assert(cut.isWellFormed());
        assert(cut === text || text.startsWith(cut.replace(/…$/, "")));
      }),
    );
    assert.strictEqual(truncateUtf8("a\ud800b", 100), "a\ufffdb");
    assert.strictEqual(truncateUtf8("🦊🦊🦊", 8), "🦊…");
  });
});

describe("paths", () => {
  it.each([
    ["cannot read /srv/models/demo/config.json: gone", "cannot read <path>: gone"],
    ["ENOENT: '/home/u/model.safetensors'", "ENOENT: '<path>'"],
    ["at file:///srv/a/b.ts", "at <path>"],
    ["no model mlx-community/Qwen3-4B", "no model mlx-community/Qwen3-4B"],
    ["https://huggingface.co/a/b is not there", "https://huggingface.co/a/b is not there"],
    ["3/4 of it", "3/4 of it"],
  ])("%s", (text, told) => {
    assert.strictEqual(withoutPaths(text), told);
  });

  it.each([
    "#/properties/n/multipleOf: this keyword is not supported",
    "task.constraint.json_schema: #/$defs/a/items/0/pattern: too long",
    "#/properties/이름/properties/n/multipleOf",
    "(#/a/b/c) and '#/d/e/f'",
    "#/properties/a~1b/x/y",
  ])("are told from places in JSON, which stay: %s", (text) => {
    assert.strictEqual(withoutPaths(text), text);
  });

  it("are told neither in the message nor in the details", () => {
    const error = wireErrorFrom(new ModelBroken({ model: "demo", cause: "/srv/secret/demo/config.json is no JSON" }));
    assert.strictEqual(error.message, 'model "demo" cannot be used: <path> is no JSON');
    assert.notInclude(JSON.stringify(error.details.map(({ value }) => value)), "secret");
  });
});

describe("causes", () => {
  const wireErrorOf = (cause: Cause.Cause<ServiceError>) =>
    wireErrorFromFailure(failureFrom(cause, { requestId: "request-1" }));

  it("a failure decides over a defect beside it", () => {
    const { error } = errorCases[0] ?? {};
    if (error === undefined) throw new Error("no case");
    const cause = Cause.combine(Cause.die(new Error("secret")), Cause.fail(error));
    assert.deepStrictEqual(wireErrorOf(cause), wireErrorFrom(error));
  });

  it("of a defect only the request is told", () => {
    const error = wireErrorOf(Cause.die(new Error("secret /srv/x/y")));
    assert.strictEqual(error.code, Code.Internal);
    assert.strictEqual(error.message, "internal error; the service's log has its cause under request request-1");
    assert.notInclude(JSON.stringify(error.details.map(({ value }) => value)), "secret");
  });

  it("an interruption that is not the caller's says to come back", () => {
    assert.strictEqual(wireErrorOf(Cause.interrupt()).code, Code.Unavailable);
  });
});

it("a status of a batch says what a call would have said", () => {
  for (const { error, code } of errorCases) {
    const wire = wireErrorFrom(error);
    const status = statusFrom(wire);
    assertMatches(status, { code, message: wire.message });
    assert.deepStrictEqual(
      status.details.map(({ typeUrl }) => typeUrl),
      wire.details.map(({ desc }) => `type.googleapis.com/${desc.typeName}`),
    );
  }
});
