/** What every balancer is held to with two of the hosts of docs/deploy.md: the tests that they share. */
import { assert, it, type TestContext } from "vitest";

import type { NodeClient, NodeClientOptions } from "../../src/client/node.ts";
import { drainUnderLoad, hitRateOf, outcomesOfKill } from "./balanced-calls.ts";
import type { SecuredHosts } from "./secured-hosts.ts";

interface Balanced {
  readonly secured: SecuredHosts;
  /** Both hosts are in; skips where the balancer cannot be had. */
  readonly ready: (context: TestContext) => Promise<void>;
  /** One that calls through the balancer. */
  readonly client: (options?: NodeClientOptions) => NodeClient;
  /** How many streams may fail with a host, where the balancer gives it no more than it has slots for. */
  readonly mostLost?: number;
}

export const itServesAsOneHost = ({ secured, ready, client, mostLost = Infinity }: Balanced): void => {
  it("keeps together what begins alike, of which more is found cached then", async (context) => {
    await ready(context);
    const free = await hitRateOf(client(), 8, false);
    const keyed = await hitRateOf(client(), 8, true);
    await context.annotate(`found cached: ${free.toFixed(2)} without keys, ${keyed.toFixed(2)} with`);
    assert.isAbove(keyed, free + 0.05);
  });

  /** In the tests that follow, both hosts are there again. */
  const withoutOne = async (test: () => Promise<void>): Promise<void> => {
    try {
      await test();
    } finally {
      await secured.start();
    }
  };

  it("loses nothing of a host that drains", async (context) => {
    await ready(context);
    await withoutOne(async () => {
      assert.strictEqual(await drainUnderLoad(client(), secured.host(1), 40, 12), 0);
    });
  });

  it("loses of a host that is killed the streams that had begun there, without the client's repeating anything", async (context) => {
    await ready(context);
    await withoutOne(async () => {
      const { failed, answered } = await outcomesOfKill(client({ retry: false }), secured.host(1), 40, 12);
      await context.annotate(`${failed} of ${failed + answered} failed`);
      assert.isAbove(failed, 0, "the host was killed while it streamed");
      assert.isAtMost(failed, mostLost);
    });
  });
};
