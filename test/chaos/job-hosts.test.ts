/** The short form of job-hosts.soak.ts. */
import { assert, describe, it } from "vitest";

import { startPostgres } from "../support/postgres.ts";
import { killHosts } from "./job-hosts.ts";

describe("two hosts on one Postgres", () => {
  it("have one outcome of every item, whatever is killed", { timeout: 15 * 60_000 }, async (context) => {
    const postgres = await startPostgres();
    if (typeof postgres === "string") return context.skip(postgres);
    await using _ = postgres;
    const { lost, lives } = await killHosts(postgres, 6);
    assert.isAbove(lives, 2, "both hosts ran items, in more than one of their lives");
    process.stdout.write(`two hosts: ${lost} attempts lost and made again, by ${lives} lives of hosts\n`);
  });
});
