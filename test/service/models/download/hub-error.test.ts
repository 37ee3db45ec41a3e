import { assert, describe, it } from "@effect/vitest";

import { HubError, retryAfterMs } from "../../../../src/service/models/download/hub-error.ts";

const now = Date.parse("2026-01-01T00:00:00Z");

describe("Retry-After", () => {
  it.each([
    ["7", 7000],
    ["0", 0],
    ["Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
    ["Wed, 31 Dec 2025 23:59:00 GMT", 0],
    ["soon", undefined],
    [null, undefined],
  ])("%s is %s ms", (value, expected) => {
    assert.strictEqual(retryAfterMs(value, now), expected);
  });
});

describe("a failure of the hub", () => {
  it.each([
    [undefined, true],
    [400, false],
    [401, false],
    [403, false],
    [404, false],
    [408, true],
    [416, true],
    [429, true],
    [500, true],
    [503, true],
  ])("with status %s is transient: %s", (status, expected) => {
    const error = new HubError("it failed", status === undefined ? {} : { status });
    assert.strictEqual(error.isTransient, expected);
  });
});
