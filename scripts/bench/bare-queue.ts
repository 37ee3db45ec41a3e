/**
 * What a queue alone can do on the same store: pg-boss in a loop that fetches an item and completes it, one after the other.
 * `node bare-queue.ts ITEMS`: prints how many a second.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openStore } from "../../src/service/jobs/store/open-store.ts";

const count = Number(process.argv[2]);
const directory = mkdtempSync(join(tmpdir(), "mlxd-bare-queue-"));
const { boss, close } = await openStore(directory, (error) => {
  throw error;
});
await boss.createQueue("bare");
for (let at = 0; at < count; at += 500) {
  await boss.insert(
    "bare",
    Array.from({ length: Math.min(500, count - at) }, (_, index) => ({ data: { index: at + index } })),
  );
}
const started = performance.now();
for (let done = 0; done < count; done++) {
  const [item] = await boss.fetch("bare");
  if (item === undefined) throw new Error(`the queue ended after ${done} items`);
  await boss.complete("bare", item.id, { text: "word" });
}
process.stdout.write(`${(1000 * count) / (performance.now() - started)}\n`);
await close();
rmSync(directory, { recursive: true });
