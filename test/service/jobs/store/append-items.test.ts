import type { PgBoss } from "pg-boss";
import { assert, describe, it } from "vitest";

import { JobTooLarge } from "../../../../src/service/domain/errors.ts";
import { createQueues, type NewItem } from "../../../../src/service/jobs/store/append-items.ts";
import { errorOf } from "../../../support/error-of.ts";

const itemFor = (model: string): NewItem => ({ itemId: "", model, hash: model, task: "{}", outcome: undefined });

const itemsFor = (count: number): NewItem[] => Array.from({ length: count }, (_, index) => itemFor(`model ${index}`));

describe("the queues of a job", () => {
  const created: string[] = [];
  const boss = { createQueue: (name: string) => Promise.resolve(void created.push(name)) } as unknown as PgBoss;

  it("are one per model of items that can run", async () => {
    created.length = 0;
    const invalid = { ...itemFor(""), task: undefined };
    await createQueues(boss, "job", [...itemsFor(3), ...itemsFor(2), invalid]);
    assert.lengthOf(created, 3);
    assert.lengthOf(new Set(created), 3);
  });

  it("are not created for more models than a job may have", async () => {
    created.length = 0;
    const error = await errorOf(createQueues(boss, "job", itemsFor(101)));
    assert.instanceOf(error, JobTooLarge);
    assert.deepInclude({ ...error }, { what: "models", count: 101, limit: 100 });
    assert.isEmpty(created);
  });
});
