/** One caller with a hundred large inputs at once: its calls take turns, and another caller's have theirs in between. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { createMlxdClient, type MlxdClient } from "../../src/client/node.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const large = "ab cd ".repeat(40_000);
const calls = 100;

describe("a caller with a hundred large inputs", { timeout: 600_000 }, () => {
  let service: RunningService;
  let crowd: MlxdClient;
  let neighbour: MlxdClient;
  beforeAll(async () => {
    service = await startService();
    // A connection each, so two callers.
    crowd = createMlxdClient({ baseUrl: service.url, retry: false });
    neighbour = createMlxdClient({ baseUrl: service.url, retry: false });
  });
  afterAll(async () => {
    crowd?.close();
    neighbour?.close();
    await service?.stop();
  });

  const count = (client: MlxdClient, text: string) => client.tokenize(text).then(({ ids }) => ids.length);

  it("has every one answered, and delays a neighbour's large one by a turn or two, not by a hundred", async () => {
    const expected = await count(neighbour, large);
    let done = 0;
    const all = Promise.all(
      Array.from({ length: calls }, async () => {
        const answer = await count(crowd, large);
        done += 1;
        return answer;
      }),
    );
    while (done === 0) await new Promise((resolve) => setTimeout(resolve, 5));

    const before = done;
    assert.isAbove(await count(neighbour, "hello"), 0);
    assert.isAtMost(done - before, 3, "large ones that were done before a small one of the neighbour");
    const atLarge = done;
    assert.equal(await count(neighbour, large), expected);
    assert.isAtMost(done - atLarge, 3, "large ones that were done before the neighbour's");
    assert.isBelow(done, calls, "the crowd is still there");

    for (const answer of await all) assert.equal(answer, expected);
    const { total } = await neighbour.stats();
    assert.deepInclude(total, { running: 0, queued: 0 });
  });
});
