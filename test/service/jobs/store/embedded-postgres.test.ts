import { assert, describe, it } from "vitest";

import { LastLines, problemOf, startParams } from "../../../../src/service/jobs/store/embedded-postgres.ts";

describe("the embedded Postgres", () => {
  it("is started with flushes to the disk", () => {
    assert.notInclude(startParams, "-F");
    assert.include(startParams, "wal_sync_method=fsync");
  });

  it.each([
    ["of Postgres", Object.assign(new Error("duplicate key"), { code: "23505" }), "duplicate key", "23505"],
    ["of Node", Object.assign(new Error("EIO: i/o error"), { code: "EIO", errno: -5 }), "EIO: i/o error", "EIO"],
    ["of Emscripten, which has a number only", { name: "ErrnoError", errno: 51 }, "ErrnoError ENOSPC", "ENOSPC"],
    ["without a code", new Error("unreachable"), "unreachable", ""],
    ["that is none", "gone", "gone", ""],
  ])("has its failures as plain data: one %s", (_, error, message, code) => {
    assert.deepEqual(problemOf(error), { message, code });
  });

  it("tells its last lines, and no more, with what it ended with", () => {
    const lines = new LastLines();
    for (let line = 1; line <= 20; line++) assert.isFalse(lines.keep(`line ${line}`));
    const { message, code } = lines.explain(Object.assign(new Error("panic"), { code: "XX000" }));
    assert.deepEqual(message.split("; "), ["panic", ...Array.from({ length: 8 }, (__, at) => `line ${at + 13}`)]);
    assert.strictEqual(code, "XX000");
  });
});
