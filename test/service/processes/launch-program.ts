/** What launch.test.ts starts: a parent whose child tells its id, and the child. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { launch } from "../../../src/service/processes/launch.ts";

if (process.argv[2] === "parent") {
  const child = fork(fileURLToPath(import.meta.url), ["child"], launch([]));
  await once(child, "message");
  process.send?.(child.pid);
} else {
  process.send?.({ argv: process.execArgv, ppid: process.ppid });
}
setInterval(() => {}, 1000);
