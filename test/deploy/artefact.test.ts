/** What `npm run build` writes, away from the checkout: it runs with Node alone, and holds nothing of the machine it was built on. */
import { execFile, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { buildArtefact } from "../../scripts/artefact/build.ts";
import { createMlxdClient } from "../../src/client/node.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

describe("the artefact", { timeout: 300_000 }, () => {
  let folder = "";
  let artefact = "";
  let environment: Record<string, string> = {};
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "mlxd-artefact-"));
    await buildArtefact(root, join(folder, "built"), { platform: `${process.platform}-${process.arch}` });
    artefact = join(folder, "a place of its own");
    environment = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: folder };
    writeFileSync(join(folder, "mlxd.yaml"), "service:\n  port: 0\n");
    const [copy = ""] = await commands();
    await run("sh", ["-c", copy], { env: environment });
    rmSync(join(folder, "built"), { recursive: true });
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The page's commands that put it in its place and start it; here they are another place and file. */
  const commands = async (): Promise<ReadonlyArray<string>> => {
    const page = readFileSync(join(root, "docs/deploy.md"), "utf8");
    const block = /^```sh\n(cp .*?)^```$/ms.exec(page)?.[1] ?? assert.fail("docs/deploy.md copies nothing");
    return block
      .trim()
      .replaceAll("dist/mlxd", `'${join(folder, "built")}'`)
      .replaceAll("/opt/mlxd", `'${artefact}'`)
      .replaceAll("/etc/mlxd.yaml", `'${join(folder, "mlxd.yaml")}'`)
      .split("\n");
  };

  const mlxd = (args: readonly string[], more: Record<string, string> = {}) =>
    run(join(artefact, "bin/mlxd"), args, { cwd: folder, env: { ...environment, ...more } });

  /** The service's address, and how to end it. */
  const serve = async (by: readonly string[] = [], more: Record<string, string> = {}) => {
    const [, start = ""] = await commands();
    const child = spawn("sh", ["-c", `exec ${by.join(" ")} ${start}`], {
      cwd: folder,
      env: { ...environment, ...more },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const stop = async (): Promise<number | null> => {
      if (child.exitCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      return child.exitCode;
    };
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /ready at (http:\S+)/.exec(line)?.[1];
      if (url !== undefined) return { url, stop };
    }
    return assert.fail(`it ended with ${child.exitCode} before it was ready`);
  };

  it("serves from its own files: engine, sandbox, grammars, descriptors, the store of jobs, the demo model and the command", async () => {
    const service = await serve();
    try {
      const client = createMlxdClient({ baseUrl: service.url });
      assert.include(
        JSON.stringify(await client.serverInfo(), (_, value) => (typeof value === "bigint" ? String(value) : value)),
        '"own"',
      );
      assert.include((await client.generate("What is 2+2?", { temperature: 0 })).text, "4");
      const constraint = { regex: "(yes|no) [0-9]{3}" };
      assert.match((await client.generate("What is 2+2?", { constraint })).text, /^(yes|no) \d{3}$/);
      assert.isAbove((await client.tokenize("ab cd ".repeat(20_000))).ids.length, 20_000, "what the sandbox reads");
      const { jobId } = await client.jobs.create([{ input: "What is 2+2?", temperature: 0 }]);
      for await (const { result } of client.jobs.results(jobId)) assert.include(result?.text, "4");
      client.close();
      const told = await mlxd(["generate", "What is 2+2?", "--temperature", "0", "--server", service.url]);
      assert.include(told.stdout, "4");
    } finally {
      assert.equal(await service.stop(), 0);
    }
  });

  it("serves as a user who may write nowhere in it", async (context) => {
    if (process.getuid?.() !== 0) context.skip("only the superuser can start it as somebody else");
    if (spawnSync("setpriv", ["--version"]).error !== undefined) context.skip("util-linux's setpriv is needed");
    for (const path of [folder, artefact]) chmodSync(path, 0o755);
    // The checkout, and with it this Node, may lie where nobody else may look.
    const node = join(folder, "node");
    copyFileSync(process.execPath, node);
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
    const service = await serve(nobody, { HOME: "/nonexistent", MLXD_NODE: node });
    try {
      const client = createMlxdClient({ baseUrl: service.url });
      assert.include((await client.generate("What is 2+2?", { temperature: 0 })).text, "4");
      client.close();
    } finally {
      assert.equal(await service.stop(), 0);
    }
  });

  it("is the same, file by file, when it is built again", async () => {
    const again = join(folder, "again");
    await buildArtefact(root, again, { platform: `${process.platform}-${process.arch}` });
    const list = (place: string): ReadonlyArray<string> =>
      readdirSync(place, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => {
          const path = join(parentPath, name);
          const digest = createHash("sha256").update(readFileSync(path)).digest("hex");
          return `${path.slice(place.length)} ${(statSync(path).mode & 0o777).toString(8)} ${digest}`;
        })
        .toSorted();
    assert.isAbove(list(again).length, 50);
    assert.deepEqual(list(again), list(artefact));
    rmSync(again, { recursive: true });
  });

  it("says its version, and which Node it needs", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    assert.include((await mlxd(["--version"])).stdout, version);
    const old = join(folder, "old-node");
    writeFileSync(old, "#!/bin/sh\necho v20.11.0\n", { mode: 0o755 });
    const failed = await mlxd(["--version"], { MLXD_NODE: old }).catch((error: { stderr: string }) => error);
    assert.include(failed.stderr, "mlxd needs Node >= 24, and found v20.11.0");
    // One that was packed (--with-node) comes before the one in the path, and MLXD_NODE before both.
    copyFileSync(old, join(artefact, "bin/node"));
    chmodSync(join(artefact, "bin/node"), 0o755);
    const packed = await mlxd(["--version"]).catch((error: { stderr: string }) => error);
    assert.include(packed.stderr, "found v20.11.0");
    assert.include((await mlxd(["--version"], { MLXD_NODE: process.execPath })).stdout, version);
    rmSync(join(artefact, "bin/node"));
  });

  it("has a source map for each file, the licence of each package, and no path of the checkout", () => {
    const files = readdirSync(join(artefact, "lib"));
    const licences = readFileSync(join(artefact, "THIRD-PARTY-LICENSES"), "utf8");
    const packages = new Set<string>();
    for (const file of files) {
      const text = readFileSync(join(artefact, "lib", file), "utf8");
      assert.notInclude(text, root, file);
      if (!file.endsWith(".map")) continue;
      for (const source of JSON.parse(text).sources as string[]) {
        const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1];
        if (name !== undefined) packages.add(name);
      }
    }
    for (const name of packages) assert.match(licences, new RegExp(`^${name} \\d`, "m"));
    assert.isAtLeast(packages.size, 10);
    // And of what is no package of npm, with the texts.
    const { components } = JSON.parse(readFileSync(join(artefact, "sbom.cdx.json"), "utf8"));
    const named = new Set(components.map((one: { name: string; version: string }) => `${one.name} ${one.version}`));
    for (const text of ["mlx-cpu", "libgfortran", "libquadmath", "liblapack", "postgresql", "node-addon-api"]) {
      if (process.platform !== "linux" && /^lib|cpu$/.test(text)) continue;
      const [line = ""] = new RegExp(`^${text} [\\d.]+(?=,)`, "m").exec(licences) ?? assert.fail(text);
      assert.isTrue(named.has(line), line);
    }
    for (const text of ["GCC RUNTIME LIBRARY EXCEPTION", "GNU LESSER GENERAL PUBLIC LICENSE", "Apple Inc."]) {
      if (process.platform === "linux") assert.include(licences, text);
    }
    // The bundler's own few lines have no source.
    const sources = files.filter((file) => file.endsWith(".js") && !file.startsWith("rolldown-runtime"));
    const large = sources.filter((file) => readFileSync(join(artefact, "lib", file)).length > 200);
    for (const file of large) assert.include(files, `${file}.map`);
  });
});
