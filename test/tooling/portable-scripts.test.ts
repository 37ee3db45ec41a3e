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

/** What with-node says, in one line, where it refuses: `commands` are the bodies of the commands that answer for the machine. */
const refusalWhere = (commands: Readonly<Record<string, string>>): string => {
  const path = mkdtempSync(join(folder, "commands-"));
  for (const [name, body] of Object.entries(commands)) {
    writeFileSync(join(path, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(path, name), 0o755);
  }
  const environment = { ...process.env, PATH: `${path}:${process.env["PATH"]}` };
  const { status, stderr } = spawnSync(join(root, "scripts/with-node"), ["true"], {
    env: environment,
    encoding: "utf8",
  });
  assert.strictEqual(status, 1, stderr);
  assert.strictEqual(stderr.trim().split("\n").length, 1, stderr);
  return stderr;
};

/** On a Mac whose commands answer so. */
const onMac = (answers: Readonly<Record<"machine" | "translated" | "version" | "node", string>>): string =>
  refusalWhere({
    uname: `if [ "$1" = -m ]; then echo ${answers.machine}; else echo Darwin; fi`,
    sysctl: `echo ${answers.translated}`,
    sw_vers: `echo ${answers.version}`,
    node: `echo ${answers.node}`,
  });

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

/** An older Node in front, so that the one in .cache is taken, and none of the system's libraries but these. */
const onLinux = (libraries: string): string =>
  refusalWhere({ node: "echo 20", id: "echo 1000", ldconfig: `echo "${libraries}"` });

describe.runIf(process.platform === "linux")("on Linux, scripts/with-node", () => {
  it.each([
    ["libatomic", "libopenblas.so.0", "mlxd: Node needs libatomic: install the package libatomic1"],
    ["OpenBLAS", "libatomic.so.1", "mlxd: MLX needs OpenBLAS: install the package libopenblas0"],
  ])("says in one sentence, to a user who may not install it, that there is no %s", (_, libraries, sentence) => {
    assert.include(onLinux(libraries), sentence);
  });
});
