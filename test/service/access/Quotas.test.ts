import { Result } from "effect";
import { assert, describe, it } from "vitest";

import { type CountedCall, Quotas } from "../../../src/service/access/Quotas.ts";

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
    const { retryAfterMs } = refusal(quotas.begin("acme", some, 0));
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
