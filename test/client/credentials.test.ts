/** Who calls: keys and tokens. */
import { Code, ConnectError } from "@connectrpc/connect";
import { assert, describe, it } from "vitest";
import { type ClientOptions, isMlxdError, type MlxdError } from "../../src/client/index.ts";
import { clientKinds, connect } from "../support/client-kinds.ts";
import { saying } from "../support/scripted-events.ts";
import type { Script } from "../support/scripted-server.ts";

/** A service that takes these tokens alone. */
const guarded = (...valid: string[]): Script => {
  const check = (header: Headers) => {
    const token = header.get("authorization")?.replace(/^Bearer /, "") ?? "";
    if (!valid.includes(token)) throw new ConnectError("who is that?", Code.Unauthenticated);
  };
  return {
    generate: (_request, { requestHeader }) => {
      check(requestHeader);
      return { result: { candidates: [{ text: "ok" }] } };
    },
    async *stream(_request, { requestHeader }) {
      check(requestHeader);
      yield* saying("ok");
    },
  };
};

const tokensOf = (calls: readonly { readonly header: Headers }[]) =>
  calls.map(({ header }) => header.get("authorization"));

/** A function that gives one token after another, and counts. */
const tokens = (...all: { token: string; expiresAt?: number }[]) => {
  let count = 0;
  const credentials = async () => {
    await Promise.resolve();
    return all[Math.min(count++, all.length - 1)] ?? "none";
  };
  return { credentials, count: () => count };
};

const failureOf = async (promise: Promise<unknown>): Promise<MlxdError> => {
  const error = await promise.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  if (!isMlxdError(error)) throw error;
  return error;
};

describe.each(clientKinds)("credentials over $name", (kind) => {
  it("that are a key go with every call that has no other", async () => {
    await using pair = await connect(kind, guarded("key", "own"), { credentials: "key" });
    await pair.client.generate("hi");
    await pair.client.stream("hi").collect();
    await pair.client.generate("hi", { headers: { authorization: "Bearer own" } });
    assert.deepEqual(tokensOf(pair.server.calls), ["Bearer key", "Bearer key", "Bearer own"]);
  });

  it("that are fetched are fetched once for all calls that wait", async () => {
    const { credentials, count } = tokens({ token: "t1" });
    await using pair = await connect(kind, guarded("t1"), { credentials });
    await Promise.all(Array.from({ length: 5 }, () => pair.client.generate("hi")));
    await pair.client.stream("hi").collect();
    assert.equal(count(), 1);
  });

  it("that are refused are fetched anew once, and the call is tried again", async () => {
    const { credentials, count } = tokens({ token: "old" }, { token: "new" });
    await using pair = await connect(kind, guarded("new"), { credentials });
    await Promise.all([pair.client.generate("hi"), pair.client.generate("hi"), pair.client.stream("hi").collect()]);
    assert.equal(count(), 2);
    await pair.client.generate("hi");
    assert.equal(count(), 2);
  });

  it("that are refused again fail the call", async () => {
    const { credentials, count } = tokens({ token: "old" });
    await using pair = await connect(kind, guarded("new"), { credentials });
    assert.equal((await failureOf(pair.client.generate("hi"))).code, "UNAUTHENTICATED");
    assert.equal(count(), 2);
    await using fixed = await connect(kind, guarded("new"), { credentials: "old" });
    assert.equal((await failureOf(fixed.client.stream("hi").collect())).code, "UNAUTHENTICATED");
    assert.lengthOf(fixed.server.calls, 1);
  });

  it("that are being fetched do not hold a call beyond its time or its signal", async () => {
    const never = (): Promise<string> => new Promise(() => {});
    await using pair = await connect(kind, guarded("x"), { credentials: never });
    assert.equal((await failureOf(pair.client.generate("hi", { timeoutMs: 20 }))).reason, "DEADLINE");
    const controller = new AbortController();
    const failed = failureOf(pair.client.stream("hi", { signal: controller.signal }).collect());
    controller.abort();
    assert.equal((await failed).reason, "CANCELLED");
  });
});

describe("credentials", () => {
  const [kind] = clientKinds;

  it("that expire are fetched anew a little before", async () => {
    assert.isDefined(kind);
    let now = 0;
    const clock: ClientOptions["clock"] = { now: () => now, random: () => 0, sleep: () => Promise.resolve() };
    const expiresAt = Date.now() + 600_000;
    const { credentials, count } = tokens({ token: "t", expiresAt });
    await using pair = await connect(kind, guarded("t"), { credentials, clock });
    const at = async (ms: number) => {
      now = ms;
      await pair.client.generate("hi");
      return count();
    };
    assert.deepEqual([await at(0), await at(560_000), await at(575_000)], [1, 1, 2]);
  });

  it("whose function fails fail the call, and are asked for again by the next", async () => {
    assert.isDefined(kind);
    let count = 0;
    const credentials = () => {
      if (count++ === 0) throw new Error("no network");
      return "t";
    };
    await using pair = await connect(kind, guarded("t"), { credentials });
    const error = await failureOf(pair.client.generate("hi"));
    assert.deepEqual([error.reason, error.code], ["CREDENTIALS", "UNAUTHENTICATED"]);
    assert.equal(error.message, "the function in the option credentials failed: no network");
    await pair.client.generate("hi");
  });

  it("are a key or a function, and no error repeats them", async () => {
    assert.isDefined(kind);
    const create = (credentials: unknown) => () =>
      kind.createClient("http://127.0.0.1:1", { credentials: credentials as never });
    assert.throws(create(5), "credentials: 5 is neither a key nor a function");
    for (const secret of ["", "sec ret", "geheim\n", "schlüssel"]) {
      const error = await failureOf(Promise.resolve().then(create(secret)));
      assert.equal(
        error.message,
        "credentials: it is not a token: a token consists of visible ASCII characters without spaces",
      );
    }
  });
});
