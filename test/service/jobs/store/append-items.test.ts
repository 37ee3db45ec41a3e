import { randomUUID } from "node:crypto";
import type { PgBoss } from "pg-boss";
import { assert, describe, it } from "vitest";

import { JobTooLarge } from "../../../../src/service/domain/errors.ts";
import { appendItems, createQueues, type NewItem } from "../../../../src/service/jobs/store/append-items.ts";
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

describe("the items of a job", () => {
  /** To a job that has so many items and bytes, on a database that has no other items. */
  const append = (total: number, itemBytes: number, items: ReadonlyArray<NewItem>) => {
    const query = (text: string) => Promise.resolve(text.includes("AS models") ? [{ models: 1 }] : []);
    const session = { query };
    const boss = { insert: () => Promise.resolve() } as unknown as PgBoss;
    return appendItems(session, boss, { id: randomUUID(), total, failed: 0, itemBytes, lastSequence: 1 }, items);
  };
  const gibibyte = 1024 ** 3;

  it.each([
    ["bytes", gibibyte, (count: number) => append(1, count - 2, [itemFor("demo")])],
    ["items", 100_000, (count: number) => append(count - 1, 0, [itemFor("demo")])],
  ] as const)("are refused when there are more %s than %d, and not before", async (what, limit, appendUpTo) => {
    await appendUpTo(limit);
    const error = await errorOf(appendUpTo(limit + 1));
    assert.instanceOf(error, JobTooLarge);
    assert.deepInclude({ ...error }, { what, count: limit + 1, limit });
  });
});
