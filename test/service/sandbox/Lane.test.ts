import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { assert, it } from "vitest";

const program = fileURLToPath(new URL("few-descriptors-program.ts", import.meta.url));

it("a lane for which the service has no descriptors fails to start, and does not end the service", () => {
  const limited = ["-c", 'ulimit -n 64; exec "$@"', "sh", process.execPath, program];
  const [reason, how] = JSON.parse(execFileSync("/bin/sh", limited, { encoding: "utf8" })) as [string, string];
  assert.strictEqual(reason, "killed");
  assert.match(how, /^it could not be started: .*EMFILE/);
});
