import { assert, describe, it } from "vitest";

import { callersFault, fault } from "../../../src/service/sandbox/fault.ts";
import { JobFailed } from "../../../src/service/sandbox/JobFailed.ts";

describe("fault", () => {
  const failed = new JobFailed({ job: "encode", reason: "time-limit", cause: "takes more than 5000 ms" });
  const blamed = { field: "task.prompt", model: "m", work: "tokenising it" };

  it("is the caller's for a large input, with its field, size and limit", () => {
    const error = fault(failed, { ...blamed, bytes: 1_000_000 });
    assert.equal(error._tag, "InvalidField");
    assert.equal(error.message, "task.prompt: it has 1000000 bytes, and tokenising it takes more than 5000 ms");
  });

  it("is the model's for a small one, with its name and the limit", () => {
    const error = fault(failed, { ...blamed, bytes: 65_536 });
    assert.equal(error._tag, "ModelBroken");
    assert.include(error.message, '"m"');
    assert.include(error.message, "tokenising it takes more than 5000 ms, with 65536 bytes of input");
  });

  it("is the caller's for a small one, too, where no model's files were worked with", () => {
    const error = callersFault(failed, { ...blamed, bytes: 100 });
    assert.equal(error._tag, "InvalidField");
  });

  it("is nobody's where its process was ended from outside, and can be tried again", () => {
    const killed = new JobFailed({ job: "encode", reason: "killed", cause: "lost the process that does it" });
    for (const bytes of [100, 1_000_000]) {
      const error = fault(killed, { ...blamed, bytes });
      assert.deepInclude(error, { _tag: "SandboxLost", model: "m", retryAfterMs: 1000 });
      assert.include(error.message, "tokenising it lost the process that does it");
    }
    assert.equal(callersFault(killed, { ...blamed, bytes: 100 })._tag, "SandboxLost");
  });

  it("is nobody's where too many jobs wait", () => {
    const full = new JobFailed({ job: "encode", reason: "queue-full", cause: "waits behind 1024 others" });
    assert.equal(fault(full, { ...blamed, bytes: 100 })._tag, "QueueFull");
  });
});
