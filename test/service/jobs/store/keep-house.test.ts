import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

import { endLongWaits } from "../../../../src/service/jobs/store/keep-house.ts";
import { openStore } from "../../../../src/service/jobs/store/open-store.ts";

/** Only what hangs takes as long: to make a store takes seconds of a processor. */
describe("the housekeeping", { timeout: 600_000 }, () => {
  it("ends waits that are longer than any backoff, as a clock that was set back leaves them", async () => {
    const directory = mkdtempSync(join(tmpdir(), "mlxd-house-"));
    const { database, boss, close } = await openStore(directory, (error) => assert.fail(error.message));
    await boss.createQueue("lane");
    const after = (ms: number) => new Date(Date.now() + ms);
    await boss.insert("lane", [
      { data: { wait: "set back" }, startAfter: after(3_600_000) },
      { data: { wait: "backoff" }, startAfter: after(50_000) },
    ]);
    await endLongWaits(database);
    const fetched = await boss.fetch<{ readonly wait: string }>("lane", { batchSize: 2 });
    assert.deepEqual(
      fetched.map(({ data }) => data.wait),
      ["set back"],
    );
    await close();
    rmSync(directory, { recursive: true });
  });
});
