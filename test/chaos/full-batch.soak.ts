/**
 * 200,000 tokens through the service in full batches, with the resident memory of service and engine as it goes. The
 * prefix cache is small: with its default size the engine has a gigabyte more in the end, for the thousand sequences.
 */
import { readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { assert, describe, it } from "vitest";

import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { serviceAtRest } from "./at-rest.ts";
import { tellFigures } from "./figures.ts";

const rows = 16;
const tokensOfEach = 200;
const wanted = 200_000;
const prefixCacheBytes = 32 * 1024 ** 2;

const residentMiB = (pid: number | undefined): number => {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kibibytes ?? 0) / 1024);
};

describe("full batches", () => {
  // Cached prefixes are full within the first tenth, so that what grows after it is none of them.
  const { service, isBack } = serviceAtRest({
    MLXD_MAX_RUNNING: String(rows),
    MLXD_PREFIX_CACHE_BYTES: String(prefixCacheBytes),
  });

  it("of 200,000 tokens leave memory as it was after the first tenth", async (context) => {
    if (process.platform !== "linux") return context.skip("the resident memory of a process is read from /proc");
    const client = createClient(GenerationService, createGrpcTransport({ baseUrl: service().url }));
    let tokens = 0;
    let begun = 0;
    const looks: Array<{ readonly service: number; readonly engine: number }> = [];
    const look = (): void => {
      const [engine] = service().workers();
      looks.push({ service: residentMiB(service().process.pid), engine: residentMiB(engine) });
    };
    const caller = async (): Promise<void> => {
      while (tokens < wanted) {
        begun += 1;
        const { result } = await client.generate({
          task: {
            input: { case: "prompt", value: `${begun} ${begun % 7} 3` },
            sampling: { seed: begun },
            stop: { ignoreEos: true, maxOutputTokens: tokensOfEach },
          },
        });
        assert.equal(result?.usage?.outputTokens, tokensOfEach);
        tokens += tokensOfEach;
        if (tokens >= ((looks.length + 1) * wanted) / 10) look();
      }
    };
    await Promise.all(Array.from({ length: rows }, caller));
    const [first, ...later] = looks;
    assert.isDefined(first);
    assert.lengthOf(later, 9);
    const most = (of: "service" | "engine"): number => Math.max(...later.map((each) => each[of]));
    const told = (of: "service" | "engine"): string =>
      `the ${of}'s MiB after each tenth: ${looks.map((each) => each[of]).join(", ")}`;
    assert.isAtMost(most("service") - first.service, 160, told("service"));
    assert.isAtMost(most("engine") - first.engine, 96, told("engine"));
    const more = await isBack({ memoryBytes: 200 * 1024 ** 2 });
    await tellFigures(
      "200,000 tokens in full batches",
      `${tokens} tokens, ${rows} rows: service ${first.service} MiB after a tenth and ${most("service")} at most, engine ${first.engine} and ${most("engine")}; service ${more} MiB more`,
    );
  });
});
