/** What parent-watch.test.ts starts: a parent whose child tells its id, and a child whose thread never ends what it does. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

if (process.argv[2] === "parent") {
  const child = fork(fileURLToPath(import.meta.url), ["child"]);
  await once(child, "message");
  process.send?.(child.pid);
  setInterval(() => {}, 1000);
} else {
  const url = new URL("../../../src/service/worker/parent-watch.ts", import.meta.url);
  const watch = new Worker(url, { workerData: { parent: process.ppid } });
  await once(watch, "online");
  process.send?.("ready", () => {
    // For ever, as far as the test is concerned, and not for the machine's users where it fails.
    const until = performance.now() + 60_000;
    while (performance.now() < until);
    process.exit(1);
  });
}
