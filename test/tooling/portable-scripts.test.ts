/** Scripts run on macOS as on Linux: its commands are BSD's, and its machine is told apart before anything is fetched. */
import { spawnSync } from "node:child_process";
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, describe, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "mlxd-scripts-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Of GNU alone, or with other options there. */
const gnuOnly =
  /\breadlink -[ef]|\bsed -i|\bdate -d|\bdate --|\bstat -c|\b(sha256|md5)sum\b|\bgrep -[a-zA-Z]*P|\bps\b.*--ppid|\bxargs -r|\bsort -V|\bmktemp --|\bcp -[a-z]*l\b|\bmapfile\b|\btimeout \d/;

describe("scripts and tests", () => {
  it("call no command, and no option of one, that macOS does not have", () => {
    const patterns = ["scripts/**/*", "bin/*", ".ci/*", "test/**/*.ts", "src/**/*.ts", "package.json"];
    const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: root, withFileTypes: true }));
    const found = files.flatMap((file) => {
      const path = join(file.parentPath, file.name);
      if (!file.isFile() || path === import.meta.filename || path.includes("/gen/")) return [];
      return readFileSync(path, "utf8")
        .split("\n")
        .flatMap((line, index) => (gnuOnly.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []));
    });
    assert.isAbove(files.length, 100);
    assert.deepEqual(found, []);
  });

  it("would be found out", () => {
    for (const line of [
      '$(readlink -f "$0")',
      "sed -i s/a/b/ x",
      "stat -c %s x",
      "ps -o pid= --ppid 1",
      "sha256sum x",
    ]) {
      assert.match(line, gnuOnly);
    }
  });
});

/** What with-node says on a Mac whose commands answer so. */
const onMac = (answers: Readonly<Record<"machine" | "translated" | "version" | "node", string>>): string => {
  const commands = mkdtempSync(join(folder, "commands-"));
  const command = (name: string, body: string): void => {
    writeFileSync(join(commands, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(commands, name), 0o755);
  };
  command("uname", `if [ "$1" = -m ]; then echo ${answers.machine}; else echo Darwin; fi`);
  command("sysctl", `echo ${answers.translated}`);
  command("sw_vers", `echo ${answers.version}`);
  command("node", `echo ${answers.node}`);
  const environment = { ...process.env, PATH: `${commands}:${process.env["PATH"]}` };
  const { status, stderr } = spawnSync(join(root, "scripts/with-node"), ["true"], {
    env: environment,
    encoding: "utf8",
  });
  assert.strictEqual(status, 1);
  assert.strictEqual(stderr.trim().split("\n").length, 1);
  return stderr;
};

describe("on a Mac, scripts/with-node", () => {
  const native = { machine: "arm64", translated: "0", version: "15.1", node: "arm64" };

  it.each([
    ["a translated shell", { ...native, machine: "x86_64", translated: "1" }, "runs under Rosetta"],
    ["an Intel processor", { ...native, machine: "x86_64" }, "this one has an Intel processor"],
    ["an old macOS", { ...native, version: "13.6.1" }, "mlxd needs macOS 14 or newer; this is 13.6.1"],
    ["a Node for Intel processors", { ...native, node: "x64" }, "the Node in PATH is built for Intel processors"],
  ])("says in one sentence that there is %s", (_, answers, sentence) => {
    assert.include(onMac(answers), sentence);
  });
});
