import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { CommandFailed, Interrupted } from "../../../src/cli/failures.ts";
import { followResults } from "../../../src/cli/jobs/follow-job.ts";
import { MlxdError, type NodeClient } from "../../../src/client/node.ts";
import { errorOf } from "../../support/error-of.ts";

const error = new MlxdError({ code: "ABORTED", reason: "ENGINE_LOST", message: "the engine ended" });

/** A client whose jobs have so many results, and then what a test says. */
const clientOf = (count: number, end: () => void = () => {}): NodeClient => {
  const results = async function* () {
    for (let index = 0; index < count; index++) yield { cursor: index + 1, index, itemId: "", attempts: 1, error };
    end();
  };
  return { jobs: { results } } as unknown as NodeClient; // no more of it is used
};

describe("the results of a job that is followed", () => {
  let directory: string;
  let output: string;
  const { signal } = new AbortController();
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "mlxd-follow-"));
    output = join(directory, "results.jsonl");
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it("are all in the file when it ends, in their order", async () => {
    await followResults(clientOf(5_000), "job", { output, signal });
    const lines = readFileSync(output, "utf8").trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { readonly index: number }).index),
      lines.map((_, index) => index),
    );
    assert.lengthOf(lines, 5_000);
  });

  it("that cannot be written fail the command, also where that shows at the end", async (context) => {
    if (!existsSync("/dev/full")) context.skip("there is no /dev/full");
    for (const count of [1, 5_000]) {
      const failure = await errorOf(followResults(clientOf(count), "job", { output: "/dev/full", signal }));
      assert.instanceOf(failure, CommandFailed);
      assert.strictEqual(failure.message, "cannot write /dev/full: ENOSPC");
    }
  });

  it("are not asked for where their file cannot be opened", async () => {
    const client = clientOf(0, () => assert.fail("the job was read"));
    const failure = await errorOf(followResults(client, "job", { output: directory, signal }));
    assert.strictEqual(failure.message, `cannot write ${directory}: EISDIR`);
  });

  it("end with the failure of the service, or with Ctrl-C", async () => {
    const fail = (): void => {
      throw error;
    };
    assert.strictEqual(await errorOf(followResults(clientOf(3, fail), "job", { output, signal })), error);
    const aborted = AbortSignal.abort();
    assert.instanceOf(await errorOf(followResults(clientOf(3, fail), "job", { output, signal: aborted })), Interrupted);
  });
});
