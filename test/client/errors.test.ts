import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, it } from "vitest";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { ErrorReason, GenerationFailureSchema } from "../../src/client/gen/mlxd/v1/error_details_pb.ts";
import { codeNames } from "../../src/client/errors.ts";
import { decodeError, findMlxdError, isMlxdError, MlxdError, type MlxdErrorReason } from "../../src/client/index.ts";
import { clientKinds, connect } from "../support/client-kinds.ts";

type Detail = NonNullable<ConstructorParameters<typeof ConnectError>[3]>[number];
const detail = <Desc extends DescMessage>(desc: Desc, value: MessageInitShape<Desc>): Detail => ({ desc, value });

const reasons = Object.keys(ErrorReason).filter((reason) => reason !== "UNSPECIFIED") as MlxdErrorReason[];

const fail = (code: Code, reason: string, ...details: Detail[]): ConnectError =>
  new ConnectError("what happened", code, undefined, [
    detail(ErrorInfoSchema, { domain: "mlxd", reason, metadata: { limit: "8" } }),
    ...details,
  ]);

describe.each(clientKinds)("over $name", (kind) => {
  const thrown = async (error: ConnectError): Promise<MlxdError> => {
    await using pair = await connect(kind, {
      generate: () => {
        throw error;
      },
    });
    const reason = await pair.client.generate("hi").catch((caught: unknown) => caught);
    assert(isMlxdError(reason), String(reason));
    return reason;
  };

  it("every reason of the service arrives", async () => {
    for (const reason of reasons) {
      const error = await thrown(fail(Code.Aborted, reason));
      assert.equal(error.reason, reason);
      assert.equal(error.code, "ABORTED");
      assert.equal(error.message, "what happened");
      assert.deepEqual(error.metadata, { limit: "8" });
      assert(error.cause instanceof ConnectError);
    }
  });

  it("every code arrives", async () => {
    for (const [number, name] of Object.entries(codeNames)) {
      assert.equal((await thrown(fail(Number(number), "INTERNAL"))).code, name);
    }
  });

  it("what belongs to a reason arrives", async () => {
    const error = await thrown(
      fail(
        Code.ResourceExhausted,
        "CLIENT_STALLED",
        detail(BadRequestSchema, {
          fieldViolations: [{ field: "task.stop.max_output_tokens", description: "is over max_tokens" }],
        }),
        detail(RetryInfoSchema, { retryDelay: durationFromMs(1_500) }),
        detail(GenerationFailureSchema, {
          generationId: "g1",
          usage: { promptTokens: 3, outputTokens: 2 },
          lastSequence: 4,
        }),
      ),
    );
    assert.deepEqual(error.violations, [{ field: "maxOutputTokens", description: "is over maxTokens" }]);
    assert.equal(error.retryAfterMs, 1_500);
    assert.deepEqual(error.progress, {
      generationId: "g1",
      usage: { promptTokens: 3, cachedPromptTokens: 0, outputTokens: 2 },
      lastSequence: 4,
      text: "",
    });
  });

  it("a message beyond ASCII arrives whole", async () => {
    const error = await thrown(new ConnectError("kein Modell „größer“ 🍏", Code.NotFound));
    assert.equal(error.message, "kein Modell „größer“ 🍏");
    assert.equal(error.code, "NOT_FOUND");
  });
});

describe("decodeError", () => {
  it("says UNKNOWN for a reason that is newer than this client, and keeps code and message", () => {
    const error = decodeError(fail(Code.FailedPrecondition, "MODEL_ON_HOLIDAY"));
    assert.equal(error.reason, "UNKNOWN");
    assert.equal(error.code, "FAILED_PRECONDITION");
    assert.deepEqual(error.metadata, { limit: "8" });
  });

  it("takes no other domain's reason for its own", () => {
    const info = detail(ErrorInfoSchema, { domain: "googleapis.com", reason: "QUEUE_FULL" });
    assert.equal(decodeError(new ConnectError("no", Code.Aborted, undefined, [info])).reason, "UNKNOWN");
  });

  it("leaves an MlxdError as it is", () => {
    const error = new MlxdError({ code: "ABORTED", reason: "ENGINE_LOST", message: "gone" });
    assert.equal(decodeError(error), error);
  });

  it("believes the service's own account before the caller's cancel", () => {
    const error = decodeError(fail(Code.Aborted, "ENGINE_LOST"), { cancelled: { reason: undefined } });
    assert.equal(error.reason, "ENGINE_LOST");
  });

  it.each([undefined, null, "text", 7, new Error("x"), { message: "x" }])("makes an error of %s", (value) => {
    assert(isMlxdError(decodeError(value)));
  });
});

describe("isMlxdError and findMlxdError", () => {
  const full = new MlxdError({ code: "RESOURCE_EXHAUSTED", reason: "QUEUE_FULL", message: "full" });

  it("know the error and its reason", () => {
    assert.isTrue(isMlxdError(full));
    assert.isTrue(isMlxdError(full, "QUEUE_FULL"));
    assert.isFalse(isMlxdError(full, "QUOTA"));
    assert.equal(findMlxdError(full, "QUEUE_FULL"), full);
    assert.isUndefined(findMlxdError(full, "QUOTA"));
  });

  it("take any value", () => {
    for (const value of [
      undefined,
      null,
      1,
      "QUEUE_FULL",
      {},
      { name: "MlxdError", reason: "QUOTA" },
      new Error("x"),
    ]) {
      assert.isFalse(isMlxdError(value));
      assert.isUndefined(findMlxdError(value));
    }
  });

  it("find an error among causes, where only findMlxdError looks", () => {
    const wrapped = new Error("outer", { cause: new TypeError("inner", { cause: full }) });
    assert.isFalse(isMlxdError(wrapped));
    assert.equal(findMlxdError(wrapped, "QUEUE_FULL"), full);
    const outer = new MlxdError({ code: "INTERNAL", reason: "PROTOCOL", message: "outer", cause: full });
    assert.equal(findMlxdError(outer), outer);
    assert.equal(findMlxdError(outer, "QUEUE_FULL"), full);
  });

  it("end on causes that go round", () => {
    const a = new Error("a");
    const b = new Error("b", { cause: a });
    a.cause = b;
    assert.isUndefined(findMlxdError(b));
  });

  it("know the error of another copy of this package", () => {
    class MlxdErrorOfAnotherCopy extends Error {
      override readonly name = "MlxdError";
      readonly reason = "QUOTA";
    }
    assert.isTrue(isMlxdError(new MlxdErrorOfAnotherCopy(), "QUOTA"));
  });
});
