import { Result } from "effect";
import { assert, describe, it } from "vitest";

import { type CountedCall, Quotas, type TakenTokens, type TaskTokens } from "../../../src/service/access/Quotas.ts";

const begun = (result: ReturnType<Quotas["begin"]>): CountedCall =>
  Result.isSuccess(result) ? result.success : assert.fail(result.failure.error.message);
const refusal = (result: ReturnType<Quotas["begin"]>) =>
  Result.isFailure(result) ? result.failure.error : assert.fail("was let in");

describe("requests a minute", () => {
  const limits = { requests_per_minute: 60 };

  it("may all be made at once, and come back evenly", () => {
    const quotas = new Quotas();
    for (let call = 0; call < 60; call++) begun(quotas.begin("acme", limits, 0));
    const error = refusal(quotas.begin("acme", limits, 0));
    assert.deepInclude(error, { tenant: "acme", limit: "requests_per_minute", value: 60, retryAfterMs: 1000 });
    assert.equal(error.message, 'tenant "acme" may make 60 requests a minute; try again in 1000 ms');
    begun(quotas.begin("acme", limits, 1000));
  });

  it.each([1, 7, 60, 1000])("of %i are there again after the delay that is told, and not before", (perMinute) => {
    const quotas = new Quotas();
    const some = { requests_per_minute: perMinute };
    for (let call = 0; call < perMinute; call++) begun(quotas.begin("acme", some, 0));
    const { retryAfterMs = 0 } = refusal(quotas.begin("acme", some, 0));
    refusal(quotas.begin("acme", some, retryAfterMs - 2));
    begun(quotas.begin("acme", some, retryAfterMs));
  });

  it("are never more than a minute's, however long nobody called", () => {
    const quotas = new Quotas();
    begun(quotas.begin("acme", limits, 0));
    assert.equal(begun(quotas.begin("acme", limits, 1e9)).headers["x-ratelimit-remaining-requests"], "59");
  });

  it("are told in headers", () => {
    const quotas = new Quotas();
    for (let call = 0; call < 29; call++) begun(quotas.begin("acme", limits, 0));
    assert.deepEqual(begun(quotas.begin("acme", limits, 0)).headers, {
      "x-ratelimit-limit-requests": "60",
      "x-ratelimit-remaining-requests": "30",
      "x-ratelimit-reset-requests": "30",
    });
  });

  it("are each tenant's own", () => {
    const quotas = new Quotas();
    begun(quotas.begin("acme", { requests_per_minute: 1 }, 0));
    refusal(quotas.begin("acme", { requests_per_minute: 1 }, 0));
    begun(quotas.begin("other", { requests_per_minute: 1 }, 0));
  });

  it("follow a limit that is changed", () => {
    const quotas = new Quotas();
    for (let call = 0; call < 60; call++) begun(quotas.begin("acme", limits, 0));
    refusal(quotas.begin("acme", { requests_per_minute: 6 }, 0));
    begun(quotas.begin("acme", { requests_per_minute: 6 }, 10_000));
    begun(quotas.begin("acme", {}, 10_000));
  });
});

describe("calls at once", () => {
  const limits = { concurrent_calls: 2 };

  it("are as many as the limit, and one that has ended makes room for one", () => {
    const quotas = new Quotas();
    const first = begun(quotas.begin("acme", limits, 0));
    begun(quotas.begin("acme", limits, 0));
    assert.deepInclude(refusal(quotas.begin("acme", limits, 0)), { limit: "concurrent_calls", value: 2 });
    first.end();
    first.end();
    begun(quotas.begin("acme", limits, 0));
    refusal(quotas.begin("acme", limits, 0));
  });

  it("that are refused spend no request", () => {
    const quotas = new Quotas();
    const both = { concurrent_calls: 1, requests_per_minute: 2 };
    const first = begun(quotas.begin("acme", both, 0));
    refusal(quotas.begin("acme", both, 0));
    first.end();
    begun(quotas.begin("acme", both, 0));
  });
});

describe("tokens a minute", () => {
  const limits = { tokens_per_minute: 6000 };
  const tokens = (prompt: number, output: number, answers = 1): TaskTokens => ({
    longestPrompt: prompt,
    prompt,
    output,
    answers,
  });
  const taken = (result: ReturnType<Quotas["take"]>): TakenTokens =>
    Result.isSuccess(result) ? result.success : assert.fail(result.failure.message);
  const denied = (result: ReturnType<Quotas["take"]>) =>
    Result.isFailure(result) ? result.failure : assert.fail("was let in");

  it("are taken at most, and what was not used comes back at the end, once", () => {
    const quotas = new Quotas();
    const first = taken(quotas.take("acme", limits, tokens(1000, 1000, 4), 0));
    const error = denied(quotas.take("acme", limits, tokens(1000, 1000), 0));
    assert.deepInclude(error, { limit: "tokens_per_minute", value: 6000, asked: 2000, retryAfterMs: 10_000 });
    assert.equal(
      error.message,
      'tenant "acme" may use 6000 tokens a minute, prompt and output; this takes 2000; try again in 10000 ms',
    );
    first.settle(1500);
    first.settle(0);
    assert.equal(quotas.headers("acme", limits, 0)["x-ratelimit-remaining-tokens"], "4500");
    taken(quotas.take("acme", limits, tokens(1000, 1000), 0));
  });

  it("are only looked at by a check, which fails where taking them would", () => {
    const quotas = new Quotas();
    assert.isTrue(Result.isSuccess(quotas.check("acme", limits, tokens(1000, 5000), 0)));
    taken(quotas.take("acme", limits, tokens(1000, 5000), 0));
    const least: TaskTokens = { ...tokens(1, 99), precision: "at least" };
    const refused = quotas.check("acme", limits, least, 0);
    assert.equal(
      Result.isFailure(refused) ? refused.failure.message : "",
      'tenant "acme" may use 6000 tokens a minute, prompt and output; this takes at least 100; try again in 1000 ms',
    );
    assert.isTrue(Result.isSuccess(quotas.check("acme", limits, least, 1000)));
  });

  it("that are all spent refuse a call that spends some, at once, for a second at least, and as no request", () => {
    const quotas = new Quotas();
    const both = { tokens_per_minute: 6000, requests_per_minute: 2 };
    const spending = (now: number) => quotas.begin("acme", both, now, true);
    begun(spending(0));
    taken(quotas.take("acme", both, tokens(0, 6000), 0)).settle(6050);
    const error = refusal(spending(0));
    assert.deepInclude(error, { limit: "tokens_per_minute", value: 6000, retryAfterMs: 1000 });
    assert.notProperty(error, "asked");
    // Others are answered all the same.
    begun(quotas.begin("acme", both, 0));
    begun(spending(60_000));
    taken(quotas.take("acme", both, tokens(0, 0), 60_000)).settle(7000);
    assert.equal(refusal(spending(60_000)).retryAfterMs, 10_510);
  });

  it("are refused for good where the task alone takes more than a minute has", () => {
    const error = denied(new Quotas().take("acme", limits, tokens(5000, 1001), 0));
    assert.notProperty(error, "retryAfterMs");
    assert.include(error.message, "this takes 6001, so shorten the prompt, or set a smaller max_output_tokens");
  });

  it("are told in headers", () => {
    const quotas = new Quotas();
    taken(quotas.take("acme", limits, tokens(1000, 2000), 0));
    assert.deepEqual(quotas.headers("acme", limits, 0), {
      "x-ratelimit-limit-tokens": "6000",
      "x-ratelimit-remaining-tokens": "3000",
      "x-ratelimit-reset-tokens": "30",
    });
  });

  it("used beyond what was taken count against what comes next, and are told as none left", () => {
    const quotas = new Quotas();
    taken(quotas.take("acme", limits, tokens(0, 100), 0)).settle(9000);
    assert.equal(quotas.headers("acme", limits, 0)["x-ratelimit-remaining-tokens"], "0");
    assert.equal(denied(quotas.take("acme", limits, tokens(0, 100), 0)).retryAfterMs, 31_000);
  });

  it("of a prompt or an answer are bounded each", () => {
    const both = { max_prompt_tokens: 100, max_output_tokens: 10 };
    const quotas = new Quotas();
    taken(quotas.take("acme", both, tokens(100, 10, 8), 0));
    assert.deepInclude(denied(quotas.take("acme", both, tokens(101, 10), 0)), {
      limit: "max_prompt_tokens",
      asked: 101,
    });
    const error = denied(quotas.take("acme", both, tokens(100, 11), 0));
    assert.equal(
      error.message,
      'tenant "acme" may ask for 10 output tokens at most; this takes 11, so set a smaller max_output_tokens',
    );
    assert.deepEqual(quotas.refusals(), [
      { tenant: "acme", limit: "max_prompt_tokens", count: 1 },
      { tenant: "acme", limit: "max_output_tokens", count: 1 },
    ]);
  });
});

describe("several requests of one call", () => {
  const limits = { requests_per_minute: 10 };

  it("are counted all or none", () => {
    const quotas = new Quotas();
    begun(quotas.begin("acme", limits, 0));
    assert.isTrue(Result.isSuccess(quotas.count("acme", limits, 5, 0)));
    const refused = quotas.count("acme", limits, 5, 0);
    assert.deepInclude(Result.isFailure(refused) ? refused.failure : {}, { asked: 5, retryAfterMs: 6000 });
    assert.isTrue(Result.isSuccess(quotas.count("acme", limits, 4, 0)));
  });

  it("are refused for good where they are more than a minute has", () => {
    const refused = new Quotas().count("acme", limits, 11, 0);
    assert.include(Result.isFailure(refused) ? refused.failure.message : "", "this takes 11, so send smaller batches");
  });
});
